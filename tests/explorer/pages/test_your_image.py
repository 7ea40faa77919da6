"""The page *Your image*: what it shows is what the models and the images on disk say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from explorer.app import caches
from explorer.datasets import load_dataset
from explorer.heatmaps.explanation import Explained
from explorer.marks import NORM_MARKS
from explorer.predictions.votes import votes_sentence
from explorer.runs import IMPORTED, Choice, Run, list_runs
from tests.conftest import Coloured
from tests.explorer.pages.driving import OpenApp, cells, elements, healthy, png, said, stored, tiles, words, write_like


def label_of(norm: str) -> str:
    return "no norm" if norm == "none" else norm


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """The page after these files were put in the uploader."""
    return healthy(app.file_uploader[0].set_value([(name, data, "image/png") for name, data in files]).run())


def go_to(app: AppTest, page: str) -> AppTest:
    return healthy(app.switch_page(f"explorer/pages/{page}.py").run())


def names(app: AppTest) -> list[str]:
    """The images on the page."""
    return [tile["description"].partition(":")[0] for tile in tiles(app) if tile["id"] == "image"]


def test_every_variant_answers_and_shows_a_heatmap(open_app: OpenApp, runs: dict[str, Run]):
    app = open_app("your_image")
    image = str(app.selectbox(key="sample").value)
    first, *answers = tiles(app, image)
    assert first["title"] == "Image"
    assert [tile["title"] for tile in answers] == [label_of(norm) for norm in ("batch", "group", "none")]
    assert len({*cells(app)}) == 1 + len(runs)
    for tile, norm in zip(answers, ("batch", "group", "none"), strict=True):
        row = stored(runs[norm]).set_index("image_id").loc[image]
        assert tile["lines"][0] == f"{row['predicted']} {row['confidence']:.0%}"
        assert tile["tone"] == ("right" if row["predicted"] == row["true"] else "wrong")
        assert tile["colour"] == NORM_MARKS[norm].colour
        assert f"true {row['true']}" in first["lines"]


def test_a_sentence_says_who_agrees(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    state = runs["batch"].load_model().state_dict()
    turned = {key: value.roll(1, 0) if key.startswith("head.") else value for key, value in state.items()}
    write_like(few, runs["batch"], norm=Choice("batch-scratch"), weights=turned)  # says the next class to batch's
    app = open_app("your_image", few)
    image, classes = app.selectbox(key="sample").value, runs["batch"].card.classes
    said = {norm: stored(run).set_index("image_id").loc[image, "predicted"] for norm, run in runs.items()}
    said["batch-scratch"] = classes[(classes.index(said["batch"]) + 1) % 3]
    labels = [tile["title"] for tile in tiles(app)[1:]]
    predicted = [classes.index(said["none" if label == "no norm" else label]) for label in labels]
    sentence = votes_sentence(predicted, labels, classes, "norm")
    assert f"#### {sentence}" in words(app).replace("\\", "")
    assert " of 4 norms " in sentence


def test_an_upload_takes_the_place_of_the_sample(open_app: OpenApp, runs: dict[str, Run]):
    app = open_app("your_image")
    before = cells(app)
    upload(app, ("mine.png", png()))
    assert names(app) == ["mine.png"]
    assert len(cells(app)) == 1 + len(runs)
    assert cells(app)[0] not in before
    assert app.selectbox(key="sample").disabled
    assert not app.error


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.png", png(size=(300, 300))[:2000]),
        ("empty.png", b""),
        ("notes.png", b"These are notes, not a picture.\n" * 20),
    ],
)
def test_a_bad_upload_is_a_line_that_says_what_was_wanted(open_app: OpenApp, name: str, data: bytes):
    app = upload(open_app("your_image"), (name, data), ("good.png", png()))
    assert len(app.error) == 1
    assert f"{name}: expected a PNG, JPEG or WEBP picture, got" in words(app)
    assert names(app) == ["good.png"]


def test_names_of_files_are_text(open_app: OpenApp):
    name = "[x](http://a.b) $y$ :red[z].png"
    app = upload(open_app("your_image"), (name, png()))
    assert name in [text.value for text in app.text]
    assert not any("](http" in markdown.value for markdown in app.markdown)


def test_uploads_survive_another_page_until_they_are_removed(open_app: OpenApp, runs: dict[str, Run]):
    app = upload(open_app("your_image"), ("one.png", png()), ("two.png", png((60, 60))))
    before = cells(app)
    go_to(app, "learn")
    go_to(app, "your_image")
    assert names(app) == ["one.png", "two.png"]
    assert cells(app) == before
    upload(app, ("three.png", png((70, 70))))
    assert names(app) == ["three.png", "one.png", "two.png"]
    go_to(app, "training")
    go_to(app, "your_image")
    assert names(app) == ["three.png", "one.png", "two.png"]
    (button,) = [button for button in app.button if "uploaded before" in button.label]
    healthy(button.click().run())
    assert names(app) == [app.selectbox(key="sample").value]
    assert len(cells(app)) == 1 + len(runs)


def test_no_more_than_twelve_images_are_shown(open_app: OpenApp):
    app = upload(open_app("your_image"), *((f"{n}.png", png((40 + n, 40))) for n in range(14)))
    assert names(app) == [f"{n}.png" for n in range(12)]
    assert ["12 images are shown at a time" in warning.value for warning in app.warning] == [True]


def test_the_sample_stands_in_the_address_by_its_id(open_app: OpenApp):
    app = open_app("your_image")
    label = app.selectbox(key="sample").options[-1]
    healthy(app.selectbox(key="sample").select_index(len(app.selectbox(key="sample").options) - 1).run())
    image = str(app.query_params["sample"])
    assert label.endswith(image)
    assert names(app) == [image]
    assert names(open_app("your_image", sample=image)) == [image]


def test_a_test_image_says_in_how_many_seeds_each_norm_fails(open_app: OpenApp, seeds_root: Path):
    app = open_app("your_image", seeds_root)
    image = str(app.selectbox(key="sample").value)
    failing: dict[str, list[bool]] = {}
    for run in list_runs(seeds_root)[0]:
        row = stored(run).set_index("image_id").loc[image]
        assert run.spec.norm is not None
        failing.setdefault(label_of(run.spec.norm.name), []).append(row["predicted"] != row["true"])
    expected = [f"{norm} {sum(failing[norm])} of {len(failing[norm])}" for norm in ("batch", "group", "no norm")]
    assert [len(failing[norm]) for norm in ("batch", "group", "no norm")] == [3, 3, 1]
    assert f"Seeds that fail: {', '.join(expected)}." in said(app)
    assert "Seeds that fail" not in said(upload(app, ("own.png", png((9, 9)))))


def test_one_run_of_each_norm_says_nothing_of_seeds(open_app: OpenApp):
    assert "Seeds that fail" not in said(open_app("your_image"))


@pytest.mark.parametrize("key", ["sample", "explained", "map_scale", "opacity"])
def test_what_the_address_asks_in_vain_is_one_line(open_app: OpenApp, key: str):
    app = open_app("your_image", **{key: "nothing/of the kind"})
    assert [key in warning.value for warning in app.warning] == [True]
    assert cells(app) == cells(open_app("your_image"))


def test_a_chosen_class_is_explained_by_every_variant(open_app: OpenApp, runs: dict[str, Run]):
    shown = {}
    for name in runs["batch"].card.classes:
        app = open_app("your_image", explained=name)
        shown[name] = cells(app)
        for tile in tiles(app)[1:]:
            assert any(line.startswith(f"{name} ") for line in tile["lines"])
    images, *maps = zip(*shown.values(), strict=True)
    assert len(set(images)) == 1
    assert any(len(set(of_variant)) == 3 for of_variant in maps)


def test_one_scale_for_all_draws_other_maps(open_app: OpenApp):
    own, shared = open_app("your_image"), open_app("your_image", map_scale="shared")
    assert cells(own)[0] == cells(shared)[0]
    assert cells(own) != cells(shared)
    assert "share one scale" in words(shared)


def test_without_opacity_there_is_the_image_alone(open_app: OpenApp):
    assert len(set(cells(open_app("your_image", opacity="0")))) == 1


def test_probabilities_are_drawn_when_asked_for(open_app: OpenApp, runs: dict[str, Run]):
    app = open_app("your_image")
    assert not elements(app, "vega_lite_chart")
    app.session_state["sure-0"] = True
    assert len(elements(healthy(app.run()), "vega_lite_chart")) == 1


def test_one_model_alone(open_app: OpenApp, tmp_path: Path, runs: dict[str, Run]):
    write_like(tmp_path, runs["batch"])
    app = open_app("your_image", tmp_path)
    row = stored(runs["batch"]).set_index("image_id").loc[app.selectbox(key="sample").value]
    assert f"#### Predicted {row['predicted']}, {row['confidence']:.0%}" in words(app)
    assert app.title[0].value == "What does the model see in your image?"
    assert len(cells(app)) == 2
    assert len(elements(app, "vega_lite_chart")) == 1
    assert not elements(app, "button_group")
    assert "each norm" not in words(app)


def test_a_seed_is_chosen_where_there_are_several(open_app: OpenApp, seeds_root: Path):
    keys = {(run.spec.norm.name, run.spec.seed): run.key for run in list_runs(seeds_root)[0] if run.spec.norm}
    app = open_app("your_image", seeds_root, seed="2")
    assert app.selectbox(key="seed").options == ["0", "1", "2"]
    wanted = [keys["batch", 2], keys["group", 2], keys["none", 0]]
    assert [tile["id"] for tile in tiles(app)[1:]] == wanted
    healthy(app.selectbox(key="seed").select(1).run())
    assert [tile["id"] for tile in tiles(app)[1:]] == [keys["batch", 1], keys["group", 1], keys["none", 0]]


def test_without_seeds_none_is_asked_for(open_app: OpenApp):
    assert "seed" not in [box.key for box in open_app("your_image").selectbox]


def test_runs_that_cannot_be_asked_are_left_out_with_a_line(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    write_like(few, runs["batch"], norm=Choice("future"))
    write_like(few, runs["batch"], norm=Choice("layer"), weights=False, origin=IMPORTED)
    write_like(few, runs["batch"], norm=Choice("instance"), weights={"wrong": torch.zeros(1)})
    app = open_app("your_image", few)
    assert {tile["title"] for tile in tiles(app)} == {"Image", *map(label_of, runs)}
    (warning,) = app.warning
    assert [label in warning.value for label in ("future", "layer", "instance")] == [True] * 3
    assert warning.value.count("is left out") == 3


def test_where_no_run_can_be_asked_the_page_says_so(open_app: OpenApp, tmp_path: Path, runs: dict[str, Run]):
    for norm in ("batch", "group"):
        write_like(tmp_path, runs[norm], weights=False, origin=IMPORTED)
    app = open_app("your_image", tmp_path)
    assert "None of these runs has weights that load" in words(app)
    assert not tiles(app)


def test_a_run_of_other_classes_is_left_out(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    write_like(
        few, runs["group"], norm=Choice("layer"), weights=relabelled(runs), classes=("blue", "green", "ultraviolet")
    )
    app = open_app("your_image", few)
    assert "knows other classes" in words(app)
    assert "layer" not in {tile["title"] for tile in tiles(app)}


def relabelled(runs: dict[str, Run]) -> dict[str, torch.Tensor]:
    return runs["group"].load_model().state_dict()


def test_models_of_different_input_sizes_see_the_same_image(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    spec = runs["group"].spec
    write_like(few, runs["group"], input=replace(spec.input, height=48, width=48), norm=Choice("layer"))
    app = open_app("your_image", few)
    assert "48 × 48 pixels" in tiles(app)[0]["lines"]
    assert "layer" in {tile["title"] for tile in tiles(app)}
    upload(app, ("mine.png", png()))
    assert len(tiles(app)) == 1 + 4


def test_without_the_pictures_an_upload_still_works(open_app: OpenApp, cifar_root: Path):
    app = open_app("your_image", cifar_root)
    assert words(app).count("are not here") == 1
    upload(app, ("cat.png", png()))
    assert len(cells(app)) == 2
    assert "Predicted" in words(app)


def test_images_that_changed_are_said_to_have_changed(
    open_app: OpenApp, coloured: Coloured, tmp_path: Path, runs: dict[str, Run]
):
    ref = replace(runs["batch"].spec.dataset, fingerprint="0" * 16)
    write_like(tmp_path, runs["batch"], dataset=ref)
    app = open_app("your_image", tmp_path)
    assert words(app).count("files were added, removed or changed") == 1
    dataset = load_dataset(coloured.name, size=32, cache_root=coloured.cache)
    assert app.selectbox(key="sample").value == dataset.splits["test"].ids[0]


def test_a_map_of_one_pixel(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch):
    def explained(run: Run, digest: str, target: int | None, image: torch.Tensor) -> Explained:
        probabilities = np.array([0.2, 0.7, 0.1], np.float32)
        return Explained(probabilities, 1 if target is None else target, "last", torch.ones(1, 1), (32, 32))

    monkeypatch.setattr(caches, "explained", explained)
    for scale in ("own", "shared"):
        app = open_app("your_image", map_scale=scale)
        assert {tile["lines"][0] for tile in tiles(app)[1:]} == {"green 70%"}
        assert len(cells(app)) == 4


def test_the_pixels_are_those_on_disk(open_app: OpenApp, coloured: Coloured):
    app = open_app("your_image", opacity="0")
    image = Image.open(coloured.images / str(app.selectbox(key="sample").value)).convert("RGB")
    shown = np.frombuffer(cells(app)[0], np.uint8).reshape(32, 32, 3)
    assert np.abs(shown.astype(int) - np.asarray(image).astype(int)).mean() < 5  # a JPEG
