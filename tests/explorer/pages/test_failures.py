"""The page *Failures*: what it shows is what the runs and the images on disk say."""

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from explorer.app.text import plain
from explorer.datasets import load_dataset
from explorer.runs import IMPORTED, Choice, Predictions, Run, list_runs
from explorer.runs.weights import predict
from tests.explorer.pages.driving import (
    OpenApp,
    all_pages,
    answers,
    chart_data,
    disputed,
    elements,
    galleries,
    healthy,
    ids,
    misclassified,
    pictures,
    sheets,
    stored,
    tiles,
    words,
    write_like,
)

LABELS = {"batch": "batch", "group": "group", "none": "no norm"}
CLASSES = ("blue", "green", "red")


def chosen_class(app: AppTest, key: str) -> str:
    """The class that a selector stands at."""
    number = app.selectbox(key=key).value
    assert number is not None
    return CLASSES[number]


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_failures_shows_exactly_the_misclassified_images(open_app: OpenApp, runs: dict[str, Run], norm: str):
    wrong = misclassified(runs[norm])
    app = open_app("failures", run=LABELS[norm])
    assert f"{len(wrong)} of {runs[norm].card.metrics['test'].count}" in words(app)
    shown = [image for page in all_pages(app) for image in page]
    assert len(shown) == len(wrong)
    assert set(shown) == set(wrong["image_id"])


def test_a_tile_names_the_classes_and_the_confidence(open_app: OpenApp, runs: dict[str, Run]):
    wrong = misclassified(runs["batch"]).set_index("image_id")
    for tile in tiles(open_app("failures", run="batch"), "Test images"):
        row = wrong.loc[tile["id"]]
        caption = " ".join([tile["title"], *tile["lines"]])
        sure = f"{row['confidence']:.0%}" if row["confidence"] < 0.995 else "99."
        for part in (f"true {row['true']}", f"predicted {row['predicted']}", f"{sure}"):
            assert part in caption
            assert part in tile["description"]
        assert tile["tone"] == "wrong"


def test_the_filters_keep_just_the_matching_images(open_app: OpenApp, runs: dict[str, Run]):
    wrong = misclassified(runs["batch"])
    (true, predicted), _ = Counter(zip(wrong["true"], wrong["predicted"], strict=True)).most_common()[-1]
    app = open_app("failures", run="batch")

    app.selectbox(key="true").set_value(CLASSES.index(true))
    healthy(app.run())
    expected = wrong[wrong["true"] == true]
    assert {image for page in all_pages(app) for image in page} == set(expected["image_id"])

    app.selectbox(key="predicted").set_value(CLASSES.index(predicted))
    healthy(app.run())
    expected = expected[expected["predicted"] == predicted]
    assert set(ids(app)) == set(expected["image_id"])
    assert str(len(expected)) in words(app)


def test_no_matching_failure_is_a_sentence(open_app: OpenApp):
    app = open_app("failures", confidence=["0", "0"])
    assert not ids(app)
    assert len(app.info) == 1


def test_sorting_orders_by_confidence_or_as_in_the_data_set(open_app: OpenApp, runs: dict[str, Run]):
    wrong = misclassified(runs["group"]).set_index("image_id")
    app = open_app("failures", run="group")
    falling, rising, kept = "most confident", "least confident", "data set"
    for order in (falling, rising, kept):
        healthy(app.selectbox(key="order").select(order).run())
        shown = [image for page in all_pages(app) for image in page]
        confidence = wrong.loc[shown, "confidence"]
        if order == kept:
            assert shown == list(wrong.index)
        else:
            assert confidence.is_monotonic_increasing if order == rising else confidence.is_monotonic_decreasing


@pytest.mark.parametrize("change", ["true", "predicted", "order", "run"])
def test_a_change_of_the_selection_goes_back_to_the_first_page(open_app: OpenApp, runs: dict[str, Run], change: str):
    app = open_app("failures", run="batch")
    first = ids(app)
    healthy(elements(app, "pagination")[0].select(2).run())
    assert not set(ids(app)) & set(first)
    if change == "run":
        app.button_group(key="run").set_value("no norm")
    else:
        app.selectbox(key=change).select_index(1)
    healthy(app.run())
    rising = change == "order"
    wrong = misclassified(runs["none" if change == "run" else "batch"])
    wrong = wrong.sort_values("confidence", kind="stable", ascending=rising)
    if change in ("true", "predicted"):
        wrong = wrong[wrong[change] == chosen_class(app, change)]
    expected = list(wrong["image_id"])
    assert ids(app) == expected[: len(ids(app))]
    assert len(ids(app)) == min(24, len(expected))


def test_the_url_restores_the_selection(open_app: OpenApp, runs: dict[str, Run]):
    wrong = misclassified(runs["group"])
    image = wrong.iloc[0]
    order = "least confident"
    query = {"run": "group", "true": image["true"], "order": order, "heatmaps": "true", "image": image["image_id"]}
    app = open_app("failures", **query)
    assert app.button_group(key="run").value == "group"
    assert chosen_class(app, "true") == image["true"]
    assert app.selectbox(key="order").value == order
    assert app.toggle(key="heatmaps").value is True
    expected = wrong.loc[wrong["true"] == image["true"]].sort_values("confidence", kind="stable")["image_id"]
    assert ids(app) == list(expected)[:24]
    assert len(pictures(app)) == 1
    assert plain(image["image_id"]) in words(app)


