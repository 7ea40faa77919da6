"""The page *Capacity*: costs are those of the cards, the layer table is the model's, and neither needs the other."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from explorer.models import ARCHITECTURES, build_model
from explorer.models.layers import count_macs, count_parameters, layer_table
from explorer.predictions.paired import accuracy_interval
from explorer.registry import complete_arguments
from explorer.runs import Choice, Run
from tests.explorer.pages.driving import OpenApp, elements, healthy, words, write_like


def charts(app: AppTest) -> list[pd.DataFrame]:
    """The data of each chart, in the order of the page: all that its layers draw."""
    found = []
    for chart in elements(app, "vega_lite_chart"):
        found.append(pd.concat([read(one) for one in chart.proto.datasets], ignore_index=True))
    return found


def read(dataset) -> pd.DataFrame:
    with pa.ipc.open_stream(dataset.data.data) as stream:
        return stream.read_pandas()


def figures(app: AppTest) -> dict[str, str]:
    """The boxes with figures."""
    return {metric.label: metric.value for metric in app.metric}


def compact(root: Path, run: Run, norm: str) -> Run:
    """Writes a run of compact."""
    model = build_model("compact", norm, classes=3)
    return write_like(
        root,
        run,
        weights=model.state_dict(),
        parameters=count_parameters(model),
        macs=count_macs(model),
        architecture=Choice("compact", complete_arguments("architecture", "compact", ARCHITECTURES, {})),
        norm=Choice(norm, {}),
    )


def test_bars_are_the_costs_of_the_cards(open_app: OpenApp, runs: dict[str, Run]):
    parameters, macs, *_ = charts(open_app("capacity"))
    for data, cost in ((parameters, "parameters"), (macs, "macs")):
        found = data.groupby("variant")["cost"].first().to_dict()
        wanted = {"no norm" if norm == "none" else norm: getattr(run.card, cost) for norm, run in runs.items()}
        assert found == wanted


def test_accuracies_are_those_of_the_cards_with_their_intervals(open_app: OpenApp, runs: dict[str, Run]):
    for data in charts(open_app("capacity"))[2:4]:
        rows = data.dropna(subset=["variant"]).drop_duplicates("variant").set_index("variant")
        for norm, run in runs.items():
            row, test = rows.loc["no norm" if norm == "none" else norm], run.card.test
            assert row["accuracy"] == pytest.approx(test.accuracy)
            assert (row["low"], row["high"]) == pytest.approx(accuracy_interval(test.misclassified, test.count))


def test_the_other_runs_of_the_data_set_are_grey(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    other = compact(few, runs["batch"], "batch")
    app = open_app("capacity", few, architecture="resnet8")
    for data in charts(app)[2:4]:
        assert data["run"].dropna().unique().tolist() == [other.path.name]
    assert "Grey: 1 other run on this data set." in words(app)


def test_architectures_with_one_that_this_version_does_not_know(open_app: OpenApp, architectures_root: Path):
    app = open_app("capacity", architectures_root, compare="architecture", run="warpnet")
    bars = charts(app)[0].drop_duplicates("variant").set_index("variant")["cost"]
    assert (bars["warpnet"], bars["convnet"]) == (9_000, 2_000_000)
    assert {"resnet8", "convnet", "warpnet"} <= set(charts(app)[2]["variant"].dropna())
    assert figures(app)["Parameters"] == "9,000"
    assert ["unknown architecture 'warpnet'" in error.value for error in app.error] == [True]
    assert not app.dataframe
    healthy(app.button_group(key="run").set_value("resnet8").run())
    assert not app.error
    assert len(app.dataframe) == 1


def test_costs_that_nobody_knows(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    write_like(few, runs["batch"], norm=Choice("future"), parameters=None, macs=None)
    app = open_app("capacity", few)
    rows = charts(app)[0].drop_duplicates("variant").set_index("variant")
    assert rows.loc["future", "text"] == "not known"
    assert "future" not in set(charts(app)[2]["variant"])


def test_one_run_whose_costs_nobody_knows(open_app: OpenApp, tmp_path: Path, runs: dict[str, Run]):
    write_like(tmp_path, runs["batch"], architecture=Choice("warpnet"), parameters=None, macs=None)
    app = open_app("capacity", tmp_path)
    assert not charts(app)
    assert not figures(app)
    assert len(app.error) == 1


def test_one_run_alone_is_its_layers(open_app: OpenApp, tmp_path: Path, runs: dict[str, Run]):
    write_like(tmp_path, runs["group"])
    app = open_app("capacity", tmp_path)
    assert app.title[0].value == "What is the model made of?"
    assert not charts(app)
    assert not app.get("button_group")
    assert figures(app)["Parameters"] == f"{runs['group'].card.parameters:,}"


def test_the_compact_studys_table(open_app: OpenApp, tmp_path: Path, runs: dict[str, Run]):
    for norm in ("batch", "group"):
        compact(tmp_path, runs["batch"], norm)
    app = open_app("capacity", tmp_path)
    model = build_model("compact", "batch", classes=3)
    assert figures(app)["Parameters"] == f"{count_parameters(model):,}" == "40,163"
    assert figures(app)["MACs per image"] == f"{count_macs(model) / 1e6:.1f} M"
    assert figures(app)["Parameters in memory"] == "0.16 MB"
    table = app.dataframe[0].value
    layers, total = table.iloc[:-1], table.iloc[-1]
    assert layers["name"].tolist() == layer_table(model)["name"].tolist()
    for column in ("parameters", "buffers", "macs"):
        assert layers[column].sum() == total[column] == layer_table(model)[column].sum()


def test_the_layers_are_those_of_the_chosen_variant(open_app: OpenApp):
    app = open_app("capacity", run="group")
    assert figures(app)["Buffers"] == "0"
    assert "GroupNorm" in set(app.dataframe[0].value["kind"])
    healthy(app.button_group(key="run").set_value("batch").run())
    assert "BatchNorm2d" in set(app.dataframe[0].value["kind"])


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_what_the_norm_adds_is_a_sentence(open_app: OpenApp, norm: str):
    with_norm, without = (build_model("resnet8", name, classes=3) for name in (norm, "none"))
    added = count_parameters(with_norm) - count_parameters(without)
    buffers = sum(values.numel() for values in with_norm.buffers())
    text = words(open_app("capacity", run="no norm" if norm == "none" else norm))
    if norm == "none":
        assert "None of its layers is a norm." in text
    else:
        share = f"{100 * added / count_parameters(with_norm):.1f}%"
        assert f"Its 9 norm layers add {added:,} parameters, {share} of all, and {buffers:,} buffers." in text


def test_seeds_of_one_norm_cost_the_same(open_app: OpenApp, seeds_root: Path, runs: dict[str, Run]):
    bars = charts(open_app("capacity", seeds_root))[0].drop_duplicates("variant").set_index("variant")
    assert bars.loc["batch", "cost"] == runs["batch"].card.parameters
    assert len(bars) == len(runs)


def test_where_all_cost_the_same_a_sentence_says_so(open_app: OpenApp, seeds_root: Path, runs: dict[str, Run]):
    card = runs["batch"].card
    assert card.macs is not None
    app = open_app("capacity", seeds_root, compare="seed", norm="batch")
    said = f"All seeds cost the same: {card.parameters:,} parameters and {card.macs / 1e6:.1f} M MACs for one image."
    assert said in words(app)
    assert len(charts(app)) == 2
    assert set(charts(app)[0]["variant"].dropna()) == {"seed 0", "seed 1", "seed 2"}


def test_every_architecture_is_drawn_when_asked_for(open_app: OpenApp):
    app = open_app("capacity")
    assert len(charts(app)) == 4
    app.session_state["architectures"] = True
    data = charts(healthy(app.run()))[4].drop_duplicates("architecture").set_index("architecture")
    assert data.loc["resnet8", "trained"]
    assert not data.loc[["compact", "vgg11", "convnet"], "trained"].any()
    model = build_model("compact", "batch", classes=3)
    assert (data.loc["compact", "parameters"], data.loc["compact", "macs"]) == (
        count_parameters(model),
        count_macs(model),
    )
