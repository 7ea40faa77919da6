"""Who fails together on which images, and where runs disagree.

Values in, values out: `wrong` is a bool matrix (runs, N) with one row per run and one column per test image, `runs` the
label of each row.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import entr

from explorer.predictions.checks import check_wrong


def failure_overlap(wrong: np.ndarray, runs: Sequence[str]) -> pd.DataFrame:
    """One row per set of runs that fail together, and nobody else with them, on at least one image; largest first.

    Columns: `failing` (tuple of labels, empty where every run is right), `observed` (images), `expected` (images if
    the runs failed independently, each at its own rate: N times the product of the marginals), `ratio` (observed over
    expected). Each image is in exactly one set, so the observed counts add up to N.

    Raises:
        ValueError: wrong and runs do not fit, or there is no image.
    """
    check_wrong(wrong, runs)
    sets, observed = np.unique(wrong.T, axis=0, return_counts=True)  # (S, runs), (S,)
    rate = wrong.mean(1)
    expected = wrong.shape[1] * np.where(sets, rate, 1 - rate).prod(1)
    failing = [tuple(run for run, fails in zip(runs, row, strict=True) if fails) for row in sets]
    table = pd.DataFrame({"failing": failing, "observed": observed, "expected": expected})
    table = table.assign(ratio=table["observed"] / table["expected"], size=sets.sum(1))
    return table.sort_values(["observed", "size"], ascending=[False, True], ignore_index=True).drop(columns="size")


def fails_exactly(wrong: np.ndarray, runs: Sequence[str], failing: Sequence[str]) -> np.ndarray:
    """Bool (N,): the images that the runs in `failing` get wrong and all others get right.

    Raises:
        ValueError: wrong and runs do not fit, there is no image, or failing names a run that is not there.
    """
    check_wrong(wrong, runs)
    if unknown := [run for run in failing if run not in runs]:
        raise ValueError(f"unknown runs {', '.join(unknown)}; expected some of: {', '.join(runs)}")
    wanted = np.array([run in failing for run in runs])
    return (wrong == wanted[:, None]).all(0)


def failing_runs(wrong: np.ndarray) -> np.ndarray:
    """Int (N,): how many of the runs get each image wrong, from bool (runs, N)."""
    return wrong.sum(0)


def disagreement(probabilities: np.ndarray) -> np.ndarray:
    """Float (N,) in [0, 1]: how differently the runs judge each image, from probabilities (runs, N, K).

    The Jensen-Shannon divergence of the runs' distributions with equal weights (Lin 1991, IEEE Transactions on
    Information Theory 37(1), section V): the entropy of their mean minus the mean of their entropies, divided by its
    bound log(min(runs, K)). 0: all equal, also for a single run; 1: all certain and as different as can be.

    Raises:
        ValueError: the array is not (runs, N, K).
    """
    if probabilities.ndim != 3 or not len(probabilities):
        raise ValueError(f"wanted probabilities (runs, N, K) of at least one run; got {probabilities.shape}")
    stack = probabilities.astype(np.float64)
    divergence = entr(stack.mean(0)).sum(1) - entr(stack).sum(2).mean(0)
    bound = np.log(min(stack.shape[0], stack.shape[2])) or 1.0  # a single run, or class, cannot disagree
    return np.clip(divergence / bound, 0, 1)
