"""The results tables of docs/results.md, made from the cards of the committed runs."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from explorer.runs import SPLITS, Run, label_of, settings_of
from explorer.runs.axes import MISSING, NORM, SEED, order_of

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
HEADINGS = (
    "norm",
    "train accuracy",
    "val accuracy",
    "test accuracy",
    "macro F1",
    "test loss",
    "misclassified",
    "minutes",
)


def results_markdown(runs: Sequence[Run]) -> str:
    """One Markdown table per data set and architecture; runs that differ in the seed alone are one row of mean ± std.

    Accuracies and F1 in percent. The standard deviation is that of the sample. Known norms come first, in the order of
    the pages; then others by name.
    """
    if not runs:
        return "No runs yet."
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.spec.dataset.name, run.spec.architecture.name), []).append(run)
    return "\n\n".join(
        f"**{_as_text(dataset)}, {_as_text(architecture)}** ({_costs(group)})\n\n{_table(group)}"
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
    parameters = [run.card.parameters for run in runs if run.card.parameters is not None]
    macs = [run.card.macs / 1e6 for run in runs if run.card.macs is not None]
    images = [run.card.test.count for run in runs]
    return f"{_range(parameters)} parameters, {_range(macs)} M MACs, {_range(images)} test images"


def _range(values: Sequence[float]) -> str:
    if not values:
        return MISSING
    low, high = f"{min(values):,.0f}", f"{max(values):,.0f}"
    return low if low == high else f"{low} to {high}"


def _table(runs: Sequence[Run]) -> str:
    rows: dict[tuple[tuple[str, str], ...], list[Run]] = {}  # the runs of each setting, which differ in their seeds
    for run in runs:
        setting = settings_of(run.spec) | {"images": run.spec.dataset.fingerprint or ""}
        rows.setdefault(tuple(item for item in setting.items() if item[0] != SEED), []).append(run)
    settings = [dict(row) for row in rows]
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    found = zip(settings, rows.values(), strict=True)
    for setting, same in sorted(found, key=lambda pair: _order(pair[0])):
        lines.append(f"| {' | '.join(_cells(_label(setting, settings), same))} |")
    return "\n".join(lines)


def _label(setting: Mapping[str, str], settings: Sequence[Mapping[str, str]]) -> str:
    """The norm, and what tells the row from others of that norm."""
    rivals = [other for other in settings if other[NORM] == setting[NORM]]
    axes = dict.fromkeys(axis for other in rivals for axis in other)
    varied = [axis for axis in axes if len({other.get(axis, MISSING) for other in rivals}) > 1]
    return ", ".join([label_of(NORM, setting[NORM]), *(label_of(axis, setting.get(axis, MISSING)) for axis in varied)])


def _order(setting: Mapping[str, str]) -> tuple[tuple[int, float, str], ...]:
    """Known norms first, in their order, then by name; then by the numbers in the settings."""
    return order_of(NORM, setting[NORM]), *(order_of(axis, value) for axis, value in sorted(setting.items()))


def _cells(label: str, runs: Sequence[Run]) -> list[str]:
    count = len(runs)
    metrics = {split: [run.card.metrics[split] for run in runs if split in run.card.metrics] for split in SPLITS}
    seconds = [run.card.seconds / 60 for run in runs if run.card.seconds is not None]
    return [
        _as_text(label) + (f" ({count} seeds)" if count > 1 else ""),
        *(_percent([found.accuracy for found in metrics[split]]) for split in SPLITS),
        _percent([found.macro_f1 for found in metrics["test"]]),
        _spread([found.loss for found in metrics["test"]], 3),
        _spread([found.misclassified for found in metrics["test"]], 1 if count > 1 else 0),
        _spread(seconds, 1),
    ]


def _as_text(name: str) -> str:
    """The name on one line, with what Markdown would take for its own escaped: names come from anyone's cards."""
    return re.sub(r"([\\`*_\[\]<>|$~#])", r"\\\1", " ".join(name.split()))


def _percent(fractions: Sequence[float]) -> str:
    return MISSING if not len(fractions) else f"{_spread(100 * np.asarray(fractions), 1)}%"


def _spread(column: ArrayLike, digits: int) -> str:
    values = np.asarray(column, dtype=float)
    if not len(values):
        return MISSING
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    return f"{values.mean():,.{digits}f} ± {values.std(ddof=1):,.{digits}f}"
