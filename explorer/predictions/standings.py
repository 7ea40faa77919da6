"""How the variants of a comparison stand: accuracy, difference to one of them, and whether that is more than chance."""

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # scipy.stats would take half a second of the first page

from explorer.predictions.comparison import Comparison
from explorer.predictions.paired import RELIABLE, accuracy_interval
from explorer.predictions.replicates import compare_with_variant

REFERENCE, BETTER, WORSE, OPEN = "compared with", "better", "worse", "not distinguishable"
FROM_REPLICATES = (
    *("difference", "low", "high", "p", "p_holm", "runs_a", "run_a", "run_b"),
    *("pairings_better", "pairings", "only_a_wrong", "only_b_wrong"),
)


def standings(comparison: Comparison, reference: str | None = None) -> pd.DataFrame:
    """One row per variant, best first: `variant`, `runs` (how many), `accuracy` with its 95 % interval `low` to `high`.

    With a reference also what `compare_with_variant` says of each against it (NaN in its own row): `difference` from
    `difference_low` to `difference_high`, `p`, `p_holm`, `runs_compared` (1 where two trained networks are compared),
    `pairings_better` of `pairings`, `only_a_wrong`, `only_b_wrong`; and `reliable` (bool), `verdict` (REFERENCE,
    BETTER, WORSE or OPEN) and `single` (bool): a single training stands for a variant that has several, as the other
    has one; then `difference` is not that of the means.

    Raises:
        ValueError: the reference is not one of the variants.
    """
    rows = []
    for number, variant in enumerate(comparison.variants):
        right = ~comparison.wrong[comparison.replicates(number)]
        low, high = variant_interval(right)
        rows.append({"variant": variant, "runs": len(right), "accuracy": right.mean(), "low": low, "high": high})
    table = pd.DataFrame(rows).sort_values("accuracy", ascending=False, kind="stable", ignore_index=True)
    return table if reference is None else _compared(table, compare_with_variant(comparison, reference), reference)


def variant_interval(right: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean accuracy of a variant, from what each of its runs gets right, bool (S, N).

    With one run it is Wilson's and speaks of other test images alone. With several it speaks of other seeds and other
    images: variance and degrees of freedom are made of the same three parts as in `compare_variants`, from there its
    sources too.
    """
    seeds, images = right.shape
    if seeds == 1:
        return accuracy_interval(int(images - right.sum()), images)
    accuracies, shares, accuracy = right.mean(1), right.mean(0), float(right.mean())
    of_seeds, of_images = float(accuracies.var(ddof=1)) / seeds, float(shares.var(ddof=1)) / images
    squares = seeds * images * accuracy * (1 - accuracy)  # of deviations from the mean, as outcomes are 0 or 1
    squares -= seeds * (images - 1) * images * of_images + images * (seeds - 1) * seeds * of_seeds
    both = max(squares, 0.0) / ((seeds - 1) * (images - 1)) / (seeds * images)
    variance = max(of_seeds + of_images - both, of_seeds, of_images)
    if not variance:
        return accuracy, accuracy
    freedom = variance**2 / (of_seeds**2 / (seeds - 1) + of_images**2 / (images - 1))
    half = float(stdtrit(freedom, 1 - RELIABLE / 2)) * variance**0.5
    return max(accuracy - half, 0.0), min(accuracy + half, 1.0)


def single_runs(comparison: Comparison) -> pd.DataFrame:
    """One row per run of the variants that have several: `variant`, `run` and its `accuracy`."""
    several = [row for row, variant in enumerate(comparison.variant_of) if len(comparison.replicates(variant)) > 1]
    return pd.DataFrame(
        {
            "variant": [comparison.variants[comparison.variant_of[row]] for row in several],
            "run": [comparison.runs[row] for row in several],
            "accuracy": 1 - comparison.wrong[several].mean(1),
        }
    )


def pair_differences(table: pd.DataFrame) -> pd.DataFrame:
    """Every ordered pair of different variants of `standings`: `variant_a`, `variant_b`, `difference`, `reliable`.

    Only comparisons with the reference are tested, so only they can be reliable: to test every pair takes a harder
    correction, and the same pair would be judged twice.
    """
    reference = table.loc[table["verdict"] == REFERENCE, "variant"].iloc[0]
    reliable = set(table.loc[table["reliable"] & ~table["single"], "variant"])
    accuracy = dict(zip(table["variant"], table["accuracy"], strict=True))
    pairs = [(a, b) for a in accuracy for b in accuracy if a != b]
    return pd.DataFrame(
        {
            "variant_a": [a for a, _ in pairs],
            "variant_b": [b for _, b in pairs],
            "difference": [accuracy[a] - accuracy[b] for a, b in pairs],
            "reliable": [reference in pair and not reliable.isdisjoint(pair) for pair in pairs],
        }
    )


def _compared(table: pd.DataFrame, versus: pd.DataFrame, reference: str) -> pd.DataFrame:
    names = {"variant_a": "variant", "low": "difference_low", "high": "difference_high", "runs_a": "runs_compared"}
    kept = pd.DataFrame(versus[["variant_a", *FROM_REPLICATES]]).rename(columns=names)
    joined = table.merge(kept, on="variant", how="left")
    reliable = (joined["p_holm"] < RELIABLE).to_numpy()
    ways = np.where(joined["difference"] > 0, BETTER, WORSE)
    verdicts = np.where(joined["variant"] == reference, REFERENCE, np.where(reliable, ways, OPEN))
    # The interval of two networks comes from a bootstrap and may just leave out 0 where the exact test does not.
    joined["difference_low"] = joined["difference_low"].mask(~reliable, joined["difference_low"].clip(upper=0.0))
    joined["difference_high"] = joined["difference_high"].mask(~reliable, joined["difference_high"].clip(lower=0.0))
    single = ((joined["runs_compared"] == 1) & ((joined["runs"] > 1) | _several(joined, reference))).to_numpy()
    return joined.assign(reliable=reliable, verdict=verdicts, single=single)


def _several(joined: pd.DataFrame, reference: str) -> bool:
    return bool((joined.loc[joined["variant"] == reference, "runs"] > 1).any())
