"""The pages *Capacity* and *Learn*: the layer table adds up to the card, every fact on the page is found to hold."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from explorer.app import session
from explorer.app.charts import costs_chart
from explorer.models import build_model, facts
from explorer.models.layers import architecture_costs, count_macs, count_parameters, layer_table, memory_sizes
from explorer.models.norms import NORMS
from explorer.predictions.metrics import compute_metrics
from explorer.runs import HISTORY_COLUMNS, Card, Choice, DatasetCard, InputSpec, Predictions, write_run

APP = str(Path(__file__).parents[3] / "app.py")
CHECKS = [
    facts.check_own_batch_norm,
    facts.check_gradients,
    facts.check_bias,
    facts.check_groups,
    facts.check_gate,
]


def write_compact(root: Path, norm: str) -> Card:
    """The card of an untrained compact net's run, written below the root."""
    model = build_model("compact", norm, classes=10)
    labels = np.arange(20) % 10
    found = Predictions(tuple(f"test/{n}" for n in range(20)), labels, np.full((20, 10), 0.1, dtype=np.float32))
    metrics = compute_metrics(found.probabilities, labels)
    card = Card(
        created="2026-01-01T00:00:00+00:00",
        dataset=DatasetCard("cifar10", "made up for a test", "0" * 16, {"train": 20, "val": 20, "test": 20}),
        architecture=Choice("compact", {"dropout": 0.05}),
        norm=Choice(norm, {"groups": 4, "eps": 1e-5} if norm == "group" else {"eps": 1e-5}),
        classes=tuple("abcdefghij"),
        input=InputSpec(32, 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        recipe={"epochs": 1, "batch_size": 10, "learning_rate": 0.1},
        seed=0,
        parameters=count_parameters(model),
        macs=count_macs(model),
        seconds=1.0,
        best_epoch=1,
        versions={},
        hardware="none",
        metrics=dict.fromkeys(("train", "val", "test"), metrics),
    )
    history = pd.DataFrame([dict.fromkeys(HISTORY_COLUMNS, 1.0)])
    write_run(root, card, model.state_dict(), history, {"val": found, "test": found})
    return card


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app over two runs of the compact net, with batch and group norm, and no data set."""
    for norm in ("batch", "group"):
        write_compact(tmp_path, norm)
    monkeypatch.setattr(session, "CHECKPOINTS", tmp_path)
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path / "none"))
    return AppTest.from_file(APP, default_timeout=60)


def test_capacity_page_shows_study_bs_table(app: AppTest) -> None:
    app.run()
    app.switch_page("explorer/pages/capacity.py").run()
    assert not app.exception
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Parameters"] == "40,394"
    assert figures["MACs per image"] == "11.1 M"
    assert figures["Parameters in memory"] == "0.16 MB"
    table = app.dataframe[0].value
    layers, total = table.iloc[:-1], table.iloc[-1]
    assert (total["name"], total["parameters"], total["macs"]) == ("total", 40_394, 11_141_440)
    for column in ("parameters", "buffers", "macs"):
        assert layers[column].sum() == total[column]
    assert total["buffers"] > 0  # batch norm keeps running statistics


def test_capacity_page_follows_the_chosen_norm(app: AppTest) -> None:
    app.query_params["run"] = "group"
    app.run()
    app.switch_page("explorer/pages/capacity.py").run()
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Buffers"] == "0"
    assert "GroupNorm" in set(app.dataframe[0].value["kind"])


def test_learn_page_teaches_every_norm_and_all_its_facts_hold(app: AppTest) -> None:
    app.run()
    app.switch_page("explorer/pages/learn.py").run()
    assert not app.exception
    text = "\n".join(element.value for element in app.markdown)
    for title in ("Batch norm", "Layer norm", "Instance norm", "Group norm", "Batch-instance norm", "No norm"):
        assert f"#### {title}" in text
    assert text.count(":material/check_circle:") == sum(len(check(0)) for check in CHECKS)
    assert ":material/cancel:" not in text
    assert len(app.latex) == 1 + 6 + 4


def test_learn_page_checks_other_numbers_when_asked(app: AppTest) -> None:
    app.run()
    app.switch_page("explorer/pages/learn.py").run()
    before = _differences(app)
    app.number_input(key="draw").set_value(3).run()
    assert not app.exception
    assert _differences(app) != before


def _differences(app: AppTest) -> list[str]:
    return re.findall(r"largest difference \*\*(.*?)\*\*", "\n".join(element.value for element in app.markdown))


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("check", CHECKS)
def test_facts_hold(check, seed: int) -> None:  # type: ignore[no-untyped-def]
    assert all(found.holds for found in check(seed))


def test_a_check_can_fail() -> None:
    assert not facts.Check("two results", 0.1).holds
    assert not facts.Check("two results that should differ", 0.0, equal=False).holds


@pytest.mark.parametrize("norm", facts.SHADINGS)
def test_pictures_shade_the_faces_of_their_set(norm: str) -> None:
    """Seen from the front corner: its column's faces, the faces of the set on both sides, and its top."""
    picture = ElementTree.fromstring(facts.axes_picture(facts.SHADINGS[norm], "#123456", "#000000"))
    polygons = [element for element in picture.iter() if element.tag.endswith("polygon")]
    shaded = [polygon for polygon in polygons if polygon.get("fill") == "#123456"]
    n, c, rows = facts.IMAGES, facts.WIDE, facts.ROWS
    assert len(polygons) == n * c + (n + c) * rows
    expected = {
        "none": 0,
        "batch": n + n * rows + rows,
        "instance": 1 + 2 * rows,
        "batch-instance": n + n * rows + rows,
        "layer": c + c * rows + rows,
        "group": c // 2 + c // 2 * rows + rows,
    }
    assert len(shaded) == expected[norm]


def test_every_norm_has_a_picture() -> None:
    assert set(facts.SHADINGS) == set(NORMS) - {"batch-scratch"}  # it is batch norm


def test_sizes_in_memory_are_four_bytes_a_number() -> None:
    model = build_model("simplecnn", "none", classes=10)
    sizes = memory_sizes(model)
    outputs = 6 * 32 * 32 * 2 + 6 * 16 * 16 + 8 * 16 * 16 * 2 + 8 * 8 * 8 + 512 + 32 * 2 + 10
    assert sizes.input == pytest.approx(3 * 32 * 32 * 4e-6)
    assert sizes.activations == pytest.approx(outputs * 4e-6)
    assert sizes.parameters == pytest.approx(count_parameters(model) * 4e-6)
    assert sizes.total == pytest.approx(sizes.input + sizes.activations + sizes.parameters)


def test_costs_are_those_of_models_with_numbers() -> None:
    found = architecture_costs(
        {"resnet8": {"stem_stride": 2}, "compact": {}}, "group", {}, classes=4, input_size=(40, 32)
    )
    for name, arguments in (("resnet8", {"stem_stride": 2}), ("compact", {})):
        model = build_model(name, "group", classes=4, input_size=(40, 32), architecture_arguments=arguments)
        row = found.set_index("architecture").loc[name]
        assert (row["parameters"], row["macs"]) == (count_parameters(model), layer_table(model)["macs"].sum())


def test_costs_chart_sets_crowded_labels_apart() -> None:
    table = pd.DataFrame(
        [("low", "", 1e6, 1.0e8, True), ("high", "", 1.1e6, 1.3e8, False), ("far", "", 1e4, 1e7, True)],
        columns=["architecture", "arguments", "parameters", "macs", "trained"],
    )
    (rows,) = costs_chart(table, "far").to_dict()["datasets"].values()
    assert [row["label_below"] for row in rows] == [True, False, False]
    assert [row["chosen"] for row in rows] == [False, False, True]
