"""Every page through the app itself: what it shows is what the runs and the images on disk say."""

import io
import json
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Dataframe

import explorer.app.session
from explorer.datasets import load_dataset
from explorer.marks import MARKS
from explorer.models import build_model
from explorer.models.norms import NORMS
from explorer.predictions.metrics import compute_metrics
from explorer.runs import DatasetCard, Predictions, Run, list_runs, predict, write_run

ROOT = Path(__file__).parents[3]
PAGES = re.findall(r'PAGES / "(\w+)\.py"', (ROOT / "explorer/app/frame.py").read_text())
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

OpenApp = Callable[..., AppTest]


@pytest.fixture
def open_app(coloured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> OpenApp:
    """`open_app(page, root, /, **query)` -> the app on that page, drawn once, with these parameters in its URL."""
    monkeypatch.setenv("NORMSCOPE_CACHE", str(coloured.cache))
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path / "no-data"))

    def open_one(name: str = "overview", root: Path = coloured.checkpoints, /, **query: str | list[str]) -> AppTest:
        monkeypatch.setattr(explorer.app.session, "CHECKPOINTS", root)
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
        for key, value in query.items():
            app.query_params[key] = value
        return healthy(app.switch_page(f"explorer/pages/{name}.py").run())

    return open_one


@pytest.fixture
def runs(coloured) -> dict[str, Run]:
    """The coloured runs by norm, which is also the label they go by, in the order of the registry."""
    found = {run.card.norm.name: run for run in list_runs(coloured.checkpoints)[0]}
    return {norm: found[norm] for norm in NORMS if norm in found}


@pytest.fixture
def few(coloured, tmp_path: Path) -> Path:
    """A root of the test's own with a copy of the coloured runs."""
    return copytree(coloured.checkpoints, tmp_path / "checkpoints")


def healthy(app: AppTest) -> AppTest:
    """The app, which shows no exception."""
    assert not app.exception, [(e.message, e.stack_trace) for e in app.exception]
    return app


def galleries(app: AppTest, label: str = "") -> list[dict]:
    """The galleries on the page whose label starts so: the header that the browser gets, which tells pictures apart.

    Below `png` stands the sheet of its pictures.
    """
    found = []
    for component in app.get("bidi_component"):
        if component.proto.component_name.endswith("gallery"):
            (length,) = struct.unpack("<I", component.proto.bytes[:4])
            header = json.loads(component.proto.bytes[4 : 4 + length])
            found.append(header | {"png": component.proto.bytes[4 + length :]})
    return [header for header in found if header["label"].startswith(label)]


def tiles(app: AppTest, label: str = "") -> list[dict]:
    """The tiles of these galleries, in order: id, title, lines, tone, description."""
    return [tile for header in galleries(app, label) for tile in header["tiles"]]


def sheets(app: AppTest, label: str = "") -> list[str]:
    """What the pictures of these galleries are known by."""
    return [header["digest"] for header in galleries(app, label)]


def ids(app: AppTest) -> list[str]:
    """The images on the grid of failures."""
    return [tile["id"] for tile in tiles(app, "Test images")]


def pictures(app: AppTest) -> list[str]:
    """The address of every picture outside galleries; it is derived from the pixels."""
    return [address for image in app.get("image") for address in image.value]


def cells(app: AppTest) -> list[bytes]:
    """The pixels of every picture of every gallery that shows a single row."""
    cut = []
    for header in galleries(app):
        sheet = np.asarray(Image.open(io.BytesIO(header["png"])).convert("RGB"))
        cut += [picture.tobytes() for picture in np.split(sheet, header["columns"], axis=1)]
    return cut


