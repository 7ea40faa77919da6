"""The page *Overview*: what it shows is what the runs on disk say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Dataframe

from explorer.app import caches
from explorer.runs import Run, list_runs, settings_of
from tests.explorer.pages.driving import (
    OpenApp,
    answers,
    column_called,
    elements,
    healthy,
    misclassified,
    said,
    stored,
    table_by,
    write_like,
)

LABELS = {"batch": "batch", "group": "group", "none": "no norm"}


def figures(app: AppTest) -> Dataframe:
    """The table of metrics by variant."""
    return table_by(app, "variant", "seconds")


def verdict(app: AppTest) -> str:
    """The sentences of the verdict."""
    (found,) = [text.value for text in app.markdown if text.value.startswith("#### ")]
    return found.replace("\\", "")


def norm_of(run: Run) -> str:
    return settings_of(run.spec)["norm"]


def is_shaded(table: Dataframe, column: str) -> list[bool]:
    styler, place = table.proto.arrow_data.styler, list(table.value.columns).index(column)
    return [f"#T_{styler.uuid}_row{row}_col{place}" in styler.styles for row in range(len(table.value))]


class TestQuestion:
    @pytest.mark.parametrize(
        ("root", "compare", "title"),
        [
            ("seeds_root", "norm", "Which norm wins?"),
            ("architectures_root", "architecture", "Which architecture wins?"),
            ("seeds_root", "seed", "How much does the seed change?"),
            ("seeds_root", "selection", "Which run wins?"),
            ("one_root", "norm", "How good is it?"),
        ],
    )
    def test_it_fits_what_is_compared(
        self, open_app: OpenApp, root: str, compare: str, title: str, request: pytest.FixtureRequest
    ):
        app = open_app("overview", request.getfixturevalue(root), compare=compare)
        assert [element.value for element in app.title] == [title]


class TestVerdict:
    def test_of_single_trainings_it_speaks_of_networks(self, open_app: OpenApp):
        assert verdict(open_app()).startswith("#### Among these trained networks, one training each, ")
        assert "Another training of each may change this." in verdict(open_app())

    def test_of_several_seeds_it_speaks_of_the_norms(self, open_app: OpenApp, seeds_root: Path, runs: dict[str, Run]):
        for seed, share in enumerate((0.82, 0.84, 0.86), start=7):
            write_like(seeds_root, runs["none"], predictions=answers(runs["none"], share, seed), seed=seed)
        text = verdict(open_app("overview", seeds_root, reference="no norm"))
        assert "networks" not in text
        assert "“no norm”" in text

    def test_the_chart_and_the_sentence_say_the_same(self, open_app: OpenApp, few: Path, runs: dict[str, Run]):
        good = answers(runs["batch"], 0.95, 1)
        write_like(few, runs["batch"], predictions=good, overwrite=True)
        app = open_app("overview", few, reference="group")
        (alternative,) = [
            chart.proto.alt for chart in elements(app, "vega_lite_chart") if chart.proto.alt.startswith("batch 9")
        ]
        assert "batch 95.6%, better; " in alternative
        assert "group" in alternative
        assert "batch (+" in verdict(app)
        assert "reliably better than group" in verdict(app)

    def test_the_reference_is_in_the_address(self, open_app: OpenApp):
        app = open_app("overview", reference="group")
        assert app.selectbox(key="reference").value == "group"
        assert "from group" in verdict(app) or "than group" in verdict(app)
        healthy(app.selectbox(key="reference").select("no norm").run())
        assert app.query_params["reference"] in ("no norm", ["no norm"])

    def test_one_run_has_an_interval_and_no_word_of_comparison(
        self, open_app: OpenApp, one_root: Path, runs: dict[str, Run]
    ):
        app, test = open_app("overview", one_root), runs["group"].card.test
        assert verdict(app).startswith(f"#### group is right on {100 * test.accuracy:.1f}% of 90 test images (95% ")
        assert [metric.value for metric in app.metric][:1] == [f"{test.accuracy:.1%}"]
        assert not [box for box in app.selectbox if box.key == "reference"]
        assert "What else differs?" not in [heading.value for heading in app.subheader]
        assert "Every pair" not in [expander.label for expander in app.expander]

    def test_the_most_common_class_is_what_an_accuracy_is_read_against(
        self, open_app: OpenApp, few: Path, runs: dict[str, Run]
    ):
        counts = stored(runs["batch"])["true"].value_counts()
        assert f"is right on {100 * counts.max() / counts.sum():.1f}%" in said(open_app("overview", few))

    def test_seeds_are_told_by_their_spread(self, open_app: OpenApp, seeds_root: Path):
        app = open_app("overview", seeds_root, compare="seed", norm="group")
        accuracies = [run.card.test.accuracy for run in list_runs(seeds_root)[0] if norm_of(run) == "group"]
        mean, std = 100 * np.mean(accuracies), 100 * np.std(accuracies, ddof=1)
        assert f"Over 3 seeds the accuracy is {mean:.1f} ± {std:.1f}%" in verdict(app)


class TestFigures:
    def test_each_card_is_shown_and_the_best_is_marked(self, open_app: OpenApp, runs: dict[str, Run]):
        table = figures(open_app())
        accuracy, count = (column_called(table, heading) for heading in ("Test accuracy", "Test misclassified"))
        shown = table.value.set_index(column_called(table, "Norm"))
        assert set(shown.index) == set(LABELS.values())
        for norm, run in runs.items():
            assert shown.loc[LABELS[norm], accuracy] == run.card.test.accuracy
            assert shown.loc[LABELS[norm], count] == len(misclassified(run))
        assert bool(shown[accuracy].is_monotonic_decreasing)
        assert is_shaded(table, accuracy) == list(shown[accuracy] == shown[accuracy].max())

    def test_all_that_tie_are_marked(self, open_app: OpenApp, few: Path, runs: dict[str, Run]):
        for seed, run in enumerate(runs.values()):
            write_like(few, run, predictions=answers(run, 0.6, seed), overwrite=True)
        table = figures(open_app("overview", few))
        assert is_shaded(table, "test_accuracy") == [True] * 3
        assert sum(is_shaded(table, "test_loss")) == 1

    def test_balanced_accuracy_is_that_of_scikit_learn(self, open_app: OpenApp, runs: dict[str, Run]):
        shown = figures(open_app()).value.set_index("variant")["test_balanced"].to_dict()
        for norm, run in runs.items():
            table = stored(run)
            wanted = balanced_accuracy_score(table["true"], table["predicted"])
            assert shown[LABELS[norm]] == pytest.approx(wanted)

    @pytest.mark.parametrize(("title", "word", "split"), [("Validation", "Val", "val"), ("Train", "Train", "train")])
    def test_the_split_is_named(self, open_app: OpenApp, runs: dict[str, Run], title: str, word: str, split: str):
        app = open_app()
        healthy(app.button_group(key="figures").set_value(title).run())
        table = table_by(app, "variant", f"{split}_accuracy")
        shown = table.value.set_index("variant")[column_called(table, f"{word} accuracy")]
        assert shown.to_dict() == {LABELS[norm]: run.card.metrics[split].accuracy for norm, run in runs.items()}

    def test_mean_and_spread_of_several_seeds(self, open_app: OpenApp, seeds_root: Path):
        shown = figures(open_app("overview", seeds_root)).value.set_index("variant")
        accuracies: dict[str, list[float]] = {}
        for run in list_runs(seeds_root)[0]:
            accuracies.setdefault(LABELS[norm_of(run)], []).append(run.card.test.accuracy)
        assert shown["runs"].to_dict() == {label: len(values) for label, values in accuracies.items()}
        for label, values in accuracies.items():
            assert shown.loc[label, "test_accuracy"] == pytest.approx(np.mean(values))
            std = np.std(values, ddof=1) if len(values) > 1 else np.nan
            assert shown["test_accuracy_std"].to_dict()[label] == pytest.approx(std, nan_ok=True)

    def test_single_trainings_have_no_spread(self, open_app: OpenApp):
        assert not [name for name in figures(open_app()).proto.column_order if name.endswith("_std") or name == "runs"]

    def test_every_run_of_every_data_set_is_listed_once(
        self, open_app: OpenApp, seeds_root: Path, cifar_root: Path, runs: dict[str, Run]
    ):
        write_like(seeds_root, list_runs(cifar_root)[0][0])
        table = table_by(open_app("overview", seeds_root), "run", "dataset").value
        assert len(table) == len(list_runs(seeds_root)[0])
        assert not table.duplicated(["dataset", "run"]).any()
        assert set(table["dataset"]) == {"CIFAR-10", runs["batch"].spec.dataset.name}


class TestFairness:
    def test_what_else_differs_is_said_of_whole_recipes(self, open_app: OpenApp, few: Path, runs: dict[str, Run]):
        recipe = dict(runs["group"].spec.recipe or {}) | {"optimizer_arguments": {"betas": [0.5, 0.999]}}
        (few / runs["group"].key / "card.json").unlink()
        write_like(few, runs["group"], recipe=recipe)
        assert "Optimizer betas: 0.5, 0.999 for group; 0.9, 0.999 for batch and no norm." in said(
            open_app("overview", few)
        ) or "Optimizer betas: 0.9, 0.999 for batch and no norm; 0.5, 0.999 for group." in said(
            open_app("overview", few)
        )


class TestImagesThatChanged:
    @pytest.mark.parametrize("changed", [False, True])
    def test_a_line_says_so(
        self, open_app: OpenApp, tmp_path: Path, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch, changed: bool
    ):
        monkeypatch.setattr(caches, "PATIENCE", 60)
        dataset = runs["batch"].spec.dataset
        write_like(tmp_path, runs["batch"], dataset=replace(dataset, fingerprint="0" * 16) if changed else dataset)
        lines = [info.value for info in open_app("overview", tmp_path).info]
        assert [("not those that these runs were" in line) for line in lines] == [True] * changed


class TestWhatCannotBeRead:
    def test_a_run_on_other_images_is_left_out_and_said(self, open_app: OpenApp, few: Path, runs: dict[str, Run]):
        found = answers(runs["none"], 0.5)
        found.labels[:] = np.roll(found.labels, 1)
        write_like(few, runs["none"], predictions=found, overwrite=True)
        app = open_app("overview", few)
        (warning,) = app.warning
        assert runs["none"].path.name in warning.value.replace("\\", "")
        assert "no norm" not in app.selectbox(key="reference").options
        assert "no norm" in set(figures(app).value["variant"])

    def test_damaged_predictions_leave_the_figures(self, open_app: OpenApp, one_root: Path, runs: dict[str, Run]):
        path = one_root / runs["group"].key / "predictions.parquet"
        content = bytearray(path.read_bytes())
        content[50:900] = bytes(850)
        path.write_bytes(content)
        app = open_app("overview", one_root)
        assert len(app.title) == 1
        assert figures(app).value["test_accuracy"].tolist() == [runs["group"].card.test.accuracy]