def test_the_url_restores_the_page(open_app: OpenApp):
    app = open_app("failures", run="batch")
    second = all_pages(app)[1]
    assert ids(open_app("failures", run="batch", page="2")) == second


@pytest.mark.parametrize(
    "query",
    [
        {"run": "nonsense"},
        {"true": "nonsense", "predicted": "nonsense", "order": "nonsense"},
        {"page": "99"},
        {"page": "-1"},
        {"image": "nonsense"},
        {"dataset": "nonsense", "architecture": "nonsense"},
    ],
)
def test_a_url_that_names_nothing_shows_the_page_and_one_line(open_app: OpenApp, query: dict[str, str]):
    app = open_app("failures", **query)
    assert len(ids(app)) == 24
    (line,) = app.warning
    assert all(key in line.value for key in query)


def test_the_large_image_is_explained_by_every_norm(open_app: OpenApp, runs: dict[str, Run]):
    row = disputed(runs)
    app = open_app("failures", run="batch", image=row["image_id"])
    assert len(pictures(app)) == 1
    assert str(row["true"]) in words(app)
    (gallery,) = galleries(app, "Heatmaps of every variant")
    assert [question for question, _ in gallery["headings"]] == [
        "Why this answer?",
        f"Where is {row['true']}?",
        "What tipped the scales?",
    ]
    said_by = [stored(runs[norm]).set_index("image_id").loc[row["image_id"]] for norm in LABELS]
    for number, kind in enumerate(("predicted", "true", "predicted")):
        shown = gallery["tiles"][number * len(runs) : (number + 1) * len(runs)]
        assert [tile["title"] for tile in shown] == list(LABELS.values())
        for tile, answer in zip(shown, said_by, strict=True):
            right = answer["predicted"] == answer["true"]
            assert tile["tone"] == ("right" if right else "wrong")
            said = "nothing to contrast" if right and number == 2 else answer[kind]
            assert said in " ".join(tile["lines"])


