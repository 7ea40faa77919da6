"""The results tables of the README, made from the cards of the committed runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from explorer.norms import NORMS
from explorer.runs import Run, labels_of, runs_table

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
HEADINGS = ("norm", "train acc", "val acc", "test acc", "macro F1", "test loss", "misclassified", "minutes")


def results_markdown(runs: Sequence[Run]) -> str:
    """One Markdown table per data set and architecture; a norm with several seeds is one row of mean ± std.

    Accuracies and F1 in percent. The standard deviation is that of the sample.
    """
    if not runs:
        return "No runs yet."
    table = runs_table(runs, labels_of(runs))
    return "\n\n".join(
        f"**{dataset}, {architecture}** ({_costs(group)})\n\n{_table(group)}"
        for (dataset, architecture), group in _groups(table, ["dataset", "architecture"])
    )


def with_results(text: str, tables: str) -> str:
    """The text with the tables between its two markers. Raises ValueError when a marker is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"wanted a file with the lines {BEGIN} and {END}; add them where the tables belong")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _costs(group: pd.DataFrame) -> str:
    count = int(group["test_count"].iloc[0])
    return f"{_range(group['parameters'])} parameters, {_range(group['macs'] / 1e6)} M MACs, {count:,} test images"


def _range(column: ArrayLike) -> str:
    low, high = np.min(column), np.max(column)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _table(group: pd.DataFrame) -> str:
    varied = [key for key in ("batch_size", "epochs") if len(set(group[key])) > 1]
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    groups = _groups(group, ["norm", *varied])
    for (norm, *values), same in sorted(groups, key=lambda pair: (list(NORMS).index(pair[0][0]), pair[0][1:])):
        name = ", ".join(
            [norm, *(f"{key.replace('_', ' ')} {value}" for key, value in zip(varied, values, strict=True))]
        )
        lines.append(f"| {' | '.join(_cells(name, same))} |")
    return "\n".join(lines)


def _groups(table: pd.DataFrame, keys: list[str]) -> list[tuple[tuple, pd.DataFrame]]:
    """Pairs of the values of the keys and the rows that have them, in order of appearance."""
    values = list(zip(*(table[key] for key in keys), strict=True))
    rows = {value: [i for i, other in enumerate(values) if other == value] for value in values}
    return [(value, table.iloc[chosen]) for value, chosen in rows.items()]


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
