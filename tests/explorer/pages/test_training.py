"""The page *Training*: the curves and figures are those of the runs on disk, whatever is compared."""

import json
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from explorer.runs import HISTORY_COLUMNS, Choice, Run, list_runs
from tests.explorer.pages.driving import OpenApp, chart_data, elements, healthy, words, write_like

SPLITS = ("train", "val")


def charts(app: AppTest) -> list[pd.DataFrame]:
    """The data of each chart."""
    return [chart_data(chart) for chart in elements(app, "vega_lite_chart")]


def histories(**values: float) -> pd.DataFrame:
    """Two epochs of 30 and 10 seconds with these values in both, 0.5 in the rest."""
    table = pd.DataFrame([dict.fromkeys(HISTORY_COLUMNS, 0.5) | values] * 2)
    return table.assign(epoch=[1, 2], seconds=[30.0, 40.0])


def rewrite(run: Run, history: pd.DataFrame) -> None:
    history.to_csv(run.path / "history.csv", index=False)


@pytest.mark.parametrize("metric", ["Accuracy", "Loss", "Micro F1", "Macro F1"])
def test_the_chosen_metric_is_drawn(open_app: OpenApp, runs: dict[str, Run], metric: str):
    app = open_app("training")
    healthy(app.button_group(key="metric").set_value(metric).run())
    for data, split in zip(charts(app), SPLITS, strict=True):
        column = f"{split}_{metric.lower().replace(' ', '_')}"
        means = dict(zip(data["variant"], data["mean"], strict=True))
        for norm, run in runs.items():
            label = "no norm" if norm == "none" else norm
            assert means[label] == pytest.approx(run.history()[column].item())


def test_against_epochs_or_relative_time(open_app: OpenApp):
    app = open_app("training")
    fields = []
    for option in app.button_group(key="axis").options:
        healthy(app.button_group(key="axis").set_value(option).run())
        spec = json.loads(elements(app, "vega_lite_chart")[0].proto.spec)
        fields.append({layer["encoding"]["x"]["field"] for layer in spec["layer"]})
        assert ("median epoch" in words(app)) == (option == "Relative time")
    assert fields == [{"epoch"}, {"time"}]


def test_relative_time_is_epochs_times_the_median_epoch(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    rewrite(write_like(few, runs["batch"], seed=0, norm=Choice("layer")), histories())
    data = charts(open_app("training", few, axis="Relative time"))[0].query("variant == 'layer'")
    assert data["time"].tolist() == pytest.approx([20 / 60, 40 / 60])  # epochs of 30 and 10 seconds


def test_seeds_are_a_mean_and_a_band_and_each_has_its_row(open_app: OpenApp, seeds_root: Path):
    seeds = [run for run in list_runs(seeds_root)[0] if run.spec.norm and run.spec.norm.name == "batch"]
    values = (0.2, 0.3, 0.7)
    for run, value in zip(seeds, values, strict=True):
        rewrite(run, histories(val_accuracy=value))
    app = open_app("training", seeds_root)
    data = charts(app)[1].query("variant == 'batch'")
    assert len(data) == 2
    assert data["mean"].tolist() == pytest.approx([0.4] * 2)
    assert (data["low"].iloc[0], data["high"].iloc[0], data["runs"].iloc[0]) == pytest.approx((0.2, 0.7, 3))
    table = app.dataframe[0].value
    assert table.query("run == 'batch'")["seed"].tolist() == ["0", "1", "2"]
    assert "lowest to the highest seed" in words(app)


def test_architectures_are_compared_and_what_kept_no_history_is_named(
    open_app: OpenApp, few: Path, runs: dict[str, Run]
):
    write_like(few, runs["batch"], architecture=Choice("warpnet"))
    write_like(few, runs["batch"], architecture=Choice("silent *net*"), weights=False, history=False, origin="imported")
    app = open_app("training", few, compare="architecture")
    assert set(charts(app)[0]["variant"]) == {"resnet8", "warpnet"}
    assert [info.value for info in app.info] == ["No training history was kept of silent \\*net\\*."]
    assert set(app.dataframe[0].value["run"]) == {"resnet8", "warpnet", "silent *net*"}


def test_without_any_history_there_is_a_table_alone(open_app: OpenApp, tmp_path: Path, runs: dict[str, Run]):
    write_like(tmp_path, runs["batch"], weights=False, history=False, origin="imported")
    app = open_app("training", tmp_path)
    assert not elements(app, "vega_lite_chart")
    assert app.title[0].value == "How did it learn?"
    assert len(app.dataframe[0].value) == 1


def test_one_run_alone(open_app: OpenApp, tmp_path: Path, runs: dict[str, Run]):
    write_like(tmp_path, runs["batch"])
    app = open_app("training", tmp_path)
    assert [set(data["variant"]) for data in charts(app)] == [{"batch"}, {"batch"}]
    assert "single it out" not in words(app)


def test_more_variants_than_can_be_told_apart_are_said_to_be_more(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    for number in range(17):
        write_like(few, runs["batch"], norm=Choice(f"norm{number}"))
    app = open_app("training", few)
    assert len(set(charts(app)[0]["variant"])) == 16
    assert "The first 16 of 20 variants are drawn." in words(app)
    assert len(app.dataframe[0].value) == 20


def test_figures_are_those_of_the_cards(open_app: OpenApp, runs: dict[str, Run]):
    table = open_app("training").dataframe[0].value.set_index("run")
    for norm, run in runs.items():
        row = table.loc["no norm" if norm == "none" else norm]
        for split, metrics in run.card.metrics.items():
            assert row[f"{split}_accuracy"] == pytest.approx(metrics.accuracy)
        assert (row["seconds"], row["best_epoch"], row["hardware"]) == (10, 1, "made up")
