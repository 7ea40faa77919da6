"""Runs as tables: one row per run with its figures, one per variant, and one per epoch of a variant."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from explorer.runs.axes import Grouping, Variant, settings_of
from explorer.runs.card import SPLITS
from explorer.runs.folder import HISTORY_METRICS, Run

METRICS = ("accuracy", "micro_f1", "macro_f1", "loss", "misclassified")
COSTS = ("parameters", "macs", "seconds")


def runs_table(runs: Sequence[Run], labels: Mapping[str, str]) -> pd.DataFrame:
    """One row per run: `run` (its label), what defines it, `<split>_<metric>` of every split, and what it cost.

    NaN or None stands where a card does not say.
    """
    rows = []
    for run in runs:
        card, settings = run.card, settings_of(run.spec)
        row = {"run": labels[run.key], "dataset": run.spec.dataset.name}
        row |= {key: settings.get(key) for key in ("architecture", "norm", "seed", "batch_size", "epochs")}
        row["learning_rate"] = settings.get("learning_rate")
        for split in reversed(SPLITS):
            found = asdict(card.metrics[split]) if split in card.metrics else {}
            row |= {f"{split}_{metric}": found.get(metric, np.nan) for metric in (*METRICS, "count")}
        costs = {key: getattr(card, key) for key in COSTS}
        rows.append(row | {key: np.nan if value is None else value for key, value in costs.items()})
    return pd.DataFrame(rows)


def variants_table(grouping: Grouping) -> pd.DataFrame:
    """One row per variant: `variant`, `runs` (how many), and of each figure the mean over them and its `_std`.

    The standard deviation is that of the sample (n - 1), NaN for a single run.
    """
    figures = [f"{split}_{metric}" for split in SPLITS for metric in METRICS] + list(COSTS)
    rows = []
    for variant in grouping.variants:
        table = runs_table(variant.runs, {run.key: run.key for run in variant.runs})[figures].astype(float)
        row: dict[str, object] = {"variant": variant.label, "runs": len(variant.runs)}
        for key in figures:
            row[key] = table[key].mean()
            row[f"{key}_std"] = table[key].std(ddof=1) if len(table) > 1 else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def curves_table(grouping: Grouping) -> pd.DataFrame:
    """One row per variant, split, metric and epoch, with these and `time`, `mean`, `low`, `high` and `runs` as columns.

    `mean`, `low` and `high` are over the replicates that reached the epoch, `runs` says how many those are. `time` is
    the epoch's number times the median epoch of each run, averaged over all runs, in seconds: single epochs are as slow
    as whatever else the machine did. Variants without a history have no row. Raises DamagedRun.
    """
    parts = [_curves_of(variant) for variant in grouping.variants]
    columns = ["variant", "split", "metric", "epoch", "time", "mean", "low", "high", "runs"]
    return pd.concat([part for part in parts if len(part)] or [pd.DataFrame(columns=columns)], ignore_index=True)


def is_best(table: pd.DataFrame, column: str, most: bool, alike: Sequence[str] = ()) -> np.ndarray:
    """Whether each row has the best value of a column, bool (rows,): the most or the least, all of several that tie.

    Rows that differ in one of the columns `alike` are no rivals; without a rival no row is the best.
    """
    rivals = table.groupby(list(alike))[column] if alike else table.groupby(np.zeros(len(table)))[column]
    ties = np.isclose(table[column], rivals.transform("max" if most else "min"), rtol=1e-9, atol=0)
    return ties & (np.asarray(rivals.transform("count")) > 1)


def median_epoch(seconds: Sequence[float] | np.ndarray) -> float:
    """The median time of an epoch, from the times at which the epochs ended, counted from 0."""
    return float(np.median(np.diff(np.concatenate([[0.0], np.asarray(seconds, dtype=float)]))))


def _curves_of(variant: Variant) -> pd.DataFrame:
    histories = [history for history in (run.history() for run in variant.runs) if len(history)]
    if not histories:
        return pd.DataFrame()
    seconds = np.mean([median_epoch(history["seconds"].to_numpy()) for history in histories])
    epochs = pd.concat(histories, ignore_index=True).groupby("epoch")
    parts = []
    for split in ("train", "val"):
        for metric in HISTORY_METRICS:
            part = epochs[f"{split}_{metric}"].agg(mean="mean", low="min", high="max", runs="count").reset_index()
            time = part["epoch"] * seconds
            parts.append(part.assign(time=time, variant=variant.label, split=split, metric=metric))
    return pd.concat(parts, ignore_index=True)
