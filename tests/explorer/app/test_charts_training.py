"""The charts of *Training*: what happened, in as many points as a browser bears."""

from typing import Any

import pandas as pd
import pytest

from explorer.app.charts.base import MOST_MARKS
from explorer.app.charts.training import MOST_POINTS, curves_charts
from tests.explorer.app.specifications import check, layers, mark_of, specification

VARIANTS = ('batch, "8"', "group: it's [4]", "none\\é.", "layer, seed 1")


def curves(variants: int, epochs: int = 3, runs: int = 1) -> pd.DataFrame:
    """Accuracy rises from 0.5 in train and from 0.4 in val; replicates differ by 0.1."""
    rows = []
    for number in range(variants):
        for split, start in (("train", 0.5), ("val", 0.4)):
            for epoch in range(1, epochs + 1):
                mean = start + 0.4 * epoch / epochs
                name = VARIANTS[number] if number < 4 else f"v.{number}"
                spread = 0.05 if runs > 1 else 0.0
                rows.append((name, split, "accuracy", epoch, 60.0 * epoch, mean, mean - spread, mean + spread, runs))
    names = ["variant", "split", "metric", "epoch", "time", "mean", "low", "high", "runs"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def charts(table: pd.DataFrame, axis: str = "epoch") -> list[dict[str, Any]]:
    colours = {name: f"#{n:06d}" for n, name in enumerate(dict.fromkeys(table["variant"]))}
    return [specification(chart) for chart in curves_charts(table, "accuracy", "accuracy", axis, colours)]


def lines(spec: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return next((layer, rows) for layer, rows in layers(spec) if mark_of(layer) == "line")


@pytest.mark.parametrize("variants", [1, 4, 16])
@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("axis", ["epoch", "time"])
def test_valid(variants: int, runs: int, axis: str) -> None:
    for spec in charts(curves(variants, runs=runs), axis):
        check(spec)
        assert lines(spec)[0]["encoding"]["x"]["field"] == axis


def test_each_split_has_its_chart_with_every_epoch() -> None:
    table = curves(2)
    for spec, split in zip(charts(table), ("train", "val"), strict=True):
        rows = lines(spec)[1]
        wanted = table[table["split"] == split]
        assert [(row["variant"], row["epoch"], row["mean"]) for row in rows] == list(
            zip(wanted["variant"], wanted["epoch"], wanted["mean"], strict=True)
        )
        assert [row["time"] for row in rows] == [1, 2, 3] * 2  # minutes


def test_train_and_validation_share_a_scale_that_holds_both_and_their_bands() -> None:
    scales = [
        node["encoding"]["y"]["scale"]["domain"] for spec in charts(curves(2, runs=3)) for node, _ in layers(spec)
    ]
    assert all(scale == scales[0] for scale in scales)
    assert scales[0][0] < 0.4 + 0.4 / 3 - 0.05
    assert scales[0][1] > 0.9 + 0.05


def test_one_variant_needs_no_legend() -> None:
    shown = [lines(charts(curves(count))[0])[0]["encoding"]["color"].get("legend") is not None for count in (1, 2)]
    assert shown == [False, True]


@pytest.mark.parametrize("variants", [1, 7, 16])
def test_a_long_training_is_drawn_from_its_first_to_its_last_epoch_in_few_points(variants: int) -> None:
    for spec in charts(curves(variants, epochs=3000)):
        rows = lines(spec)[1]
        epochs = sorted({row["epoch"] for row in rows})
        assert (epochs[0], epochs[-1]) == (1, 3000)
        assert len(epochs) == min(MOST_POINTS, MOST_MARKS // variants)
        assert len(rows) <= MOST_MARKS
