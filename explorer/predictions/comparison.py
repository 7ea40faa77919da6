"""Runs on the same images: which is better and is that real, who fails where, how far to trust a probability or a map.

Values in, values out: `wrong` is a bool matrix (runs, N) with one row per run and one column per test image,
`runs` the label of each row, `probabilities` (N, K) or (runs, N, K), `labels` int (N,) in 0..K-1, maps (N, H, W).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, product
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import bdtr, entr, ndtri, stdtrit  # scipy.stats would take half a second of the first page

from explorer.registry import check_name

RELIABLE = 0.05  # a corrected p below this is called reliable
TINY = np.finfo(np.float32).tiny  # keeps the logarithm of a probability finite, as in metrics.py
SEED_NOISE = (
    "McNemar's test compares two trained models and sees only the chance in the choice of test images; the chance in "
    "training shows in the spread (±) over seeds."
)


# How sure a figure is -----------------------------------------------------------------------------------------------


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
    wrong = _checked_wrong(_stacked(wrong_a, wrong_b), ("a", "b"))
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
    rows = dict(zip(runs, _checked_wrong(wrong, runs), strict=True))
    found = [asdict(compare_pair(rows[a], rows[b])) for a, b in pairs]
    names = {"run_a": [a for a, _ in pairs], "run_b": [b for _, b in pairs]}
    figures = pd.DataFrame(found, columns=pd.Index(PairedComparison.__dataclass_fields__))
    return pd.DataFrame(names).join(figures).assign(p_holm=holm(figures["p"].to_numpy(dtype=float)))


# In words -----------------------------------------------------------------------------------------------------------


def verdict(comparisons: pd.DataFrame) -> str:
    """What the rows of `compare_to_reference` say, in plain words: who is better, worse, or not to be told apart.

    Reliable means a Holm-corrected p below 0.05.
    """
    rows = comparisons.to_dict("records")
    if not rows:
        return "Only one run is chosen: choose another to compare it with."
    return _verdict_on_two(rows[0]) if len(rows) == 1 else _verdict_on_many(rows)


def seeds_verdict(seeds: pd.DataFrame) -> str:
    """What the rows of `seed_summary` of accuracies say, and what paired tests do not see; empty for one seed each."""
    if not (seeds["n"].to_numpy() > 1).any():
        return ""
    return f"Over seeds: {', '.join(_seed_words(row) for row in seeds.to_dict('records'))}. {SEED_NOISE}"


def _verdict_on_two(row: Mapping) -> str:
    figures = f"{row['run_b']} {_percent(row['accuracy_b'])}, {row['run_a']} {_percent(row['accuracy_a'])}"
    if not row["only_a_wrong"] + row["only_b_wrong"]:
        return f"{figures}: no difference, both fail on exactly the same images."
    if row["p_holm"] >= RELIABLE:
        return f"{figures}: no reliable difference, {_p_words(row['p_holm'])}."
    points = f"{abs(100 * row['difference']):.1f} points"
    return f"{figures}: {row['run_a']} is reliably {_way(row)} by {points}, {_p_words(row['p_holm'])}."


def _verdict_on_many(rows: Sequence[Mapping]) -> str:
    groups: dict[str, list[Mapping]] = {"better": [], "worse": [], "same": []}
    for row in sorted(rows, key=lambda row: -row["accuracy_a"]):
        groups["same" if row["p_holm"] >= RELIABLE else _way(row)].append(row)
    clauses = [_clause(group, f"reliably {way}") for way in ("better", "worse") if (group := groups[way])]
    if groups["same"]:
        clauses.append(_clause(groups["same"], "not distinguishable from it"))
    reference = f"{rows[0]['run_b']} ({_percent(rows[0]['accuracy_b'])})"
    return f"Against {reference}: {'; '.join(clauses)} (p values Holm-corrected for {len(rows)} comparisons)."


def _clause(rows: Sequence[Mapping], words: str) -> str:
    named = [f"{row['run_a']} ({_percent(row['accuracy_a'])}, {_p_words(row['p_holm'])})" for row in rows]
    return f"{_listed(named)} {'is' if len(rows) == 1 else 'are'} {words}"


def _way(row: Mapping) -> str:
    return "better" if row["difference"] > 0 else "worse"


def _seed_words(row: Mapping) -> str:
    if row["n"] == 1:
        return f"{row['norm']} {_percent(row['mean'])} (one seed)"
    return f"{row['norm']} {100 * row['mean']:.1f} ± {100 * row['std']:.1f} % ({row['n']} seeds)"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _p_words(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    digits = 4 if round(p, 3) == RELIABLE else 3  # so that 0.0496, which is reliable, does not read 0.050
    return f"p = {p:.2g}" if p >= 0.1 else f"p = {p:.{digits}f}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


# Several seeds, and fairness ----------------------------------------------------------------------------------------


def seed_summary(table: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """One row per norm, in order of appearance: norm, mean, std, n over its seeds.

    `std` is the sample standard deviation (n - 1), NaN for one seed.

    Args:
        table: one row per run with the columns norm, seed and the metric.

    Raises:
        ValueError: a column is missing, or a norm has a seed twice, so that the runs differ in more than the seed.
    """
    if missing := [column for column in ("norm", "seed", metric) if column not in table]:
        raise ValueError(f"wanted the columns norm, seed and {metric}; {', '.join(missing)} missing")
    twice = table.duplicated(["norm", "seed"]).to_numpy()
    if twice.any():
        first = int(twice.argmax())
        norm, seed = table["norm"].iloc[first], table["seed"].iloc[first]
        raise ValueError(f"norm {norm!r} has seed {seed} twice; summarise runs that differ in norm and seed only")
    return (
        table.groupby("norm", sort=False)[metric]
        .agg(["mean", "std", "count"])
        .reset_index()
        .rename(columns={"count": "n"})
    )


def fairness(
    settings: Sequence[Mapping[str, object]], runs: Sequence[str], ignore: Sequence[str] = ("norm",)
) -> list[str]:
    """One sentence for each key whose value is not the same in all runs, in order of first appearance.

    For example `Batch size: 128 for batch and layer, 64 for group.`; more than two different numbers become a range,
    `Seconds: from 31 (batch) to 58 (layer).` Empty if nothing differs.

    Args:
        settings: per run what could matter: parameters, macs, epochs, batch_size, seed, seconds, ...
        runs: the label of each.
        ignore: keys that may differ.

    Raises:
        ValueError: not as many settings as runs.
    """
    if len(settings) != len(runs):
        raise ValueError(f"wanted settings for each of {len(runs)} runs; got {len(settings)}")
    keys = dict.fromkeys(key for setting in settings for key in setting if key not in ignore)
    said = [_difference(key, [setting.get(key, "not recorded") for setting in settings], runs) for key in keys]
    return [sentence for sentence in said if sentence]


def _difference(key: str, values: Sequence[object], runs: Sequence[str]) -> str:
    holders: dict[str, list[str]] = {}
    for value, run in zip(values, runs, strict=True):
        holders.setdefault(_value_words(value), []).append(run)
    if len(holders) < 2:
        return ""
    name = {"macs": "MACs"}.get(key, key.replace("_", " ").capitalize())
    numbers = [(value, run) for value, run in zip(values, runs, strict=True) if isinstance(value, int | float)]
    if len(holders) > 2 and len(numbers) == len(runs):
        (least, least_run), (most, most_run) = (way(numbers, key=lambda pair: pair[0]) for way in (min, max))
        return f"{name}: from {_value_words(least)} ({least_run}) to {_value_words(most)} ({most_run})."
    return f"{name}: {', '.join(f'{words} for {_listed(named)}' for words, named in holders.items())}."


def _value_words(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


# Overlap of failures, and disagreement ------------------------------------------------------------------------------


def failure_overlap(wrong: np.ndarray, runs: Sequence[str]) -> pd.DataFrame:
    """One row per set of runs that fail together, and nobody else with them, on at least one image; largest first.

    Columns: `failing` (tuple of labels, empty where every run is right), `observed` (images), `expected` (images if
    the runs failed independently, each at its own rate: N times the product of the marginals), `ratio` (observed over
    expected). Each image is in exactly one set, so the observed counts add up to N.

    Raises:
        ValueError: wrong and runs do not fit, or there is no image.
    """
    wrong = _checked_wrong(wrong, runs)
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
    wrong = _checked_wrong(wrong, runs)
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
    _check_stack(probabilities)
    stack = probabilities.astype(np.float64)
    divergence = entr(stack.mean(0)).sum(1) - entr(stack).sum(2).mean(0)
    bound = np.log(min(stack.shape[0], stack.shape[2])) or 1.0  # a single run, or class, cannot disagree
    return np.clip(divergence / bound, 0, 1)


# One run's probabilities --------------------------------------------------------------------------------------------


def reliability_table(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """One row per bin of confidence, equally wide over (0, 1]: low, high, count, confidence, accuracy.

    `confidence` and `accuracy` are means over the bin's images, NaN in an empty bin. A bin is open below and closed
    above, as in Guo et al. 2017 (arXiv 1706.04599), section 2.

    Raises:
        ValueError: probabilities (N, K) and labels (N,) do not fit, or there is no image.
    """
    _check_labelled(probabilities, labels)
    confidence = probabilities.max(1).astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    right = probabilities.argmax(1) == labels
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


def margins(probabilities: np.ndarray) -> np.ndarray:
    """Float (N,) in [0, 1]: the highest minus the second highest probability, from probabilities (N, K), K >= 2."""
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(f"wanted probabilities (N, K) with K >= 2; got {probabilities.shape}")
    highest = np.partition(probabilities, -2, axis=1)[:, -2:]
    return highest[:, 1] - highest[:, 0]


def image_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Float (N,): the cross entropy of each image in nats, from probabilities (N, K) and labels (N,)."""
    _check_labelled(probabilities, labels)
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels].astype(np.float64), TINY))


