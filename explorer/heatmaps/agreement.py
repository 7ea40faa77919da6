"""How far the heatmaps of runs agree, against how far a run's heatmaps agree with themselves made again.

Values in, tables and sentences out; maps are arrays (N, H, W).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # scipy.stats would take half a second

from explorer.words import listed


@dataclass(frozen=True)
class MapDifference:
    """How two runs' heatmaps agree, against the noise floor: how one run's agree with its own made again.

    `between` and `within` are mean agreements over the `count` images where both are defined; `drop` is within minus
    between, with its 95 % interval `low` to `high` over images (NaN for fewer than two images).
    """

    measure: str
    between: float
    within: float
    drop: float
    low: float
    high: float
    count: int

    @property
    def differs(self) -> bool:
        """Whether the two runs' maps differ reliably more than one run's maps do from themselves."""
        return self.low > 0


def heatmap_agreement(maps_a: np.ndarray, maps_b: np.ndarray, share: float = 0.2) -> pd.DataFrame:
    """One row per image: spearman in [-1, 1] and overlap in [0, 1] of two sets of heatmaps (N, H, W).

    `spearman` is the rank correlation over pixels. `overlap` is the Jaccard index of the two sets of hottest pixels:
    the hottest `share` of a map with all ties, less those at its minimum, so that a map that is mostly 0 counts only
    where it is hot. Both are NaN where a map is constant or not finite.

    Raises:
        ValueError: the shapes differ or are not (N, H, W).
    """
    if maps_a.ndim != 3 or maps_a.shape != maps_b.shape:
        raise ValueError(f"wanted two sets of heatmaps (N, H, W) of one shape; got {maps_a.shape} and {maps_b.shape}")
    rows = [_agreement(a.ravel(), b.ravel(), share) for a, b in zip(maps_a, maps_b, strict=True)]
    return pd.DataFrame(rows, columns=pd.Index(["spearman", "overlap"]), dtype=float)


def compare_to_noise(
    maps_a: np.ndarray,
    maps_b: np.ndarray,
    maps_a_again: np.ndarray,
    measure: Literal["spearman", "overlap"] = "spearman",
) -> MapDifference:
    """Whether heatmaps a and b (N, H, W) differ more than a differs from itself, image by image.

    The interval is Student's for the mean of the paired differences: noise of the choice of images.

    Args:
        maps_a_again: what should equal maps_a but for noise: of another seed, or of the mirrored image mapped back.

    Raises:
        ValueError: the shapes differ or are not (N, H, W).
    """
    between, within = (heatmap_agreement(maps_a, other)[measure].to_numpy() for other in (maps_b, maps_a_again))
    usable = np.isfinite(between) & np.isfinite(within)
    between, within = between[usable], within[usable]
    drop = within - between
    middle, half = _mean(drop), _half_interval(drop)
    return MapDifference(
        measure=measure,
        between=_mean(between),
        within=_mean(within),
        drop=middle,
        low=middle - half,
        high=middle + half,
        count=len(drop),
    )


def compare_all_maps(
    maps: Mapping[str, np.ndarray],
    again: Mapping[str, np.ndarray],
    measure: Literal["spearman", "overlap"] = "spearman",
) -> pd.DataFrame:
    """One row per ordered pair of runs, each with itself too: run_a, run_b, agreement, differs.

    `agreement` is the mean over images; of a run with itself it is that of its maps with those made again, which is
    the noise floor. `differs` says whether a agrees reliably less with b than with itself, as `compare_to_noise` does.

    Args:
        maps: run -> heatmaps (N, H, W) of the same images.
        again: run -> what should equal them but for noise.

    Raises:
        ValueError: the shapes differ or are not (N, H, W).
    """
    rows = []
    for a, b in product(maps, repeat=2):
        found = compare_to_noise(maps[a], again[a] if a == b else maps[b], again[a], measure)
        rows.append((a, b, found.between, a != b and found.differs))
    return pd.DataFrame(rows, columns=pd.Index(["run_a", "run_b", "agreement", "differs"]))


def maps_verdict(table: pd.DataFrame, reference: str) -> str:
    """What the rows of `compare_all_maps` say of the reference, in plain words."""
    others = table.loc[(table["run_a"] == reference) & (table["run_b"] != reference)]
    blank = np.isnan(others["agreement"].to_numpy(dtype=float))
    differs = others["differs"].to_numpy(dtype=bool)
    clauses = []
    for found, one, several in (
        (differs, "looks elsewhere", "look elsewhere"),
        (~differs & ~blank, "does not differ from it beyond noise", "do not differ from it beyond noise"),
        (blank, "shares no image with it where both maps show anything", "share none where both maps show anything"),
    ):
        if runs := others.loc[found, "run_b"].tolist():
            clauses.append(f"{listed(runs)} {one if len(runs) == 1 else several}")
    return f"Against {reference}: {'; '.join(clauses)}." if clauses else "Only one run is chosen: choose another."


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _half_interval(values: np.ndarray) -> float:
    count = len(values)
    return float(stdtrit(count - 1, 0.975) * values.std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan


def _agreement(a: np.ndarray, b: np.ndarray, share: float) -> tuple[float, float]:
    if any(not np.isfinite(values).all() or values.min() == values.max() for values in (a, b)):
        return np.nan, np.nan
    hot_a, hot_b = _hottest(a, share), _hottest(b, share)
    spearman = float(np.corrcoef(pd.Series(a).rank(), pd.Series(b).rank())[0, 1])
    return spearman, float((hot_a & hot_b).sum() / (hot_a | hot_b).sum())


def _hottest(values: np.ndarray, share: float) -> np.ndarray:
    wanted = max(round(share * len(values)), 1)
    return (values >= np.partition(values, -wanted)[-wanted]) & (values > values.min())