def test_the_sheet_of_the_large_image_has_each_norm_below_itself(open_app: OpenApp, runs: dict[str, Run]):
    row = disputed(runs)
    app = open_app("failures", run="batch", image=row["image_id"])
    (gallery,) = galleries(app, "Heatmaps of every variant")
    sheet = np.asarray(Image.open(io.BytesIO(gallery["png"])).convert("RGB"))
    rows = [np.split(part, len(runs), axis=1) for part in np.split(sheet, 3)]
    split = load_dataset(runs["batch"].spec.dataset.location, size=len(sheet) // 3).splits["test"]
    image = split.images[split.ids.index(row["image_id"])].permute(1, 2, 0).numpy()
    for column, run in enumerate(runs[norm] for norm in LABELS):
        answer = stored(run).set_index("image_id").loc[row["image_id"]]
        right = answer["predicted"] == answer["true"]
        predicted, true, contrast = (part[column] for part in rows)
        assert np.array_equal(predicted, true) == right
        off = np.abs(contrast.astype(float) - image).mean()  # a JPEG of noise is off by less than 4
        assert off < 4 if right else off > 8


def test_heatmaps_change_the_pictures_and_nothing_else(open_app: OpenApp):
    app = open_app("failures", run="batch")
    plain, before = sheets(app), tiles(app)
    healthy(app.toggle(key="heatmaps").set_value(True).run())
    assert sheets(app) != plain
    assert tiles(app) == before


def test_on_other_images_the_shown_predictions_are_made_anew(
    open_app: OpenApp, coloured, runs: dict[str, Run], tmp_path: Path
):
    images = copytree(coloured.images, tmp_path / "colours")
    location = f"folder:{images}"
    original = runs["batch"]
    moved = replace(original.spec.dataset, location=location, fingerprint=load_dataset(location, size=32).fingerprint)
    root = tmp_path / "checkpoints"
    run = write_like(root, original, dataset=moved)
    table = stored(run)
    right, other = table.query("true == predicted").iloc[0], table.query("true != predicted")
    donor = other[other["predicted"] != right["true"]].iloc[0]
    line = plain("The images here (90 for testing) are not those")
    assert line not in words(open_app("failures", root))
    (images / right["image_id"]).write_bytes((images / donor["image_id"]).read_bytes())

    test = load_dataset(location, size=32).splits["test"]
    found = Predictions(test.ids, test.labels.numpy(), predict(run.load_model(), test.images, run.spec.input))
    wrong = found.outcomes.wrong
    assert wrong.sum() == len(misclassified(run)) + 1
    app = open_app("failures", root)  # without a restart
    shown = {image for page in all_pages(app) for image in page}
    assert shown == {image for image, failed in zip(test.ids, wrong, strict=True) if failed}
    assert shown != set(misclassified(run)["image_id"])
    assert f"{wrong.sum()} of {len(test.ids)}" in words(app)
    assert line in words(app)


def test_weights_that_do_not_fit_are_a_line_and_the_figures_stay(open_app: OpenApp, few: Path):
    bad = next(run for run in list_runs(few)[0] if run.spec.norm == Choice("none"))
    save_file({"head.weight": np.zeros(2, np.float32)}, bad.path / "weights.safetensors")
    app = open_app("failures", few, run="no norm")
    assert f"{len(misclassified(bad))} of 90" in words(app)
    assert ids(app)
    (line,) = [caption.value for caption in app.caption if "No heatmaps" in caption.value]
    assert "train the run again" in line


def test_an_image_says_in_how_many_seeds_it_fails(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    others = [
        write_like(few, runs["batch"], seed=seed, predictions=answers(runs["batch"], 0.5, seed)) for seed in (1, 2)
    ]
    replicates = [runs["batch"], *others]
    wrong = np.array([stored(run).eval("true != predicted") for run in replicates])
    counts = dict(zip(stored(runs["batch"])["image_id"], wrong.sum(0), strict=True))
    app = open_app("failures", few, run="batch")
    assert app.selectbox(key="seed").value == 0
    for seed in (0, 2):
        healthy(app.selectbox(key="seed").set_value(seed).run())
        assert f"{wrong[seed].sum()} of 90" in words(app)
        for tile in tiles(app, "Test images"):
            assert f"{counts[tile['id']]} of 3 seeds fail" in tile["lines"]
    image = tiles(app, "Test images")[0]["id"]
    assert f"batch {counts[image]} of 3" in words(open_app("failures", few, run="batch", image=image))


def test_one_run_alone_has_nothing_to_compare(open_app: OpenApp, runs: dict[str, Run], tmp_path: Path):
    run = write_like(tmp_path / "alone", runs["group"])
    app = open_app("failures", tmp_path / "alone")
    assert set(ids(app)) <= set(misclassified(run)["image_id"])
    assert not app.button_group
    assert {box.key for box in app.selectbox} >= {"true", "predicted", "order"}
    assert not {box.key for box in app.selectbox} & {"failed_by", "minus", "seed"}
    assert all("fail" not in line for tile in tiles(app, "Test images") for line in tile["lines"])


def test_a_run_without_weights_of_an_unknown_norm_shows_its_failures(
    open_app: OpenApp, few: Path, runs: dict[str, Run]
):
    run = write_like(
        few,
        runs["batch"],
        norm=Choice("whitening"),
        recipe=None,
        seed=None,
        origin=IMPORTED,
        weights=False,
        history=False,
    )
    app = open_app("failures", few, run="whitening")
    assert set(ids(app)) <= set(misclassified(run)["image_id"])
    assert len(ids(app)) == 24
    assert not app.toggle or app.toggle[0].key != "heatmaps"


def many_classes(runs: dict[str, Run], root: Path, count: int) -> Run:
    """A run on images of so many classes, none of which is here."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, count, 400)
    probabilities = rng.dirichlet(np.ones(count), 400).astype(np.float32)
    found = Predictions([f"test/{number}" for number in range(400)], labels, probabilities)
    return write_like(
        root,
        runs["batch"],
        dataset=replace(runs["batch"].spec.dataset, name="many", location="folder:/nowhere/many", fingerprint="f" * 16),
        classes=tuple(f"class {number}" for number in range(count)),
        predictions=found,
        weights=False,
        history=False,
        origin=IMPORTED,
    )


def test_of_many_classes_the_most_confused_are_shown_and_a_matrix_of_a_few(
    open_app: OpenApp, runs: dict[str, Run], tmp_path: Path
):
    run = many_classes(runs, tmp_path / "many", 200)
    wrong = misclassified(run)
    app = open_app("failures", tmp_path / "many")
    (chart,) = elements(app, "vega_lite_chart")
    assert 0 < len(chart_data(chart)) <= 12
    largest = wrong[["true", "predicted"]].value_counts().iloc[0]
    assert chart_data(chart)["count"].iloc[0] == largest
    healthy(app.button_group(key="confused").set_value("Matrix").run())
    (chart,) = elements(app, "vega_lite_chart")
    assert len(chart_data(chart)) <= 9 * 9
    sums = chart_data(chart).query("predicted == 'any class'").set_index("true")["count"].to_dict()
    assert sums.pop("any class") == len(wrong)
    assert sums == {name: (wrong["true"] == name).sum() for name in sums}


def test_without_pictures_the_failures_are_a_list(open_app: OpenApp, runs: dict[str, Run], tmp_path: Path):
    run = many_classes(runs, tmp_path / "many", 5)
    app = open_app("failures", tmp_path / "many")
    assert not ids(app)
    wrong = misclassified(run)
    shown = app.dataframe[0].value["image"]
    assert set(shown) == set(wrong.sort_values("confidence", ascending=False)["image_id"].head(len(shown)))
    assert len(shown) == min(len(wrong), 240)
    (line,) = app.info
    assert "are not here" in line.value
