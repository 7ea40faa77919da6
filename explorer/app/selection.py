"""What the sidebar chooses for every page: a data set, what its runs are compared by, and what is held the same."""

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import streamlit as st

from explorer.app import urlstate
from explorer.app.text import plain
from explorer.marks import Mark, marks_of
from explorer.runs import Grouping, Problem, Run, axes_of, datasets_of, group_runs, labels_of, select_runs, title_of
from explorer.runs.axes import BATCH_SIZE, NORM, SEED, SELECTION, all_axes, label_of, settings_of

TITLES = {"elpv": "ELPV solar cells", "cifar10": "CIFAR-10"}
FIRST = "elpv"
PLURALS = {NORM: "Norms", "architecture": "Architectures", BATCH_SIZE: "Batch sizes", SEED: "Seeds"}
MOST_SELECTED = 12


@dataclass(frozen=True)
class View:
    """What is shown on every page.

    Attributes:
        dataset: what the data set is called.
        all_runs: every run on it.
        grouping: those that are compared, as variants.
        marks: variant label -> short name and colour.
    """

    dataset: str
    all_runs: tuple[Run, ...]
    grouping: Grouping
    marks: dict[str, Mark]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the variants."""
        return tuple(variant.label for variant in self.grouping.variants)

    @property
    def reference(self) -> str:
        """The variant that others are compared with unless somebody chooses another: batch norm, or else the first."""
        return next((v.label for v in self.grouping.variants if v.value == "batch"), self.labels[0])

    @property
    def noun(self) -> str:
        """What a variant is: `norm`, `architecture`, `run`."""
        return "run" if self.grouping.axis == SELECTION else title_of(self.grouping.axis)


_VIEW: ContextVar[View] = ContextVar("view")


def current_view() -> View:
    """What the sidebar of this run of the script has chosen."""
    return _VIEW.get()


def choose_view(runs: Sequence[Run], problems: Sequence[Problem]) -> View | None:
    """Draws the selectors beside every page; None where there is no run to show. They stand in the address."""
    with st.sidebar:
        view = _choose(runs) if runs else None
        for problem in problems:
            name = plain(f"{problem.path.parent.name}/{problem.path.name}")
            st.warning(f"Left out {name}: {plain(problem.reason)}", icon=":material/folder_off:")
    if view is not None:
        _VIEW.set(view)
    return view


def _choose(runs: Sequence[Run]) -> View | None:
    datasets = datasets_of(runs)
    names = sorted(datasets, key=lambda name: (name != FIRST, name))
    title = urlstate.select(
        st.selectbox,
        "dataset",
        "Data set",
        names,
        carry=True,
        format_func=lambda name: TITLES.get(str(name), str(name)),
    )
    of_dataset = datasets[title]
    axes = [*axes_of(of_dataset), *([SELECTION] if len(of_dataset) > 1 else [])]
    axis = urlstate.select(st.selectbox, "compare", "Compare", axes, carry=True, format_func=_axis_title)
    grouping = _choose_runs(of_dataset) if axis == SELECTION else _hold_others(of_dataset, axis)
    if not grouping.variants:
        return None
    values = [variant.value for variant in grouping.variants]
    labels = [variant.label for variant in grouping.variants]
    return View(TITLES.get(title, title), of_dataset, grouping, marks_of(grouping.axis, values, labels))


def _axis_title(axis: str) -> str:
    if axis == SELECTION:
        return "My selection"
    title = title_of(axis)
    return PLURALS.get(axis, f"{title[0].upper()}{title[1:]}")


def _hold_others(runs: Sequence[Run], axis: str) -> Grouping:
    """A selector for each axis that has to be held, one after the other: each leaves fewer runs to the next."""
    wanted: dict[str, str] = {}
    while True:
        grouping = group_runs(runs, axis, wanted)
        held = next((held for held in grouping.held if held.axis not in wanted), None)
        if held is None:
            break
        title = title_of(held.axis)
        wanted[held.axis] = urlstate.select(
            st.selectbox,
            held.axis,
            f"{title[0].upper()}{title[1:]}",
            held.options,
            carry=True,
            format_func=lambda value, name=held.axis: label_of(name, value) if name == NORM else value,
        )
    retire_axes(runs, grouping, kept=wanted)
    urlstate.put("runs")
    return grouping


def retire_axes(runs: Sequence[Run], grouping: Grouping, kept: Iterable[str] = ()) -> None:
    """Takes the axes that are not asked for out of the address; a page's own `seed` is none of them."""
    settings = [settings_of(run.spec) for run in grouping.runs or runs]
    for axis in all_axes(runs):
        if axis not in (*kept, SEED):
            urlstate.retire(axis, {found[axis] for found in settings if axis in found})


def _choose_runs(runs: Sequence[Run]) -> Grouping:
    """Any runs by name, each a variant of its own; at first one of each architecture and norm, up to a few."""
    labels = labels_of(runs)
    names = {run.path.name: labels[run.key] for run in runs}
    first = [variant.runs[0].path.name for variant in group_runs(runs, NORM).variants][:MOST_SELECTED]
    retire_axes(runs, Grouping(SELECTION, (), ()))
    chosen = urlstate.several(
        st.multiselect,
        "runs",
        "Runs",
        list(names),
        first,
        format_func=names.__getitem__,
        max_selections=MOST_SELECTED,
    )
    grouping = select_runs(runs, chosen)
    if not grouping.variants:
        st.info("Choose at least one run.")
    return grouping