def label_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Bool (N,): whose label is likely wrong, by cleanlab's confident learning.

    These are the images where a class other than the label, and the likeliest of all, reaches its threshold: the mean
    probability of that class over the images labelled so (Northcutt et al. 2021, arXiv 1911.00068, section 3.1).

    The probabilities must come from images that the model was not trained on.

    Raises:
        ValueError: probabilities (N, K) and labels (N,) do not fit, or there is no image.
    """
    from cleanlab.filter import find_label_issues  # slow to import

    _check_labelled(probabilities, labels)
    return find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)


# Agreement of heatmaps ----------------------------------------------------------------------------------------------


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
            clauses.append(f"{_listed(runs)} {one if len(runs) == 1 else several}")
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


# Checks -------------------------------------------------------------------------------------------------------------


def _stacked(wrong_a: np.ndarray, wrong_b: np.ndarray) -> np.ndarray:
    if wrong_a.shape != wrong_b.shape:
        raise ValueError(
            f"wanted two runs on the same images; got outcomes of shape {wrong_a.shape} and {wrong_b.shape}"
        )
    return np.stack([wrong_a, wrong_b])


def _checked_wrong(wrong: np.ndarray, runs: Sequence[str]) -> np.ndarray:
    if wrong.dtype != bool or wrong.ndim != 2 or len(wrong) != len(runs) or not wrong.shape[1]:
        raise ValueError(
            f"wanted bool outcomes ({len(runs)}, N) with N >= 1, a row per run; got {wrong.dtype} {wrong.shape}"
        )
    if len(set(runs)) < len(runs):
        raise ValueError(f"wanted a different label for each run; got {', '.join(runs)}")
    return wrong


def _check_stack(probabilities: np.ndarray) -> None:
    if probabilities.ndim != 3 or not len(probabilities):
        raise ValueError(f"wanted probabilities (runs, N, K) of at least one run; got {probabilities.shape}")


def _check_labelled(probabilities: np.ndarray, labels: np.ndarray) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            f"wanted probabilities (N, K) and labels (N,) with N >= 1; got {probabilities.shape} and {labels.shape}"
        )
