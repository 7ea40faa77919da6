"""Which classes are taken for which: the most confused pairs, and the matrix of a few classes as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SUM = "any class"  # the row or column of sums
ANY = -1  # its index


@dataclass(frozen=True)
class ConfusedPair:
    """How many images of the class `true` are taken for the class `predicted`; both are indices."""

    true: int
    predicted: int
    count: int


def confused_pairs(counts: np.ndarray, most: int) -> list[ConfusedPair]:
    """The pairs of different classes with the most images, from counts (K, K) with a row per label, largest first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    flat = wrong.ravel()
    found = np.flatnonzero(flat > 0)  # of a million cells most are 0
    order = found[np.argsort(-flat[found], kind="stable")[:most]]
    return [ConfusedPair(int(k // len(counts)), int(k % len(counts)), int(flat[k])) for k in order]


def confusion_table(
    counts: np.ndarray, names: Sequence[str], classes: Sequence[int], chosen: tuple[int, int]
) -> pd.DataFrame:
    """One row per cell of the matrix of some classes, and of the sums of wrong images over all classes.

    Columns: `true` and `predicted` (names), `true_index` and `predicted_index` (ANY for a sum), `count`, `chosen`
    (bool) and `kind` (`right`, `wrong` or `sum`).

    Args:
        counts: (K, K), row = label, column = predicted; or the difference of two of these.
        names: of all K classes.
        classes: those to show, in order.
        chosen: indices of the true and the predicted class, ANY for any.
    """
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    full = np.zeros((len(counts) + 1, len(counts) + 1), dtype=np.int64)
    full[:-1, :-1] = counts
    full[:-1, -1], full[-1, :-1], full[-1, -1] = wrong.sum(1), wrong.sum(0), wrong.sum()
    titles = [*names, SUM if SUM not in names else f"{SUM} (sum)"]
    rows = []
    for true in (*classes, ANY):
        for predicted in (*classes, ANY):
            kind = "sum" if ANY in (true, predicted) else "right" if true == predicted else "wrong"
            cell = (titles[true], titles[predicted], true, predicted, int(full[true, predicted]))
            rows.append((*cell, (true, predicted) == chosen, kind))
    columns = ["true", "predicted", "true_index", "predicted_index", "count", "chosen", "kind"]
    return pd.DataFrame(rows, columns=pd.Index(columns))
