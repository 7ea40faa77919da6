"""Several trainings of the same thing: whether variants differ by more than another seed or other images would change.

Runs are readers and images are cases: all replicates of a variant look at the same images, so a difference of two
variants is uncertain in the choice of seeds and in the choice of images at once. A variant that was trained once says
nothing of other seeds; then two trained networks are compared, by McNemar's test, and nothing more is claimed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit  # scipy.stats would take half a second of the first page

from explorer.predictions.comparison import Comparison
from explorer.predictions.paired import RELIABLE, compare_pair, holm
from explorer.registry import check_name


@dataclass(frozen=True)
class VariantComparison:
    """Variant a against variant b, each trained with several seeds, on the same images.

    `difference` is mean accuracy a minus mean accuracy b, a fraction, with its `standard_error` over seeds and images
    and the `degrees_of_freedom` of that; `low` to `high` is its interval. `p` is the chance of such a difference, or a
    larger one, if other seeds and images made no difference on average. Of the `pairings` of a run of a with a run of
    b, a has the higher accuracy in `pairings_better`.
    """

    difference: float
    standard_error: float
    degrees_of_freedom: float
    low: float
    high: float
    p: float
    pairings_better: int
    pairings: int


@dataclass(frozen=True, eq=False)
class _Replicates:
    """What the test needs of the runs of one variant.

    Attributes:
        accuracies: of each run, (S,).
        shares: the share of the runs that is right on each image, (N,).
        seed_variance: that of the mean accuracy, from the choice of seeds.
        residual_variance: that of the mean accuracy, from what is neither of the seed nor of the image.
    """

    accuracies: np.ndarray
    shares: np.ndarray
    seed_variance: float
    residual_variance: float


def compare_variants(right_a: np.ndarray, right_b: np.ndarray, *, level: float = 1 - RELIABLE) -> VariantComparison:
    """The multi-reader multi-case comparison of two variants, from what each replicate gets right.

    The variance of the difference of two mean accuracies has a part from the choice of seeds (V_seed: the variance of a
    variant's accuracies over its seeds, over their number, summed), one from the choice of images (V_image: the
    variance over images of the difference of the shares of runs that are right, over N), and what both count (V_both:
    the residual mean square of each two-way layout of seeds and images, over S N, summed). The estimate is
    max(V_seed + V_image - V_both, V_seed, V_image), with Satterthwaite's degrees of freedom, and a t test on them.

    Sources: Obuchowski and Rockette 1995, Communications in Statistics - Simulation 24(2); Gallas 2006, Academic
    Radiology 13(3); for two sources of variance in benchmarks Bouthillier et al. 2021, arXiv 2103.03098.

    Args:
        right_a: bool (S_a, N), a row per replicate of a, S_a >= 2.
        right_b: bool (S_b, N), the same images, S_b >= 2.
        level: of the interval; at 0.95 it leaves out 0 where p is below 0.05.

    Raises:
        ValueError: the arrays are not bool, not of the same images, of fewer than two runs or of fewer than two images.
    """
    for right in (right_a, right_b):
        if right.dtype != bool or right.ndim != 2 or min(right.shape) < 2 or right.shape[1] != right_a.shape[1]:
            raise ValueError(
                "wanted bool outcomes (seeds, N) of the same images, at least two seeds and two images; got "
                f"{right_a.dtype} {right_a.shape} and {right_b.dtype} {right_b.shape}"
            )
    return _compare(_replicates_of(right_a), _replicates_of(right_b), level)


def _replicates_of(right: np.ndarray) -> _Replicates:
    seeds, images = right.shape
    accuracies, shares = right.mean(1), right.mean(0)
    accuracy = float(accuracies.mean())
    total = seeds * images * accuracy * (1 - accuracy)  # of squares, as every outcome is 0 or 1
    between = images * ((accuracies - accuracy) ** 2).sum() + seeds * ((shares - accuracy) ** 2).sum()
    residual = max(total - float(between), 0.0) / ((seeds - 1) * (images - 1))
    return _Replicates(accuracies, shares, float(accuracies.var(ddof=1)) / seeds, residual / (seeds * images))


def _compare(a: _Replicates, b: _Replicates, level: float) -> VariantComparison:
    images, pairings = len(a.shares), len(a.accuracies) * len(b.accuracies)
    difference = float(a.accuracies.mean() - b.accuracies.mean())
    of_images = float((a.shares - b.shares).var(ddof=1)) / images
    parts = (a.seed_variance, len(a.accuracies)), (b.seed_variance, len(b.accuracies)), (of_images, images)
    of_seeds, both = a.seed_variance + b.seed_variance, a.residual_variance + b.residual_variance
    variance = max(of_seeds + of_images - both, of_seeds, of_images)
    if variance:
        error, freedom = variance**0.5, variance**2 / sum(part**2 / (count - 1) for part, count in parts)
        p = 2 * float(stdtr(freedom, -abs(difference) / error))
        half = float(stdtrit(freedom, (1 + level) / 2)) * error
    else:  # on every image all runs of a variant do the same, and the variants differ on all images alike or on none
        error, freedom, p, half = 0.0, np.inf, float(difference == 0), 0.0
    better = int((a.accuracies[:, None] > b.accuracies).sum())
    return VariantComparison(difference, error, freedom, difference - half, difference + half, p, better, pairings)


# Tables -------------------------------------------------------------------------------------------------------------


def compare_with_variant(comparison: Comparison, reference: str) -> pd.DataFrame:
    """One row per variant other than the reference, which is `variant_b`; p_holm corrects for that many tests.

    Where both variants have several runs the row is about the variants, by `compare_variants`. Otherwise it is about
    two trained networks, by `compare_pair`: that of the variant with one run and the other's of the same seed, or of
    its lowest.

    Columns:
        variant_a, variant_b: their labels.
        runs_a, runs_b: how many runs stand for them in this row; 1 and 1 where it is about two networks.
        run_a, run_b: the labels of these two networks, empty where the row is about variants.
        accuracy_a, accuracy_b, difference: fractions; a positive difference means better than the reference.
        low, high: the interval of the difference at the level that p_holm is judged at: it leaves out 0 where p_holm is
            below RELIABLE (of two networks it comes from a bootstrap, and may just miss).
        standard_error, degrees_of_freedom: of the difference; NaN where the row is about two networks.
        p, p_holm: of the test, and corrected by Holm.
        pairings_better, pairings: in how many of the pairs of a run of a and one of b the first is more accurate.
        only_a_wrong, only_b_wrong: images that only one of two networks gets wrong; NaN where it is about variants.

    Raises:
        ValueError: the reference is not one of the variants.
    """
    check_name("variant", reference, comparison.variants)
    at = comparison.variants.index(reference)
    return _table(comparison, [(variant, at) for variant in range(len(comparison.variants)) if variant != at])


_COLUMNS = (
    *("variant_a", "variant_b", "runs_a", "runs_b", "run_a", "run_b", "accuracy_a", "accuracy_b", "difference"),
    *("low", "high", "standard_error", "degrees_of_freedom", "p", "p_holm", "pairings_better", "pairings"),
    *("only_a_wrong", "only_b_wrong"),
)


def _table(comparison: Comparison, pairs: Sequence[tuple[int, int]]) -> pd.DataFrame:
    several = _with_several_runs(comparison)
    p = np.array([_row(comparison, several, pair, 1 - RELIABLE)["p"] for pair in pairs])
    p_holm = holm(p)
    # p_holm < RELIABLE says the same as p < RELIABLE x p / p_holm, which is therefore what its interval is held to.
    shares = np.divide(p, p_holm, out=np.ones(len(p)), where=p_holm > 0)
    rows = [
        _row(comparison, several, pair, 1 - RELIABLE * share) | {"p_holm": corrected}
        for pair, share, corrected in zip(pairs, shares, p_holm, strict=True)
    ]
    return pd.DataFrame(rows, columns=pd.Index(_COLUMNS))


def _with_several_runs(comparison: Comparison) -> dict[int, _Replicates]:
    """What the test needs of each variant that has several runs; empty for a single image, which it cannot judge."""
    rows = {variant: comparison.replicates(variant) for variant in range(len(comparison.variants))}
    if len(comparison.ids) < 2:
        return {}
    return {variant: _replicates_of(~comparison.wrong[own]) for variant, own in rows.items() if len(own) > 1}


def _row(
    comparison: Comparison, several: Mapping[int, _Replicates], pair: tuple[int, int], level: float
) -> dict[str, Any]:
    a, b = pair
    names = {"variant_a": comparison.variants[a], "variant_b": comparison.variants[b]}
    if a in several and b in several:
        return names | _row_of_variants(several[a], several[b], level)
    return names | _row_of_networks(comparison, a, b, level)


def _row_of_variants(a: _Replicates, b: _Replicates, level: float) -> dict[str, Any]:
    counts = {"runs_a": len(a.accuracies), "runs_b": len(b.accuracies), "run_a": "", "run_b": ""}
    accuracies = {"accuracy_a": float(a.accuracies.mean()), "accuracy_b": float(b.accuracies.mean())}
    nothing = {"only_a_wrong": np.nan, "only_b_wrong": np.nan}
    return counts | accuracies | asdict(_compare(a, b, level)) | nothing


def _row_of_networks(comparison: Comparison, a: int, b: int, level: float) -> dict[str, Any]:
    only = [comparison.seeds[rows[0]] for rows in map(comparison.replicates, (a, b)) if len(rows) == 1]
    run_a, run_b = (comparison.replicate_at(variant, only[0] if only else None) for variant in (a, b))
    found = compare_pair(comparison.wrong[run_a], comparison.wrong[run_b], level=level)
    names = {"runs_a": 1, "runs_b": 1, "run_a": comparison.runs[run_a], "run_b": comparison.runs[run_b]}
    return names | asdict(found) | {"pairings_better": int(found.difference > 0), "pairings": 1}
