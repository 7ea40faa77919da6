"""The results tables: worked by hand from made-up cards, and held against the committed runs."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.__main__ import main
from explorer.datasets import Dataset, load_dataset
from explorer.predictions.metrics import Metrics, compute_metrics
from explorer.results import BEGIN, END, HEADINGS, results_markdown, with_results
from explorer.runs import Card, Choice, DatasetRef, InputSpec, Problem, Run, RunSpec, list_runs
from explorer.runs.folder import FILES
from explorer.runs.weights import predict
from train.grid import GRIDS

ROOT = Path(__file__).parents[2]
CHECKPOINTS = ROOT / "checkpoints"
MOST_BYTES = 60_000_000
EMPTY_ROW = "|---" * len(HEADINGS) + "|"


def committed(root: Path) -> tuple[list[Run], list[Problem]]:
    """What git knows of below a root: a run of one's own fails no test. Everything where git knows of nothing."""
    command = ["git", "-C", str(root), "ls-files", "-z", "."]
    listed = subprocess.run(command, capture_output=True, text=True).stdout if shutil.which("git") else ""
    folders = {(root / name).parent for name in listed.split("\0") if name}
    runs, problems = list_runs(root)
    if not folders:
        return runs, problems
    return [run for run in runs if run.path in folders], [one for one in problems if one.path in folders]


COMMITTED, PROBLEMS = committed(CHECKPOINTS)
OF_CELLS = [run for run in COMMITTED if run.spec.dataset.name == "elpv"]
ONE_EACH = list({run.spec.architecture.name: run for run in OF_CELLS}.values())


@pytest.fixture(scope="module")
def load_cells(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Dataset]:
    """load_cells(size): the built-in photographs, decoded once for each size."""
    folder = tmp_path_factory.mktemp("cells")
    return cache(lambda size: load_dataset("elpv", size=size, cache_root=folder))


def metrics(accuracy: float, loss: float = 0.5, macro_f1: float = 0.5) -> Metrics:
    return Metrics(accuracy, accuracy, macro_f1, loss, round(200 * (1 - accuracy)), 200)


