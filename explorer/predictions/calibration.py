"""How far a run's confidence can be believed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from explorer.predictions.comparison import Comparison
from explorer.predictions.outcomes import Outcomes


def reliability_table(outcomes: Outcomes, bins: int = 15) -> pd.DataFrame:
    """One row per bin of confidence, equally wide over (0, 1]: low, high, count, confidence, accuracy.

    `confidence` and `accuracy` are means over the bin's images, NaN in an empty bin. A bin is open below and closed
    above, as in Guo et al. 2017 (arXiv 1706.04599), section 2.
    """
    confidence = outcomes.confidence.astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    right = ~outcomes.wrong
    count = np.bincount(place, minlength=bins)
    sums = {"confidence": confidence, "accuracy": right}
    means = {name: np.bincount(place, values, bins) / np.where(count, count, np.nan) for name, values in sums.items()}
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "count": count, **means})


def calibration_error(reliability: pd.DataFrame) -> float:
    """The expected calibration error, a fraction: the mean over images of |accuracy - confidence| of their bin.

    From a `reliability_table`. Source: Guo et al. 2017 (arXiv 1706.04599), equation 3.
    """
    count = reliability["count"].to_numpy()
    gap = (reliability["accuracy"] - reliability["confidence"]).abs().to_numpy()
    return float(np.average(gap[count > 0], weights=count[count > 0]))


def calibration_floor(reliability: pd.DataFrame, runs: int = 1) -> float:
    """About the calibration error that a perfectly calibrated model would show on as many images, a fraction.

    In each bin of n images of confidence c the share that is right then scatters around c with variance c (1 - c) / n;
    the mean absolute value of a normal deviate is its standard deviation times the root of 2 / pi. Where the table is
    of several runs that answered the same images, n is the images, since their answers are not independent.
    """
    table = pd.DataFrame(reliability[reliability["count"] > 0])
    images, confidence = table["count"].to_numpy(dtype=float) / runs, table["confidence"].to_numpy(dtype=float)
    scatter = np.sqrt(2 / np.pi * confidence * (1 - confidence) / images)
    return float(np.average(scatter, weights=images))


def variants_reliability(comparison: Comparison, bins: int = 10) -> pd.DataFrame:
    """The `reliability_table` of every variant over the answers of all its runs, with its label as `variant`."""
    tables = []
    for number, variant in enumerate(comparison.variants):
        rows = comparison.replicates(number)
        pooled = [reliability_table(comparison.outcomes[row], bins) for row in rows]
        tables.append(_joined(pooled).assign(variant=variant))
    return pd.concat(tables, ignore_index=True)


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table of the answers of all: counts are added, means weighted by them."""
    counts = np.stack([table["count"].to_numpy() for table in tables])
    total = counts.sum(0)
    means = {}
    for key in ("confidence", "accuracy"):
        sums = np.stack([table[key].fillna(0.0).to_numpy() for table in tables]) * counts
        means[key] = sums.sum(0) / np.where(total, total, np.nan)
    return tables[0].assign(count=total, **means)


def variants_calibration(comparison: Comparison, reliability: pd.DataFrame) -> pd.DataFrame:
    """One row per variant of `variants_reliability`: `variant`, its calibration `error` and its `floor`."""
    rows = []
    for number, variant in enumerate(comparison.variants):
        table = pd.DataFrame(reliability[reliability["variant"] == variant])
        floor = calibration_floor(table, runs=len(comparison.replicates(number)))
        rows.append({"variant": variant, "error": calibration_error(table), "floor": floor})
    return pd.DataFrame(rows)
