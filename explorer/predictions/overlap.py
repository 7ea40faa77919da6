"""Which runs fail together on which images, and where runs disagree.

Values in, values out: `wrong` is a bool matrix (runs, N) with one row per run and one column per test image, `runs` the
label of each row.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from explorer.predictions.checks import check_wrong
from explorer.predictions.comparison import Probabilities
from explorer.predictions.outcomes import BLOCK, LEAST_PROBABILITY


def failure_overlap(wrong: np.ndarray, runs: Sequence[str]) -> pd.DataFrame:
    """One row per set of runs that fail together, and no other with them, on at least one image; largest first.

    Columns: `failing` (tuple of labels, empty where every run is right), `observed` (images), `expected` (images if
    the runs failed independently, each at its own rate: N times the product of the marginals), `ratio` (observed over
    expected). Each image is in exactly one set, so the observed counts add up to N.

    Raises:
        ValueError: wrong and runs do not fit, or there is no image.
    """
    check_wrong(wrong, runs)
    sets, observed = _failing_sets(wrong)
    rate = wrong.mean(1)
    expected = wrong.shape[1] * np.where(sets, rate, 1 - rate).prod(1)
    failing = [tuple(run for run, fails in zip(runs, row, strict=True) if fails) for row in sets]
    table = pd.DataFrame({"failing": failing, "observed": observed, "expected": expected})
    table = table.assign(ratio=table["observed"] / table["expected"], size=sets.sum(1))
    return table.sort_values(["observed", "size"], ascending=[False, True], ignore_index=True).drop(columns="size")


def _failing_sets(wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns that occur in bool (runs, N), as bool (S, runs) in lexicographic order, and how often, int (S,)."""
    codes = np.zeros(wrong.shape[1], dtype=np.int64)  # of each image, the same for images that the same runs fail on
    for start in range(0, len(wrong), 32):  # as many bits as fit on top of the sets that there are so far
        for row in wrong[start : start + 32]:
            codes = 2 * codes + row
        codes, _ = pd.factorize(codes)
    observed = np.bincount(codes)
    example = np.empty(len(observed), dtype=np.int64)
    example[codes] = np.arange(len(codes))
    sets = wrong[:, example].T
    order = np.lexsort(sets.T[::-1])
    return sets[order], observed[order]


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


def disagreement(stored: Sequence[Probabilities]) -> np.ndarray:
    """Float32 (N,) in [0, 1]: how differently runs judge each image, from the probabilities of each run.

    The Jensen-Shannon divergence of the runs' distributions with equal weights (Lin 1991, IEEE Transactions on
    Information Theory 37(1), section V): the entropy of their mean minus the mean of their entropies, divided by its
    bound log(min(runs, K)). 0: all equal, also for a single run; 1: all certain and as different as can be.

    It reads all probabilities, in the memory of some blocks: compute it once.

    Raises:
        ValueError: there is no run, or the runs are not of the same number of images.
    """
    if not stored:
        raise ValueError("wanted the probabilities of at least one run; got none")
    return np.concatenate([_divergence(stack) for stack in _side_by_side(stored)])


def _divergence(stack: np.ndarray) -> np.ndarray:
    """The Jensen-Shannon divergence over its bound, float32 (n,), of distributions (runs, n, K)."""
    bound = np.log(min(stack.shape[0], stack.shape[2])) or 1.0  # a single run, or class, cannot disagree
    return np.clip((_entropy(stack.mean(0)) - _entropy(stack).mean(0)) / bound, 0, 1).astype(np.float32)


def _entropy(distributions: np.ndarray) -> np.ndarray:
    """The entropy in nats, (...), of distributions (..., K)."""
    # In float32 as they are stored: six times faster than scipy's entr, and right to some millionths.
    logs = np.log(np.maximum(distributions, LEAST_PROBABILITY))
    return -np.einsum("...k,...k->...", distributions, logs)


def _side_by_side(stored: Sequence[Probabilities]) -> Iterator[np.ndarray]:
    """Blocks (runs, n, K) of the same images, whatever the length of each run's own blocks."""
    ended = np.empty((0, 0), dtype=np.float32)
    readers = [one.blocks() for one in stored]
    rest = [next(reader, ended) for reader in readers]
    while all(map(len, rest)):
        count = min(max(1, BLOCK // rest[0].shape[1]), *map(len, rest))
        yield np.stack([block[:count] for block in rest])
        pairs = zip(rest, readers, strict=True)
        rest = [block[count:] if len(block) > count else next(reader, ended) for block, reader in pairs]
    if any(map(len, rest)):
        raise ValueError("wanted probabilities of the same images from all runs; got fewer of some than of others")
