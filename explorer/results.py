"""The results tables of the README, made from the cards of the committed runs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from explorer.marks import MARKS
from explorer.runs import Run, labels_of, runs_table

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
HEADINGS = ("norm", "train acc", "val acc", "test acc", "macro F1", "test loss", "misclassified", "minutes")


def results_markdown(runs: Sequence[Run]) -> str:
    """One Markdown table per data set and architecture; runs that differ in the seed alone are one row of mean ± std.

    Accuracies and F1 in percent. The standard deviation is that of the sample.
    """
    if not runs:
        return "No runs yet."
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.card.dataset.name, run.card.architecture.name), []).append(run)
    return "\n\n".join(
        f"**{dataset}, {architecture}** ({_costs(group)})\n\n{_table(group)}"
        for (dataset, architecture), group in groups.items()
    )


def with_results(text: str, tables: str) -> str:
    """The text with the tables between its two markers. Raises ValueError when a marker is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"wanted a file with the lines {BEGIN} and {END}; add them where the tables belong")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _costs(runs: Sequence[Run]) -> str:
    parameters, macs = [run.card.parameters for run in runs], [run.card.macs / 1e6 for run in runs]
    images = [run.card.metrics["test"].count for run in runs]
    return f"{_range(parameters)} parameters, {_range(macs)} M MACs, {_range(images)} test images"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):,.0f}", f"{max(values):,.0f}"
    return low if low == high else f"{low} to {high}"


def _table(runs: Sequence[Run]) -> str:
    seeds: dict[str, list[Run]] = {}  # the runs of each setting, which is all that a run's name holds but the seed
    for run in runs:
        seeds.setdefault(_without_seed(run).card.name, []).append(run)
    settings = sorted(seeds.values(), key=lambda same: _order(same[0]))
    labels = labels_of([_without_seed(same[0]) for same in settings])
    table = runs_table(runs, {run.key: labels[same[0].key] for same in settings for run in same})
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    for same in settings:
        label = labels[same[0].key]
        lines.append(f"| {' | '.join(_cells(label, table.loc[table['run'] == label]))} |")
    return "\n".join(lines)


def _without_seed(run: Run) -> Run:
    return replace(run, card=replace(run.card, seed=0))


def _order(run: Run) -> tuple[int, int, int]:
    card = run.card
    return list(MARKS).index(card.norm.name), card.recipe["batch_size"], card.recipe["epochs"]


def _cells(name: str, runs: pd.DataFrame) -> list[str]:
    seeds = f" ({len(runs)} seeds)" if len(runs) > 1 else ""
    percent = [
        _spread(100 * runs[key], 2) for key in ("train_accuracy", "val_accuracy", "test_accuracy", "test_macro_f1")
    ]
    wrong = _spread(runs["test_misclassified"], 0 if len(runs) == 1 else 1)
    return [name + seeds, *percent, _spread(runs["test_loss"], 3), wrong, _spread(runs["seconds"] / 60, 1)]


def _spread(column: ArrayLike, digits: int) -> str:
    values = np.asarray(column, dtype=float)
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"