RECIPE = {"epochs": 2, "batch_size": 32, "learning_rate": 0.1}
SPEC = RunSpec(
    dataset=DatasetRef("toys", "folder:/toys", "0123456789abcdef"),
    architecture=Choice("resnet14"),
    norm=Choice("batch"),
    input=InputSpec(32, 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
    recipe=RECIPE,
    seed=0,
)
CARD = Card(
    spec=SPEC,
    created="2026-01-02T03:04:05+00:00",
    classes=("ape", "bee"),
    source="Made for the tests.",
    splits={"train": 400, "val": 100, "test": 200},
    parameters=174_868,
    macs=107_000_000,
    seconds=90.0,
    best_epoch=2,
    versions={},
    hardware="a processor",
    metrics={"train": metrics(0.9), "val": metrics(0.8), "test": metrics(0.75, 0.6054, 0.71236)},
)


def made(**changes: Any) -> Run:
    """A run like CARD's with changes in its spec or card."""
    of_spec = {key: changes.pop(key) for key in list(changes) if hasattr(SPEC, key)}
    card = replace(CARD, spec=replace(SPEC, **of_spec), **changes)
    return Run(Path("root") / card.spec.dataset.name / card.name, card, ())


def measured_run(seed: int, accuracy: float, **changes: Any) -> Run:
    """A run of another seed, whose test loss is its accuracy and which took a minute a seed."""
    measured = {**CARD.metrics, "test": metrics(accuracy, loss=accuracy, macro_f1=accuracy)}
    return made(seed=seed, metrics=measured, seconds=60.0 * (seed + 1), **changes)


def norm_run(name: str | None) -> Run:
    """A run of that norm; None for a card that states none, as of a model that was trained elsewhere."""
    return made(norm=name and Choice(name))


def labels_in(runs: list[Run]) -> list[str]:
    """The first cell of every row of figures."""
    return [row[0] for row in rows_of(results_markdown(runs))]


def rows_of(text: str) -> list[list[str]]:
    """The cells of every row of figures."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [line.strip("| ").split(" | ") for line in lines]
    return [row for row in rows if row != list(HEADINGS)]


class TestTables:
    def test_one_seed(self) -> None:
        assert results_markdown([made()]) == "\n".join(
            (
                "**toys, resnet14** (174,868 parameters, 107 M MACs, 200 test images)",
                "",
                "| norm | train accuracy | val accuracy | test accuracy | macro F1 | test loss "
                "| misclassified | minutes |",
                EMPTY_ROW,
                "| batch | 90.0% | 80.0% | 75.0% | 71.2% | 0.605 | 50 | 1.5 |",
            )
        )

    def test_three_seeds(self) -> None:
        # 70, 75 and 86: mean 77; deviations -7, -2, 9; (49 + 4 + 81) / 2 = 67, whose root is 8.19.
        # Misclassified of 200: 60, 50 and 28: mean 46; (196 + 16 + 324) / 2 = 268, root 16.4. Minutes 1, 2, 3.
        (row,) = rows_of(results_markdown([measured_run(0, 0.70), measured_run(1, 0.75), measured_run(2, 0.86)]))
        assert row == [
            "batch (3 seeds)",
            "90.0 ± 0.0%",
            "80.0 ± 0.0%",
            "77.0 ± 8.2%",
            "77.0 ± 8.2%",
            "0.770 ± 0.082",
            "46.0 ± 16.4",
            "2.0 ± 1.0",
        ]

    def test_thousands_are_separated(self) -> None:
        measured = {**CARD.metrics, "test": replace(metrics(0.75), misclassified=1234)}
        (row,) = rows_of(results_markdown([made(metrics=measured)]))
        assert row[6] == "1,234"

    def test_known_norms_are_in_the_order_of_the_pages_and_others_after_them_by_name(self) -> None:
        runs = [norm_run(name) for name in ("whitening", "group", "none", "alien", "layer", "batch")]
        assert labels_in(runs) == ["batch", "layer", "group", "no norm", "alien", "whitening"]

    def test_a_card_without_a_norm_says_so(self) -> None:
        assert set(labels_in([norm_run(None), norm_run("none")])) == {"no norm", "norm not known"}

    def test_batch_sizes_are_rows_of_their_own(self) -> None:
        sizes = [{**RECIPE, "batch_size": size} for size in (128, 8, 32)]
        runs = [
            *(made(recipe=recipe) for recipe in sizes),
            made(seed=1),
            made(norm=Choice("none")),
        ]
        assert labels_in(runs) == [
            "batch, batch size 8",
            "batch, batch size 32 (2 seeds)",
            "batch, batch size 128",
            "no norm",
        ]

    def test_a_recipe_without_what_others_state(self) -> None:
        runs = [made(), made(recipe={"epochs": 2, "learning_rate": 0.1}), made(recipe={})]
        assert set(labels_in(runs)) == {
            "batch, epochs 2, batch size 32, learning rate 0.1",
            "batch, epochs 2, batch size –, learning rate 0.1",
            "batch, epochs –, batch size –, learning rate –",
        }

    @pytest.mark.parametrize("recipe", [{}, {"warmth": [1, "much"]}])
    def test_a_recipe_of_another_kind(self, recipe: dict[str, Any]) -> None:
        assert labels_in([made(recipe=recipe), made(recipe=recipe, seed=1)]) == ["batch (2 seeds)"]

    @pytest.mark.parametrize(
        ("changes", "names"),
        [
            ({"norm": Choice("batch", {"groups": 8})}, {"batch, norm groups –", "batch, norm groups 8"}),
            (
                {"recipe": {**RECIPE, "learning_rate": 0.2}},
                {"batch, learning rate 0.1", "batch, learning rate 0.2"},
            ),
            ({"recipe": {**RECIPE, "epochs": 4}}, {"batch, epochs 2", "batch, epochs 4"}),
            (
                {"recipe": {**RECIPE, "optimizer_arguments": {"momentum": 0.5}}},
                {"batch, optimizer momentum –", "batch, optimizer momentum 0.5"},
            ),
            (
                {"recipe": {**RECIPE, "augmentations": ["shift", "cutout"]}},
                {"batch, augmentations –", "batch, augmentations shift, cutout"},
            ),
            ({"input": replace(SPEC.input, height=64)}, {"batch, 32 px", "batch, 64 × 32 px"}),
            (
                {"architecture": Choice("resnet14", {"stem_stride": 2})},
                {"batch, architecture stem stride –", "batch, architecture stem stride 2"},
            ),
            (
                {"dataset": replace(SPEC.dataset, fingerprint="fedc")},
                {"batch, images 0123456789abcdef", "batch, images fedc"},
            ),
        ],
    )
    @pytest.mark.parametrize("seed", [0, 1])
    def test_only_seeds_are_averaged(self, changes: dict[str, Any], names: set[str], seed: int) -> None:
        assert set(labels_in([made(), made(seed=seed, **changes)])) == names

    def test_names_are_text_and_not_markdown(self) -> None:
        architecture = Choice("*bold*\n# title")
        text = results_markdown([made(norm=Choice("[a](http://b) | c"), architecture=architecture)])
        assert text.splitlines()[0].startswith(r"**toys, \*bold\* \# title** (")
        assert text.splitlines()[-1].startswith(r"| \[a\](http://b) \| c | 90.0% |")

    def test_a_table_per_data_set_and_architecture(self) -> None:
        others = [made(architecture=Choice("vgg11")), made(dataset=replace(SPEC.dataset, name="cells"))]
        text = results_markdown([made(), *others, made(norm=Choice("none"), parameters=174_000)])
        assert [line for line in text.splitlines() if line.startswith("**")] == [
            "**toys, resnet14** (174,000 to 174,868 parameters, 107 M MACs, 200 test images)",
            "**toys, vgg11** (174,868 parameters, 107 M MACs, 200 test images)",
            "**cells, resnet14** (174,868 parameters, 107 M MACs, 200 test images)",
        ]
        assert [len(part.splitlines()) for part in text.split("\n\n")] == [1, 4, 1, 3, 1, 3]

    def test_no_runs(self) -> None:
        assert results_markdown([]) == "No runs yet."


class TestMarkers:
    def test_what_was_between_them_is_replaced(self) -> None:
        text = f"# Title\n\n{BEGIN}\nold\n\nolder\n{END}\n\nafter\n"
        wanted = f"# Title\n\n{BEGIN}\nnew\n{END}\n\nafter\n"
        assert with_results(text, "new") == wanted
        assert with_results(wanted, "new") == wanted

    def test_nothing_between_them(self) -> None:
        assert with_results(f"{BEGIN}\n{END}", "new") == f"{BEGIN}\nnew\n{END}"

    @pytest.mark.parametrize("text", ["", "# Title\n", BEGIN, END, f"{END}\n{BEGIN}"])
    def test_a_marker_is_missing(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"wanted a file with the lines <!-- results: begin --> and .*; add them"):
            with_results(text, "new")

    def test_the_command_writes_what_it_prints(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "read.me"
        file.write_text(f"é\n{BEGIN}\n{END}\n", encoding="utf-8")
        roots = ["results", "--checkpoints", str(CHECKPOINTS)]
        assert main(roots) == 0
        printed = capsys.readouterr().out
        assert main([*roots, "--write", str(file)]) == 0
        assert file.read_text(encoding="utf-8") == f"é\n{BEGIN}\n{printed}{END}\n"

    def test_the_command_tells_what_is_wrong(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "plain.md").write_text("nothing here\n", encoding="utf-8")
        assert main(["results", "--checkpoints", str(tmp_path), "--write", str(tmp_path / "plain.md")]) == 1
        assert "error: wanted a file with the lines" in capsys.readouterr().err
        assert (tmp_path / "plain.md").read_text(encoding="utf-8") == "nothing here\n"


def test_the_results_page_shows_the_committed_runs() -> None:
    assert COMMITTED
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == results_markdown(COMMITTED).strip()


class TestCommittedRuns:
    def test_there_are_some_and_none_is_damaged(self) -> None:
        assert OF_CELLS
        assert PROBLEMS == []

    def test_they_are_those_that_the_grids_train(self) -> None:
        specs = [job.spec() for grid in GRIDS.values() for job in grid.jobs()]
        trained = [[run for run in COMMITTED if run.spec.same_but_images(spec)] for spec in specs]
        assert all(len(runs) == 1 for runs in trained)
        assert {run.path for (run,) in trained} == {run.path for run in COMMITTED}

    def test_they_are_small(self) -> None:
        files = [file for run in COMMITTED for file in run.path.iterdir()]
        assert len(files) == len(FILES) * len(COMMITTED)
        assert sum(file.stat().st_size for file in files) < MOST_BYTES

    @pytest.mark.parametrize("split", ["val", "test"])
    @pytest.mark.parametrize("run", COMMITTED, ids=lambda run: run.key)
    def test_metrics_follow_from_the_stored_predictions(self, run: Run, split: str) -> None:
        stored = run.predictions(split)
        assert stored.probabilities is not None
        probabilities = np.concatenate(list(stored.probabilities.blocks()))
        assert len(set(stored.ids)) == len(stored.ids) == run.card.splits[split]
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
        found, said = compute_metrics(probabilities, stored.outcomes.labels), run.card.metrics[split]
        assert (found.misclassified, found.count) == (said.misclassified, said.count)
        for name in ("accuracy", "micro_f1", "macro_f1", "loss"):
            assert getattr(found, name) == pytest.approx(getattr(said, name), abs=1e-9)

    @pytest.mark.parametrize("run", COMMITTED, ids=lambda run: run.key)
    def test_the_history_ends_where_the_recipe_does_and_holds_the_best_epoch(self, run: Run) -> None:
        history, best = run.history(), run.card.best_epoch
        assert history["epoch"].tolist() == list(range(1, len(history) + 1))
        assert best is not None
        assert 1 <= best <= len(history) <= (run.spec.recipe or {})["epochs"]
        assert np.isfinite(history.to_numpy()).all()
        assert history["seconds"].is_monotonic_increasing

    @pytest.mark.parametrize("run", ONE_EACH, ids=lambda run: run.key)
    def test_a_model_loaded_again_says_what_is_stored(self, run: Run, load_cells: Callable[[int], Dataset]) -> None:
        dataset, stored = load_cells(run.spec.input.height), run.predictions("test")
        test = dataset.splits["test"]
        assert dataset.classes == run.card.classes
        assert list(test.ids) == list(stored.ids)
        assert test.labels.tolist() == stored.outcomes.labels.tolist()
        assert stored.probabilities is not None
        found = predict(run.load_model(), test.images[::10], run.spec.input)
        kept = np.concatenate(list(stored.probabilities.blocks()))
        np.testing.assert_allclose(found, kept[::10], atol=1e-4)
