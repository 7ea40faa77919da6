"""Two trained models on the same images: which is better, and is that more than the choice of images explains.

What another training would change is not seen here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, ndtri  # scipy.stats would take half a second of the first page

from explorer.predictions.checks import check_wrong

RELIABLE = 0.05  # a corrected p below this is called reliable


def accuracy_interval(misclassified: int, count: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy, as fractions: test-set noise only, not that of another training.

    Source: Wilson 1927, Journal of the American Statistical Association 22(158).
    """
    accuracy, z = 1 - misclassified / count, float(ndtri(0.975))
    middle = accuracy + z**2 / (2 * count)
    half = z * np.sqrt(accuracy * (1 - accuracy) / count + (z / (2 * count)) ** 2)
    scale = 1 + z**2 / count
    return float((middle - half) / scale), float((middle + half) / scale)


@dataclass(frozen=True)
class PairedComparison:
    """Run a against run b on the same images.

    `difference` is accuracy a minus accuracy b, a fraction, with its interval `low` to `high`. `only_a_wrong` and
    `only_b_wrong` count the discordant images. `p` is McNemar's: the chance of so uneven a split of the discordant
    images, or a more uneven one, if both runs were equally good.
    """

    accuracy_a: float
    accuracy_b: float
    difference: float
    low: float
    high: float
    only_a_wrong: int
    only_b_wrong: int
    p: float


def compare_pair(
    wrong_a: np.ndarray,
    wrong_b: np.ndarray,
    *,
    level: float = 1 - RELIABLE,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """The paired comparison of two runs from what each gets wrong, bool (N,) and (N,), on the same images in order.

    The interval is the percentile interval of a paired bootstrap (Efron and Tibshirani 1993, chapter 13): images are
    drawn with replacement together with both runs' outcomes. The difference depends only on how many drawn images
    fall in each cell of the 2x2 table, so the counts are drawn at once from a multinomial.

    Raises:
        ValueError: the lengths differ, an array is not bool, or there is no image.
    """
    wrong = _stacked(wrong_a, wrong_b)
    count = wrong.shape[1]
    only_a, only_b = int((wrong[0] & ~wrong[1]).sum()), int((wrong[1] & ~wrong[0]).sum())
    cells = np.array([only_a, only_b, count - only_a - only_b]) / count
    drawn = np.random.default_rng(seed).multinomial(count, cells, size=resamples)
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / count, [(1 - level) / 2, (1 + level) / 2])
    accuracy_a, accuracy_b = (float(accuracy) for accuracy in 1 - wrong.mean(1))
    difference, p = (only_b - only_a) / count, mcnemar_p(only_a, only_b)
    return PairedComparison(accuracy_a, accuracy_b, difference, float(low), float(high), only_a, only_b, p)


def mcnemar_p(only_a_wrong: int, only_b_wrong: int) -> float:
    """The two-sided exact p of McNemar's test: binomial with chance 1/2 over the discordant images; 1 without any.

    Source: McNemar 1947, Psychometrika 12(2); the exact form as in Dietterich 1998, Neural Computation 10(7).
    """
    one_sided = bdtr(min(only_a_wrong, only_b_wrong), only_a_wrong + only_b_wrong, 0.5)
    return min(2 * float(one_sided), 1.0)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm-corrected p values, float (tests,), in the order given (Holm 1979, Scandinavian Journal of Statistics 6)."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected


def _stacked(wrong_a: np.ndarray, wrong_b: np.ndarray) -> np.ndarray:
    if wrong_a.shape != wrong_b.shape:
        raise ValueError(
            f"wanted two runs on the same images; got outcomes of shape {wrong_a.shape} and {wrong_b.shape}"
        )
    wrong = np.stack([wrong_a, wrong_b])
    check_wrong(wrong, ("a", "b"))
    return wrong