def words(app: AppTest) -> str:
    """All text of the page and of the column beside it, one piece a line."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.text, app.info, app.warning, app.error, app.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def stored(run: Run) -> pd.DataFrame:
    """The test rows of predictions.parquet with names of classes, in order: image_id, true, predicted, confidence."""
    table = pd.read_parquet(run.path / "predictions.parquet").query("split == 'test'").sort_values("index")
    probabilities = table.filter(like="probability_").to_numpy()
    names = np.array(run.card.classes)
    return pd.DataFrame(
        {
            "image_id": table["image_id"].to_numpy(),
            "true": names[table["label"]],
            "predicted": names[probabilities.argmax(1)],
            "confidence": probabilities.max(1),
        }
    )


def misclassified(run: Run) -> pd.DataFrame:
    return stored(run).query("true != predicted")


def disputed(runs: dict[str, Run]) -> pd.Series:
    """A test image, as batch sees it, that batch gets wrong and another norm gets right."""
    wrong = pd.DataFrame({norm: stored(run).eval("true != predicted") for norm, run in runs.items()})
    return stored(runs["batch"])[wrong["batch"] & ~wrong.all(axis=1)].iloc[0]


def all_pages(app: AppTest) -> list[list[str]]:
    """The ids of the tiles on each page of the gallery, in order."""
    shown = [ids(app)]
    count = app.get("pagination")[0].num_pages if app.get("pagination") else 1
    for number in range(2, count + 1):
        shown.append(ids(healthy(app.get("pagination")[0].select(number).run())))
    return shown


def png(size: tuple[int, int] = (50, 40)) -> bytes:
    """A reddish noisy PNG file."""
    file = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 60, (*size, 3), np.uint8) + np.array([140, 0, 0], np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def cifar_root(runs: dict[str, Run], tmp_path: Path) -> Path:
    """A root with one run on cifar10, whose files are not on the machine."""
    torch.manual_seed(0)
    model = build_model("resnet8", "batch", classes=10)
    rng = np.random.default_rng(0)
    tested = Predictions(
        tuple(f"test/{n}" for n in range(30)), rng.integers(0, 10, 30), rng.dirichlet(np.ones(10), 30).astype("float32")
    )
    original = runs["batch"]
    card = replace(
        original.card,
        dataset=DatasetCard("cifar10", "CIFAR-10.", "0" * 16, {"train": 300, "val": 30, "test": 30}),
        classes=CIFAR10,
        metrics=dict.fromkeys(("train", "val", "test"), compute_metrics(tested.probabilities, tested.labels)),
    )
    root = tmp_path / "cifar-checkpoints"
    write_run(root, card, model.state_dict(), original.history(), {"val": tested, "test": tested})
    return root


# Every page


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(open_app: OpenApp, page: str):
    app = open_app(page)
    assert len(app.title) == 1
    assert not app.warning
    assert not app.error


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_a_data_set_that_is_not_here(open_app: OpenApp, cifar_root: Path, page: str):
    app = open_app(page, cifar_root)
    assert len(app.title) == 1
    assert app.selectbox(key="dataset").value == "cifar10"


@pytest.mark.parametrize("page", ["failures", "classes"])
def test_without_the_pictures_a_line_says_how_to_get_them(open_app: OpenApp, cifar_root: Path, page: str):
    text = words(open_app(page, cifar_root))
    assert "--download" in text
    assert text.count("--download") == 1


def test_without_the_pictures_an_upload_still_works(open_app: OpenApp, cifar_root: Path):
    app = open_app("your_image", cifar_root)
    healthy(app.file_uploader[0].upload("cat.png", png(), "image/png").run())
    assert len(cells(app)) == 2
    assert "batch" in words(app)


def test_without_runs_the_page_says_what_to_run(open_app: OpenApp, tmp_path: Path):
    for root in (tmp_path / "nowhere", tmp_path):
        app = open_app("overview", root)
        assert [code.value.split()[:3] for code in app.code] == [["python", "-m", "train"]]


def test_a_damaged_run_is_one_line_and_the_others_are_shown(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    damaged = few / runs["group"].key / "weights.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    app = open_app("overview", few)
    assert [runs["group"].path.name in warning.value for warning in app.sidebar.warning] == [True]
    assert set(app.dataframe[0].value["run"]) == {"batch", "none"}
    for page in PAGES:
        healthy(app.switch_page(f"explorer/pages/{page}.py").run())


def test_a_damaged_card_is_one_line(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    card = few / runs["none"].key / "card.json"
    card.write_text(card.read_text()[:500])
    app = open_app("overview", few)
    assert [runs["none"].path.name in warning.value for warning in app.sidebar.warning] == [True]
    assert set(app.dataframe[0].value["run"]) == {"batch", "group"}


def test_a_new_run_is_listed_on_the_next_view(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    late, outside = few / runs["none"].key, few / ".outside"
    late.rename(outside)
    app = open_app("overview", few)
    assert set(app.dataframe[0].value["run"]) == {"batch", "group"}
    outside.rename(late)
    assert set(healthy(app.run()).dataframe[0].value["run"]) == {"batch", "group", "none"}


# Overview


def test_overview_shows_each_card_and_marks_the_best(open_app: OpenApp, runs: dict[str, Run]):
    table = open_app().dataframe[0]
    accuracy, count = (column_called(table, heading) for heading in ("Test accuracy", "Test misclassified"))
    shown = table.value.set_index(column_called(table, "Norm"))
    assert set(shown.index) == set(runs)
    for norm, run in runs.items():
        assert shown.loc[norm, accuracy] == run.card.metrics["test"].accuracy
        assert shown.loc[norm, count] == len(misclassified(run))
    assert shown[accuracy].is_monotonic_decreasing
    styler, place = table.proto.arrow_data.styler, list(table.value.columns).index(accuracy)
    marked = [f"#T_{styler.uuid}_row{row}_col{place}" in styler.styles for row in range(len(shown))]
    assert marked == list(shown[accuracy] == shown[accuracy].max())


def test_overview_names_the_split_that_its_figures_are_of(open_app: OpenApp, runs: dict[str, Run]):
    app = open_app()
    for title, word, split in (("Validation", "Val", "val"), ("Train", "Train", "train")):
        healthy(app.button_group(key="runs_split").set_value(title).run())
        table = app.dataframe[0]
        shown = table.value.set_index("run")[column_called(table, f"{word} accuracy")]
        assert shown.to_dict() == {norm: run.card.metrics[split].accuracy for norm, run in runs.items()}


def test_overview_shows_mean_and_spread_of_several_seeds(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    run = runs["batch"]
    metrics = run.card.metrics | {"test": replace(run.card.metrics["test"], accuracy=0.25)}
    stored = {split: run.predictions(split) for split in ("val", "test")}
    write_run(few, replace(run.card, seed=1, metrics=metrics), run.load_model().state_dict(), run.history(), stored)
    app = open_app("overview", few)
    one = run.card.metrics["test"].accuracy
    mean, std = (one + 0.25) / 2, abs(one - 0.25) / 2**0.5
    assert f"batch {100 * mean:.1f} ± {100 * std:.1f}\N{NO-BREAK SPACE}% (2 seeds)" in words(app)
    assert f"group {100 * runs['group'].card.metrics['test'].accuracy:.1f}\N{NO-BREAK SPACE}% (one seed)" in words(app)
    assert set(app.dataframe[0].value["run"]) == set(runs), "the comparison itself is of one seed"
    (table,) = [frame.value for frame in app.dataframe if "n" in frame.value]
    shown = table.set_index("norm")
    assert shown["n"].to_dict() == {norm: 2 if norm == "batch" else 1 for norm in runs}
    assert shown.loc["batch", "test_accuracy"] == pytest.approx(mean)
    assert shown.loc["batch", "test_accuracy_std"] == pytest.approx(std)


def test_overview_of_one_seed_has_no_table_of_seeds(open_app: OpenApp):
    app = open_app()
    assert "Over seeds" not in words(app)
    assert not [frame for frame in app.dataframe if "n" in frame.value]


def column_called(table: Dataframe, heading: str) -> str:
    """The column of a shown table that stands under a heading."""
    settings = json.loads(table.proto.columns)
    (name,) = [name for name in table.proto.column_order if settings.get(name, {}).get("label", name) == heading]
    return name


# Failures


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_failures_shows_exactly_the_misclassified_images(open_app: OpenApp, runs: dict[str, Run], norm: str):
    wrong = misclassified(runs[norm])
    app = open_app("failures", run=norm)
    assert f"{len(wrong)} of {runs[norm].card.metrics['test'].count}" in words(app)
    shown = [image for page in all_pages(app) for image in page]
    assert len(shown) == len(wrong)
    assert set(shown) == set(wrong["image_id"])


def test_a_tile_names_the_classes_and_the_confidence(open_app: OpenApp, runs: dict[str, Run]):
    wrong = misclassified(runs["batch"]).set_index("image_id")
    for tile in tiles(open_app("failures", run="batch"), "Test images"):
        row = wrong.loc[tile["id"]]
        caption = " ".join([tile["title"], *tile["lines"]])
        for part in (row["true"], row["predicted"], f"{row['confidence']:.0%}"):
            assert part in caption
            assert part in tile["description"]
        assert tile["tone"] == "wrong"


def test_the_filters_keep_just_the_matching_images(open_app: OpenApp, runs: dict[str, Run]):
    wrong = misclassified(runs["batch"])
    true, predicted = wrong[["true", "predicted"]].value_counts().index[-1]
    app = open_app("failures", run="batch")

    app.selectbox(key="true").select(true)
    healthy(app.run())
    expected = wrong[wrong["true"] == true]
    assert {image for page in all_pages(app) for image in page} == set(expected["image_id"])

    app.selectbox(key="predicted").select(predicted)
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
    healthy(app.get("pagination")[0].select(2).run())
    assert not set(ids(app)) & set(first)
    if change == "run":
        app.button_group(key="run").set_value("none")
    else:
        app.selectbox(key=change).select_index(1)
    healthy(app.run())
    wrong = misclassified(runs["none" if change == "run" else "batch"]).sort_values("confidence", kind="stable")
    if change in ("true", "predicted"):
        wrong = wrong[wrong[change] == app.selectbox(key=change).value]
    expected = list(wrong["image_id"] if change == "order" else wrong["image_id"][::-1])
    assert ids(app) == expected[: len(ids(app))]
    assert len(ids(app)) == min(24, len(expected))


def test_the_url_restores_the_selection(open_app: OpenApp, runs: dict[str, Run]):
    wrong = misclassified(runs["group"])
    image = wrong.iloc[0]
    order = "least confident"
    query = {"run": "group", "true": image["true"], "order": order, "heatmaps": "true", "image": image["image_id"]}
    app = open_app("failures", **query)
    assert app.button_group(key="run").value == "group"
    assert app.selectbox(key="true").value == image["true"]
    assert app.selectbox(key="order").value == order
    assert app.toggle(key="heatmaps").value is True
    expected = wrong[wrong["true"] == image["true"]].sort_values("confidence", kind="stable")["image_id"]
    assert ids(app) == list(expected)[:24]
    assert len(pictures(app)) == 1
    assert image["image_id"] in words(app)


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
def test_a_url_that_names_nothing_shows_the_page_all_the_same(open_app: OpenApp, query: dict[str, str]):
    assert len(ids(open_app("failures", **query))) == 24


def opened_by_link(root: Path, open_app: OpenApp, dataset: str) -> AppTest:
    """The app as a visitor sees it who comes with a link to that data set."""
    open_app("overview", root)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["dataset"] = dataset
    return healthy(app.run())


def test_a_link_names_a_data_set_by_its_title_or_as_the_command_line_does(
    open_app: OpenApp, few: Path, cifar_root: Path, runs: dict[str, Run]
):
    root = copytree(cifar_root, few, dirs_exist_ok=True)
    name = runs["batch"].card.dataset.name
    assert opened_by_link(root, open_app, "CIFAR-10").selectbox(key="dataset").value == "cifar10"  # the first of both
    for asked in (name, Path(name).name):
        app = opened_by_link(root, open_app, asked)
        assert app.selectbox(key="dataset").value == name
        assert not app.warning


def test_a_link_to_a_data_set_without_runs_says_so(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    app = opened_by_link(few, open_app, "birds")
    assert [warning.value for warning in app.sidebar.warning] == [
        "The link asks for data set 'birds', of which there is no run here."
    ]
    assert app.selectbox(key="dataset").value == runs["batch"].card.dataset.name


def test_the_large_image_is_explained_by_every_norm(open_app: OpenApp, runs: dict[str, Run]):
    row = disputed(runs)
    app = open_app("failures", run="batch", image=row["image_id"])
    assert len(pictures(app)) == 1
    assert row["true"] in words(app)
    (gallery,) = galleries(app, "Heatmaps of every norm")
    assert [question for question, _ in gallery["headings"]] == [
        "Why this answer?",
        f"Where is {row['true']}?",
        "What tipped the scales?",
    ]
    answers = {norm: stored(run).set_index("image_id").loc[row["image_id"]] for norm, run in runs.items()}
    for number, kind in enumerate(("predicted", "true", "predicted")):
        shown = gallery["tiles"][number * len(runs) : (number + 1) * len(runs)]
        assert [tile["title"] for tile in shown] == list(runs)
        for tile, answer in zip(shown, answers.values(), strict=True):
            right = answer["predicted"] == answer["true"]
            assert tile["tone"] == ("right" if right else "wrong")
            said = "nothing to contrast" if right and number == 2 else answer[kind]
            assert said in " ".join(tile["lines"])


def test_the_sheet_of_the_large_image_has_each_norm_below_itself(open_app: OpenApp, runs: dict[str, Run]):
    row = disputed(runs)
    app = open_app("failures", run="batch", image=row["image_id"])
    (gallery,) = galleries(app, "Heatmaps of every norm")
    sheet = np.asarray(Image.open(io.BytesIO(gallery["png"])).convert("RGB"))
    rows = [np.split(part, len(runs), axis=1) for part in np.split(sheet, 3)]
    split = load_dataset(runs["batch"].card.dataset.name, size=len(sheet) // 3).splits["test"]
    image = split.images[split.ids.index(row["image_id"])].permute(1, 2, 0).numpy()
    for column, run in enumerate(runs.values()):
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


# Classes


@pytest.mark.parametrize("name", ["blue", "green", "red"])
def test_classes_shows_right_and_wrong_images_of_the_class(open_app: OpenApp, runs: dict[str, Run], name: str):
    app = open_app("classes", **{"class": name})
    shown = tiles(app)
    start = 0
    for norm in (heading.value for heading in app.subheader if heading.value in runs):
        run = runs[norm]
        of_class = stored(run).query("true == @name")
        right, wrong = (of_class[(of_class["predicted"] == name) == side] for side in (True, False))
        for part, tone in ((right, "right"), (wrong, "wrong")):
            best = part.sort_values("confidence", ascending=False, kind="stable")["image_id"].head(4).to_list()
            row = shown[start : start + len(best)]
            assert [tile["id"] for tile in row] == best
            assert all(tile["tone"] == tone for tile in row)
            start += len(best)
        assert f"{len(right)} of {len(of_class)}" in words(app)
    assert start == len(shown) > 4 * len(runs)


def test_classes_explains_another_class_with_other_pictures(open_app: OpenApp):
    app = open_app("classes", **{"class": "blue"})
    before = sheets(app)
    healthy(app.selectbox(key="target").select_index(1).run())
    after = sheets(app)
    assert len(after) == len(before)
    assert before != after


# Your image


def test_an_upload_gets_a_heatmap_of_every_norm(open_app: OpenApp, runs: dict[str, Run]):
    app = open_app("your_image")
    before = cells(app)
    assert len(before) == 1 + len(runs)
    healthy(app.file_uploader[0].upload("mine.png", png(), "image/png").run())
    after = cells(app)
    assert len(after) == 1 + len(runs)
    assert after[0] not in before
    assert {tile["title"] for tile in tiles(app, "mine.png")} == {"Image", *runs}
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
    app = open_app("your_image")
    healthy(app.file_uploader[0].upload(name, data, "image/png").run())
    assert len(app.error) == 1
    text = words(app)
    assert f"{name}: expected a PNG, JPEG or WEBP picture, got" in text
    assert not cells(app)


def test_a_sample_is_shown_with_its_true_class(open_app: OpenApp, coloured):
    app = open_app("your_image")
    before = cells(app)
    name = app.selectbox(key="sample").options[-1]
    healthy(app.selectbox(key="sample").select(name).run())
    assert cells(app)[0] != before[0]
    label, image = name.split(", ")
    assert image.split("/")[1] == label
    first, *norms = tiles(app, image)
    assert f"is {label}" in first["lines"]
    for tile in norms:
        assert tile["tone"] == ("right" if tile["lines"][0].startswith(f"{label} ") else "wrong")
        assert tile["colour"] == MARKS[tile["title"]].colour


def test_a_chosen_class_is_explained_by_every_norm(open_app: OpenApp, runs: dict[str, Run]):
    app = open_app("your_image")
    shown = {}
    for name in runs["batch"].card.classes:
        healthy(app.selectbox(key="explained").select(name).run())
        shown[name] = cells(app)
    images, *maps = zip(*shown.values(), strict=True)
    assert len(set(images)) == 1
    assert any(len(set(of_norm)) == 3 for of_norm in maps)


# Training


@pytest.mark.parametrize("metric", ["Accuracy", "Loss", "Micro F1", "Macro F1"])
def test_training_draws_the_chosen_metric(open_app: OpenApp, runs: dict[str, Run], metric: str):
    app = open_app("training")
    healthy(app.button_group(key="metric").set_value(metric).run())
    charts = app.get("vega_lite_chart")
    assert len(charts) == 2
    for chart, split in zip(charts, ("train", "val"), strict=True):
        data = chart_data(chart).set_index("run")
        column = f"{split}_{metric.lower().replace(' ', '_')}"
        for norm, run in runs.items():
            assert data.loc[norm, "value"] == pytest.approx(run.history()[column].item())


def test_every_view_of_training_shows_curves_or_what_to_run(open_app: OpenApp):
    app = open_app("training")
    for view in app.button_group(key="view").options:
        healthy(app.button_group(key="view").set_value(view).run())
        assert bool(app.get("vega_lite_chart")) != any("python -m train" in code.value for code in app.code)


def test_training_draws_against_epochs_or_time(open_app: OpenApp):
    app = open_app("training")
    fields = []
    for option in app.button_group(key="axis").options:
        healthy(app.button_group(key="axis").set_value(option).run())
        fields.append(json.loads(app.get("vega_lite_chart")[0].proto.spec)["encoding"]["x"]["field"])
    assert fields == ["epoch", "seconds"]


def chart_data(chart) -> pd.DataFrame:
    with pa.ipc.open_stream(chart.proto.datasets[0].data.data) as stream:
        return stream.read_pandas()


# Images that are not those the run was tested on


def test_on_other_images_the_shown_predictions_are_made_anew(
    open_app: OpenApp, coloured, runs: dict[str, Run], tmp_path: Path
):
    images = copytree(coloured.images, tmp_path / "colours")
    name = f"folder:{images}"
    original = runs["batch"]
    weights = original.load_model().state_dict()
    kept = {split: original.predictions(split) for split in ("val", "test")}
    card = replace(original.card, dataset=replace(original.card.dataset, name=name))
    root = tmp_path / "checkpoints"
    run = write_run(root, card, weights, original.history(), kept)
    table = stored(run)
    right, other = table.query("true == predicted").iloc[0], table.query("true != predicted")
    donor = other[other["predicted"] != right["true"]].iloc[0]
    (images / right["image_id"]).write_bytes((images / donor["image_id"]).read_bytes())

    test = load_dataset(name, size=32).splits["test"]
    found = Predictions(test.ids, test.labels.numpy(), predict(run.load_model(), test.images, run.card.input))
    assert found.wrong.sum() == kept["test"].wrong.sum() + 1
    app = open_app("failures", root)
    shown = {image for page in all_pages(app) for image in page}
    assert shown == {image for image, wrong in zip(found.ids, found.wrong, strict=True) if wrong}
    assert shown != set(misclassified(run)["image_id"])
    assert f"{found.wrong.sum()} of {len(found.ids)}" in words(app)


# Weights that are not those of the run's model


def test_weights_that_do_not_fit_are_a_line_and_no_crash(open_app: OpenApp, coloured, tmp_path: Path):
    root = copytree(coloured.checkpoints, tmp_path / "checkpoints")
    bad = next(run for run in list_runs(root)[0] if run.card.norm.name == "none")
    save_file({"head.weight": np.zeros(2, np.float32)}, bad.path / "weights.safetensors")
    app = open_app("your_image", root)
    (line,) = app.error
    assert f"{bad.path.name}: weights.safetensors does not fit card.json" in line.value
    assert "train the run again" in line.value
