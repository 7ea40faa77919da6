"""Two trained models on the same images: which is better, and is that more than the choice of images explains.

Values in, values out: `wrong` is a bool matrix (runs, N) with one row per run and one column per test image, `runs` the
label of each row. What another training would change is not seen here.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import bdtr, ndtri  # scipy.stats would take half a second of the first page

from explorer.predictions.checks import check_wrong
from explorer.registry import check_name


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

    `difference` is accuracy a minus accuracy b, a fraction, with its 95 % interval `low` to `high`. `only_a_wrong` and
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
    wrong_a: np.ndarray, wrong_b: np.ndarray, *, resamples: int = 10_000, seed: int = 0
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
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / count, [0.025, 0.975])
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


def compare_to_reference(wrong: np.ndarray, runs: Sequence[str], reference: str) -> pd.DataFrame:
    """One row per run other than the reference, which is run_b; p_holm corrects for that many tests.

    Columns: run_a, run_b, accuracy_a, accuracy_b, difference, low, high, only_a_wrong, only_b_wrong, p, p_holm, as in
    `PairedComparison`; a positive difference means better than the reference. No row if there is only one run.

    Raises:
        ValueError: wrong and runs do not fit, there is no image, or the reference is not one of the runs.
    """
    check_name("reference", reference, runs)
    return _comparisons(wrong, runs, [(run, reference) for run in runs if run != reference])


def compare_all_pairs(wrong: np.ndarray, runs: Sequence[str]) -> pd.DataFrame:
    """One row per pair of runs, with the columns of `compare_to_reference`; p_holm corrects for all pairs.

    Raises:
        ValueError: wrong and runs do not fit, or there is no image.
    """
    return _comparisons(wrong, runs, list(combinations(runs, 2)))


def _comparisons(wrong: np.ndarray, runs: Sequence[str], pairs: list[tuple[str, str]]) -> pd.DataFrame:
    check_wrong(wrong, runs)
    rows = dict(zip(runs, wrong, strict=True))
    found = [asdict(compare_pair(rows[a], rows[b])) for a, b in pairs]
    names = {"run_a": [a for a, _ in pairs], "run_b": [b for _, b in pairs]}
    figures = pd.DataFrame(found, columns=pd.Index(PairedComparison.__dataclass_fields__))
    return pd.DataFrame(names).join(figures).assign(p_holm=holm(figures["p"].to_numpy(dtype=float)))


def _stacked(wrong_a: np.ndarray, wrong_b: np.ndarray) -> np.ndarray:
    if wrong_a.shape != wrong_b.shape:
        raise ValueError(
            f"wanted two runs on the same images; got outcomes of shape {wrong_a.shape} and {wrong_b.shape}"
        )
    wrong = np.stack([wrong_a, wrong_b])
    check_wrong(wrong, ("a", "b"))
    return wrong
