"""Runs, variants and curves as tables, against figures worked by hand."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.runs import HISTORY_COLUMNS, IMPORTED, Choice, Run, curves_table, group_runs, runs_table, variants_table
from explorer.runs import write_run as write_any
from explorer.runs.tables import is_best, median_epoch
from tests.explorer.runs.making import COUNTS, METRICS, card_of, made_predictions, run_of


def measured(seed: int, accuracy: float, seconds: float | None = 60.0, norm: str = "batch") -> Run:
    """A run that nothing is on disk of, with that test accuracy."""
    metrics = {"val": METRICS, "test": replace(METRICS, accuracy=accuracy, misclassified=round(12 * (1 - accuracy)))}
    return run_of(seed=seed, norm=Choice(norm), seconds=seconds, metrics=metrics)


class TestRuns:
    def test_a_row_a_run_with_what_its_card_says(self) -> None:
        run = measured(3, 0.75)
        (row,) = runs_table([run], {run.key: "mine"}).to_dict("records")
        wanted = {"run": "mine", "dataset": "toys", "architecture": "simplecnn", "norm": "batch", "seed": "3"}
        wanted |= {"batch_size": "8", "epochs": "2", "learning_rate": "0.1", "parameters": 1234, "macs": 56789}
        wanted |= {"test_accuracy": 0.75, "test_misclassified": 3, "test_count": 12, "val_loss": 0.9, "seconds": 60.0}
        assert {key: row[key] for key in wanted} == wanted
        assert math.isnan(row["train_accuracy"])

    def test_what_no_card_says_is_missing(self) -> None:
        run = run_of(recipe=None, seed=None, norm=None, origin=IMPORTED, seconds=None, parameters=None, macs=None)
        (row,) = runs_table([run], {run.key: "theirs"}).to_dict("records")
        assert (row["norm"], row["seed"]) == ("unknown", "–")
        assert all(row[key] is None or row[key] != row[key] for key in ("batch_size", "epochs", "learning_rate"))
        assert all(math.isnan(row[key]) for key in ("seconds", "parameters", "macs"))


class TestVariants:
    def test_mean_and_sample_deviation_over_replicates(self) -> None:
        runs = [measured(0, 0.5), measured(1, 0.75), measured(2, 1.0), measured(0, 0.25, norm="layer")]
        batch, layer = variants_table(group_runs(runs, "norm")).to_dict("records")
        assert (batch["variant"], batch["runs"], layer["variant"], layer["runs"]) == ("batch", 3, "layer", 1)
        assert batch["test_accuracy"] == pytest.approx(0.75)
        assert batch["test_accuracy_std"] == pytest.approx(0.25)  # deviations -1/4, 0, 1/4; (1/16 + 1/16) / 2
        assert layer["test_accuracy"] == 0.25
        assert math.isnan(layer["test_accuracy_std"])

    def test_a_cost_that_no_run_knows(self) -> None:
        (row,) = variants_table(group_runs([measured(0, 0.5, seconds=None)], "norm")).to_dict("records")
        assert math.isnan(row["seconds"])


def trained(root: Path, seed: int, losses: Sequence[float], ends: Sequence[float]) -> Run:
    """A run on disk whose validation loss after each epoch and the times they ended are given."""
    history = pd.DataFrame(0.5, index=range(len(losses)), columns=list(HISTORY_COLUMNS))
    history["epoch"], history["val_loss"], history["seconds"] = np.arange(1, len(losses) + 1), losses, ends
    card = card_of(seed=seed)
    return write_any(root, card, {}, history, made_predictions(COUNTS, 3))


class TestCurves:
    def test_over_the_replicates_that_reached_the_epoch(self, tmp_path: Path) -> None:
        runs = [
            trained(tmp_path, 0, [3.0, 2.0, 1.0], [10, 20, 90]),  # epochs of 10, 10 and 70 seconds: the median is 10
            trained(tmp_path, 1, [1.0, 1.0], [20, 50]),  # of 20 and 30: the median is 25
        ]
        table = curves_table(group_runs(runs, "norm"))
        loss = table[(table["split"] == "val") & (table["metric"] == "loss")]
        rows = loss.loc[:, ["epoch", "time", "mean", "low", "high", "runs"]].to_numpy(dtype=float).tolist()
        assert rows == [
            [1, 17.5, 2.0, 1.0, 3.0, 2],
            [2, 35.0, 1.5, 1.0, 2.0, 2],
            [3, 52.5, 1.0, 1.0, 1.0, 1],  # time goes on though one of them stopped
        ]
        assert set(table["variant"]) == {"group"}
        assert len(table) == 3 * 2 * 4  # epochs, splits, metrics

    def test_runs_without_a_history_have_no_row(self, tmp_path: Path) -> None:
        card = card_of(origin=IMPORTED, recipe=None)
        run = write_any(tmp_path, card, None, None, made_predictions(COUNTS, 3))
        table = curves_table(group_runs([run], "norm"))
        assert len(table) == 0
        assert {"variant", "split", "metric", "epoch", "time", "mean"} <= set(table.columns)

    @pytest.mark.parametrize(("ends", "median"), [([10], 10), ([10, 20, 90], 10), ([5, 15], 7.5)])
    def test_the_median_epoch(self, ends: list[float], median: float) -> None:
        assert median_epoch(ends) == median


class TestBest:
    table = pd.DataFrame({"kind": ["a", "a", "b", "b"], "score": [0.1 + 0.2, 0.3, 0.5, np.nan], "loss": [3, 1, 1, 2]})

    def test_all_that_tie_are_best_whatever_rounding_made_of_them(self) -> None:
        assert is_best(self.table.head(2), "score", most=True).tolist() == [True, True]
        assert is_best(self.table, "loss", most=False).tolist() == [False, True, True, False]

    def test_only_what_is_alike_competes(self) -> None:
        assert is_best(self.table, "loss", most=True, alike=["kind"]).tolist() == [True, False, False, True]

    def test_nobody_is_best_without_a_rival(self) -> None:
        assert is_best(self.table, "score", most=True, alike=["kind"]).tolist() == [True, True, False, False]
        assert is_best(self.table.head(1), "loss", most=True).tolist() == [False]
