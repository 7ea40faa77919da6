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

Measure = Literal["spearman", "overlap"]


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
    measures: tuple[Measure, Measure] = ("spearman", "overlap")
    found = {m: _agreement(_prepared(maps_a, m, share), _prepared(maps_b, m, share), m) for m in measures}
    return pd.DataFrame(found)


def compare_to_noise(
    maps_a: np.ndarray,
    maps_b: np.ndarray,
    maps_a_again: np.ndarray,
    measure: Measure = "spearman",
) -> MapDifference:
    """Whether heatmaps a and b (N, H, W) differ more than a differs from itself, image by image.

    The interval is Student's for the mean of the paired differences: noise of the choice of images.

    Args:
        maps_a_again: what should equal maps_a but for noise: of another seed, or of the mirrored image mapped back.

    Raises:
        ValueError: the shapes differ or are not (N, H, W).
    """
    between, within = (heatmap_agreement(maps_a, other)[measure].to_numpy() for other in (maps_b, maps_a_again))
    return _difference(between, within, measure)


def _difference(between: np.ndarray, within: np.ndarray, measure: str) -> MapDifference:
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
    measure: Measure = "spearman",
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
    if len(shapes := {found.shape for found in (*maps.values(), *again.values())}) > 1:
        raise ValueError(f"wanted heatmaps (N, H, W) of one shape; got {sorted(shapes)}")
    once, twice = ({run: _prepared(found[run], measure) for run in maps} for found in (maps, again))
    within = {run: _agreement(once[run], twice[run], measure) for run in maps}
    rows = []
    for a, b in product(maps, repeat=2):
        between = within[a] if a == b else _agreement(once[a], once[b], measure)
        found = _difference(between, within[a], measure)
        rows.append((a, b, found.between, a != b and found.differs))
    return pd.DataFrame(rows, columns=pd.Index(["run_a", "run_b", "agreement", "differs"]))


def at_one_size(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same heatmaps (N, h, w) by name, those of a lower resolution enlarged bilinearly to the largest h and w."""
    import torch
    from torch.nn import functional

    size = tuple(max(found.shape[side] for found in maps.values()) for side in (1, 2))
    return {
        name: found
        if found.shape[1:] == size
        else functional.interpolate(torch.from_numpy(found)[:, None], size, mode="bilinear")[:, 0].numpy()
        for name, found in maps.items()
    }


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


def _prepared(maps: np.ndarray, measure: Measure, share: float = 0.2) -> np.ndarray:
    """Of each map (N, H, W) what its agreement with others follows from, (N, H * W).

    For rank correlation that is the standardised ranks, for overlap 1 where it is hottest; NaN for a map that is
    constant or not finite.
    """
    flat = maps.reshape(len(maps), maps.shape[1] * maps.shape[2]).astype(np.float64)
    blank = ~np.isfinite(flat).all(1) | (flat == flat[:, :1]).all(1)
    if measure == "spearman":
        ranks = pd.DataFrame(flat).rank(axis=1).to_numpy()
        centred = ranks - ranks.mean(1, keepdims=True)
        with np.errstate(invalid="ignore"):
            found = centred / np.sqrt((centred**2).sum(1, keepdims=True))
    else:
        wanted = max(round(share * flat.shape[1]), 1)
        least = np.partition(flat, -wanted, axis=1)[:, -wanted, None]
        found = ((flat >= least) & (flat > flat.min(1, keepdims=True))).astype(np.float64)
    found[blank] = np.nan
    return found


def _agreement(a: np.ndarray, b: np.ndarray, measure: Measure) -> np.ndarray:
    """The agreement of the maps of each image, (N,), from what `_prepared` makes of them."""
    both = (a * b).sum(1)
    if measure == "spearman":
        return both
    return both / (a.sum(1) + b.sum(1) - both)
