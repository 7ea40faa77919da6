"""The page *Classes*: what it shows is what the runs and the images on disk say."""

from pathlib import Path
from shutil import copyfile

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from explorer.app.heatmap_settings import DEFAULT
from explorer.app.text import plain
from explorer.marks import NORM_MARKS
from explorer.runs import IMPORTED, Choice, Predictions, Run, list_runs
from tests.conftest import Coloured
from tests.explorer.pages.driving import (
    OpenApp,
    answers,
    chart_data,
    elements,
    galleries,
    healthy,
    sheets,
    stored,
    tiles,
    words,
    write_like,
)

SIDES = ("recognised", "missed")
LABELS = {"batch": "batch", "group": "group", "none": "no norm"}


def charts(app: AppTest) -> list:
    return elements(app, "vega_lite_chart")


def row(app: AppTest, label: str, side: str) -> list[dict]:
    """The tiles of the images that a variant gets right, or wrong."""
    return tiles(app, f"Images that {label} has {side}")


def of_class(run: Run, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The test images of a class that a run gets right, and those that it gets wrong, the most confident first."""
    found = stored(run).query("true == @name").sort_values("confidence", ascending=False, kind="stable")
    return found.query("predicted == @name"), found.query("predicted != @name")


def without_class(run: Run, name: str) -> Predictions:
    """The run's test predictions, in which the images of one class count as images of the next."""
    tested, classes = answers(run, 0.5), list(run.card.classes)
    gone = classes.index(name)
    labels = np.where(tested.labels == gone, (gone + 1) % len(classes), tested.labels)
    return Predictions(tested.ids, labels, tested.probabilities)


class TestImages:
    @pytest.mark.parametrize("name", ["blue", "green", "red"])
    def test_the_most_confident_right_and_wrong_images_of_the_class(
        self, open_app: OpenApp, runs: dict[str, Run], name: str
    ):
        app = open_app("classes", **{"class": name})
        for norm, run in runs.items():
            for side, tone, found in zip(SIDES, ("right", "wrong"), of_class(run, name), strict=True):
                shown = row(app, LABELS[norm], side)
                assert [tile["id"] for tile in shown] == found["image_id"].head(4).to_list()
                assert all(tile["tone"] == tone for tile in shown)
                assert [tile["title"] for tile in shown] == found["predicted"].head(4).to_list()
                assert f"{len(found)} {side}" in words(app)

    def test_a_tile_says_how_sure_and_by_which_variant(self, open_app: OpenApp, runs: dict[str, Run]):
        sure = of_class(runs["none"], "red")[1]["confidence"].iloc[0]
        tile = row(open_app("classes", **{"class": "red"}), "no norm", "missed")[0]
        assert tile["lines"] == [f"{100 * sure:.1f}% sure"]
        assert tile["colour"] == NORM_MARKS["none"].colour
        assert "no norm predicted" in tile["description"]

    def test_another_explained_class_gives_other_heatmaps(self, open_app: OpenApp):
        app = open_app("classes", **{"class": "blue"})
        before = sheets(app)
        healthy(app.selectbox(key="target").select_index(1).run())
        assert len(sheets(app)) == len(before)
        assert sheets(app) != before

    def test_the_opacity_changes_the_pictures(self, open_app: OpenApp):
        assert sheets(open_app("classes")) != sheets(open_app("classes", opacity="100"))

    def test_without_the_images_the_figures_stay(self, open_app: OpenApp, cifar_root: Path):
        app = open_app("classes", cifar_root)
        assert len(charts(app)) == 1
        assert not galleries(app)
        assert not [box for box in app.selectbox if box.key in ("target", "seed")]

    def test_a_class_without_test_images_has_a_dash_and_one_line(
        self, open_app: OpenApp, runs: dict[str, Run], tmp_path: Path
    ):
        for run in runs.values():
            write_like(tmp_path / "runs", run, predictions=without_class(run, "green"))
        app = open_app("classes", tmp_path / "runs", **{"class": "green"})
        assert [info.value for info in app.info] == ["No test image is of the class green."]
        assert not galleries(app)
        data = chart_data(charts(app)[0]).query("`class` == 'green'")
        assert data["text"].to_list() == ["–"] * len(runs)
        assert not healthy(app.selectbox(key="class").select("blue").run()).info
        assert galleries(app)


class TestModels:
    def test_weights_that_do_not_fit_cost_a_variant_its_pictures_alone(
        self, open_app: OpenApp, few: Path, runs: dict[str, Run]
    ):
        name = "weights.safetensors"
        copyfile(runs["none"].path / name, few / runs["group"].key / name)
        app = open_app("classes", few, **{"class": "red"})
        lines = [caption.value for caption in app.caption if caption.value.startswith("No heatmaps")]
        assert len(lines) == 1
        assert "does not fit card" in lines[0].replace("\\", "")
        assert not row(app, "group", "missed")
        assert row(app, "batch", "missed")
        right, wrong = of_class(runs["group"], "red")
        share = 100 * len(right) / (len(right) + len(wrong))
        assert f"**{share:.1f}%** of {len(right) + len(wrong)} images" in words(app)

    def test_no_model_at_all(self, open_app: OpenApp, runs: dict[str, Run], tmp_path: Path):
        for run in runs.values():
            write_like(tmp_path / "runs", run, weights=False, history=False, origin=IMPORTED)
        app = open_app("classes", tmp_path / "runs")
        assert words(app).count("No heatmaps") == len(runs)
        assert not galleries(app)
        assert not [toggle for toggle in app.toggle if toggle.key in ("agreement", "means")]

    def test_an_architecture_that_this_version_does_not_know(self, open_app: OpenApp, few: Path, runs: dict[str, Run]):
        write_like(few, runs["batch"], architecture=Choice("warpnet"), predictions=answers(runs["batch"], 0.4))
        app = open_app("classes", few, compare="architecture", **{"class": "red"})
        assert row(app, "resnet8", "recognised")
        assert not row(app, "warpnet", "recognised")
        assert words(app).count("No heatmaps") == 1


class TestRecall:
    def test_of_every_class_by_every_variant(self, open_app: OpenApp, runs: dict[str, Run]):
        app = open_app("classes", reference="group")
        data = chart_data(charts(app)[0]).set_index(["variant", "class"])
        for norm, run in runs.items():
            for name, found in stored(run).groupby("true"):
                wanted = (found["predicted"] == name).mean()
                shown = data.loc[(LABELS[norm], name)]
                assert shown["recall"] == pytest.approx(wanted)
                assert shown["images"] == len(found)
                base = data.loc[("group", name), "recall"]
                assert shown["difference"] == pytest.approx(wanted - base)

    def test_one_variant_is_compared_with_nothing(self, open_app: OpenApp, runs: dict[str, Run]):
        app = open_app("classes", compare="selection", runs=runs["group"].path.name, agreement="true")
        assert len(charts(app)) == 1
        assert len(galleries(app)) == 2
        assert not [box for box in app.selectbox if box.key in ("reference", "seed")]
        assert not [toggle for toggle in app.toggle if toggle.key == "agreement"]
        text = words(app)
        assert "Green" not in text
        assert "each run" not in text

    def test_of_many_classes_those_that_tell_most(self, open_app: OpenApp, runs: dict[str, Run], tmp_path: Path):
        names = tuple(f"species {n}" for n in range(60))
        for seed, norm in enumerate(runs):
            rng = np.random.default_rng(seed)
            found = Predictions(
                tuple(f"{n}.png" for n in range(240)), np.arange(240) % 60, rng.dirichlet(np.ones(60), 240)
            )
            write_like(tmp_path / "runs", runs[norm], weights=False, predictions=found, classes=names, origin=IMPORTED)
        app = open_app("classes", tmp_path / "runs", **{"class": "species 33"})
        drawn = chart_data(charts(app)[0])["class"].unique()
        assert len(drawn) == 17
        assert drawn[0] == "species 33"
        assert "Of 60 classes, the chosen one and 16 with the lowest recall or the largest differences" in words(app)

    def test_names_are_text(self, open_app: OpenApp, runs: dict[str, Run], tmp_path: Path):
        names = ("[x](http://a.b)", "![x](http://a.b)", "any class")
        for norm in ("batch", "group"):
            write_like(tmp_path / "runs", runs[norm], classes=names)
        for name in names:
            app = open_app("classes", tmp_path / "runs", **{"class": name})
            assert app.selectbox(key="class").value == name
            assert plain(name) in words(app)
            assert "](http://" not in words(app)
            assert not [warning for warning in app.warning if "ignored" in warning.value]


class TestSeeds:
    def test_recall_is_the_mean_over_seeds(self, open_app: OpenApp, seeds_root: Path):
        app = open_app("classes", seeds_root)
        data = chart_data(charts(app)[0]).set_index(["variant", "class"])
        found: dict[str, list[float]] = {}
        for run in list_runs(seeds_root)[0]:
            of_red = stored(run).query("true == 'red'")
            assert run.spec.norm is not None
            found.setdefault(LABELS[run.spec.norm.name], []).append(float(np.mean(of_red["predicted"] == "red")))
        for label, recalls in found.items():
            assert data.loc[(label, "red"), "recall"] == pytest.approx(np.mean(recalls))
            assert data.loc[(label, "red"), "runs"] == len(recalls)
        assert "(1 to 3 each)" in words(app)

    def test_images_are_those_of_the_chosen_seed_with_how_many_seeds_miss_them(
        self, open_app: OpenApp, seeds_root: Path
    ):
        app = open_app("classes", seeds_root, seed="2", **{"class": "blue"})
        batch = {run.spec.seed: run for run in list_runs(seeds_root)[0] if "-batch-" in run.path.name}
        missed = pd.DataFrame(
            {seed: stored(run).set_index("image_id").eval("true != predicted") for seed, run in batch.items()}
        ).sum(axis=1)
        for side, found in zip(SIDES, of_class(batch[2], "blue"), strict=True):
            shown = row(app, "batch", side)
            assert [tile["id"] for tile in shown] == found["image_id"].head(4).to_list()
            assert [tile["lines"][1] for tile in shown] == [f"{missed[tile['id']]} of 3 seeds" for tile in shown]
        assert all(len(tile["lines"]) == 1 for tile in row(app, "no norm", "missed"))


class TestHeatmapsOfManyImages:
    def test_agreement_is_drawn_when_asked_for(self, open_app: OpenApp):
        app = open_app("classes", **{"class": "red"})
        before = len(charts(app))
        healthy(app.toggle(key="agreement").set_value(True).run())
        assert len(charts(app)) == before + 1
        data = chart_data(charts(app)[-1])
        assert len(data) == 9
        assert plain("Against batch:") in words(app)
        healthy(app.button_group(key="measure").set_value("Overlap").run())
        assert chart_data(charts(app)[-1])["agreement"].to_list() != data["agreement"].to_list()

    def test_averages_name_each_variant_and_count_its_images(self, open_app: OpenApp, runs: dict[str, Run]):
        app = open_app("classes", means="true", **{"class": "red"})
        for place, side in enumerate(SIDES):
            shown = tiles(app, f"Mean heatmaps of images {side}")
            assert [tile["title"] for tile in shown] == list(LABELS.values())
            counts = [len(of_class(runs[norm], "red")[place]) for norm in LABELS]
            assert [tile["lines"] for tile in shown] == [[f"{count} images"] for count in counts]
            assert [tile["colour"] for tile in shown] == [NORM_MARKS[norm].colour for norm in LABELS]

    def test_averages_of_one_variant_stand_side_by_side(self, open_app: OpenApp, runs: dict[str, Run]):
        app = open_app("classes", compare="selection", runs=runs["group"].path.name, means="true", **{"class": "red"})
        shown = tiles(app, "Mean heatmaps")
        assert [tile["title"] for tile in shown] == ["Recognised", "Missed"]
        counts = [len(part) for part in of_class(runs["group"], "red")]
        assert [tile["lines"] for tile in shown] == [[f"{count} images"] for count in counts]


class TestManyVariants:
    @pytest.fixture
    def rates_root(self, runs: dict[str, Run], tmp_path: Path) -> Path:
        """Ten runs of one norm, each of another learning rate."""
        for step in range(10):
            recipe = dict(runs["batch"].spec.recipe or {}) | {"learning_rate": 0.01 * (step + 1)}
            write_like(tmp_path / "runs", runs["batch"], recipe=recipe)
        return tmp_path / "runs"

    def test_all_are_charted_and_eight_are_pictured(self, open_app: OpenApp, rates_root: Path):
        app = open_app("classes", rates_root, compare="learning_rate")
        assert len(set(chart_data(charts(app)[0])["variant"])) == 10
        assert len(galleries(app)) == 16
        healthy(app.multiselect(key="pictures").set_value(["learning rate 0.1"]).run())
        assert len(galleries(app)) == 2

    def test_an_address_that_asks_for_all_gets_eight(self, open_app: OpenApp, rates_root: Path):
        asked = [f"learning rate {0.01 * (step + 1):g}" for step in range(10)]
        app = open_app("classes", rates_root, compare="learning_rate", pictures=asked)
        assert len(galleries(app)) == 16


class TestHeatmapSettings:
    def test_stages_are_those_of_the_model(self, open_app: OpenApp, runs: dict[str, Run]):
        app = open_app("classes")
        model = runs["batch"].load_model()
        options = app.selectbox(key="stage").options
        assert options[1:] == model.stage_names
        assert model.cam_stage in options[0]
        before = sheets(app)
        healthy(app.selectbox(key="stage").select(model.stage_names[0]).run())
        assert sheets(app) != before

    def test_a_stage_that_the_model_does_not_have_is_ignored_with_one_line(self, open_app: OpenApp):
        app = open_app("classes", stage="stage99")
        assert app.selectbox(key="stage").value == DEFAULT
        assert [warning.value for warning in app.warning] == [
            "The address asks for what is not here; ignored: stage `'stage99'`."
        ]
        assert sheets(app) == sheets(open_app("classes"))

    def test_models_of_several_architectures_offer_what_all_have(
        self, open_app: OpenApp, few: Path, runs: dict[str, Run], coloured: Coloured
    ):
        from explorer.models import build_model

        convnet = build_model("convnet", "batch", classes=3)
        write_like(
            few,
            runs["batch"],
            architecture=Choice("convnet"),
            weights=convnet.state_dict(),
            predictions=answers(runs["batch"], 0.4),
        )
        app = open_app("classes", few, compare="architecture", agreement="true", means="true", **{"class": "red"})
        shared = [stage for stage in runs["batch"].load_model().stage_names if stage in convnet.stage_names]
        assert app.selectbox(key="stage").options[1:] == shared
        assert row(app, "convnet", "missed")
        assert len(chart_data(charts(app)[-1])) == 4
