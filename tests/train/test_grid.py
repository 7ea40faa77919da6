"""Named grids: their jobs are the plain command's, and training one skips, goes on after failures and resumes."""

from dataclasses import replace
from errno import EEXIST, ENOSPC, ESTALE
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors import SafetensorError

from explorer.datasets import load_dataset
from explorer.models.norms import NORMS
from explorer.runs import Run, dataset_folder
from train.__main__ import build_parser, job_from, main
from train.grid import GRIDS, Grid, Line, State, describe, state_of, train_grid
from train.job import Job, RunBusy, default_job, train_run
from train.recipes import Recipe
from train.solver import Solver, TrainingDiverged


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder data set of two classes, dark and bright, that trains in no time."""
    root = tmp_path_factory.mktemp("pictures")
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        for name, shade in (("dark", 20), ("bright", 200)):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (32, 32), (shade + number, shade, shade)).save(root / split / name / f"{number}.png")
    return root


@pytest.fixture
def jobs(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Two quick jobs with the runs' root in a fresh folder."""
    monkeypatch.setenv("NORMSCOPE_CACHE", str(tmp_path / "cache"))
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.01, precision="fp32")
    start = Job(f"folder:{pictures}", "simplecnn", "batch", recipe, size=32, out=tmp_path / "runs")
    return [start, replace(start, norm="group")]


def folder_of(job: Job) -> Path:
    """Where the run of a job will be."""
    return dataset_folder(job.out, job.spec().dataset.name) / job.spec().name


def outcomes(jobs: list[Job], **options: Any) -> list[State]:
    """Where each job stands after training the grid of them."""
    done = list(train_grid(jobs, device="cpu", quiet=True, **options))
    assert [job for job, _ in done] == jobs
    return [state for _, state in done]


def words(jobs: list[Job], **options: Any) -> list[str]:
    """The word of each job's state after training the grid of them."""
    return [state.word for state in outcomes(jobs, **options)]


def test_grids_are_those_of_the_plan() -> None:
    counts = {name: len(grid.jobs()) for name, grid in GRIDS.items()}
    assert counts == {"elpv": 7 + 3 + 4, "seeds": 7 * 3, "batch-size": 2 * 3, "cifar10": 3 + 1 + 7 + 3}
    first = [(job.architecture, job.norm) for job in GRIDS["cifar10"].jobs()[:5]]
    assert first == [(*["compact"], norm) for norm in ("batch", "group", "layer")] + [
        ("tinyresnet", "batch"),
        ("resnet14", "none"),
    ]
    assert {job.recipe.batch_size for job in GRIDS["batch-size"].jobs()} == {8, 32, 128}
    assert {job.recipe.epochs for job in GRIDS["batch-size"].jobs()} == {GRIDS["elpv"].jobs()[0].recipe.epochs}
    assert [job.seed for job in GRIDS["seeds"].jobs()] == [seed for seed in (0, 1, 2) for _ in NORMS]


@pytest.mark.parametrize("name", GRIDS)
def test_a_grids_runs_are_distinct_and_defined_as_by_the_plain_command(name: str) -> None:
    jobs = GRIDS[name].jobs()
    assert len({folder_of(job) for job in jobs}) == len(jobs)
    for job in jobs:
        options = ["--dataset", job.location, "--architecture", job.architecture, "--norm", job.norm]
        options += ["--seed", str(job.seed), "--batch-size", str(job.recipe.batch_size)]
        assert job_from(build_parser().parse_args(options)).spec() == job.spec()


def test_sizes_and_epochs_that_the_results_are_of() -> None:
    assert default_job("elpv", "resnet14", "batch").size == 128
    assert default_job("elpv", "resnet14", "batch").architecture_arguments == {"stem_stride": 2}
    assert default_job("elpv", "compact", "batch").size == 64
    epochs = {name: default_job("cifar10", name, "batch").recipe.epochs for name in ("compact", "tinyresnet")}
    assert epochs["compact"] <= 20
    assert epochs["tinyresnet"] <= 50
    simple = default_job("cifar10", "simplecnn", "batch").recipe
    assert (simple.epochs, simple.batch_size, simple.optimizer) == (5, 128, "sgd")
    assert simple.optimizer_arguments == {"momentum": 0.9}


def test_the_folder_is_known_before_the_run_is_trained(jobs: list[Job]) -> None:
    expected = folder_of(jobs[0])
    assert state_of(jobs[0]).word == "waiting"
    assert train_run(jobs[0], device="cpu", quiet=True).path == expected
    assert state_of(jobs[0]).word == "done"


def test_a_finished_run_is_found_by_its_card_whatever_its_folder_is_called(jobs: list[Job]) -> None:
    run = train_run(jobs[0], device="cpu", quiet=True)
    run.path.rename(run.path.with_name("a name of another time"))
    assert [state_of(job).word for job in jobs] == ["done", "waiting"]
    with pytest.raises(FileExistsError, match="a name of another time exists; pass --overwrite to train it again"):
        train_run(jobs[0], device="cpu", quiet=True)
    assert train_run(jobs[0], device="cpu", quiet=True, overwrite=True).path == run.path
    assert [path.name for path in run.path.parent.iterdir()] == [run.path.name]


def test_a_training_that_was_cut_off_has_begun(jobs: list[Job]) -> None:
    folder = folder_of(jobs[0])
    folder.parent.mkdir(parents=True)
    (folder.parent / f".{folder.name}.0123456789abcdef.training").touch()
    assert [state_of(job).word for job in jobs] == ["begun", "waiting"]


def test_training_skips_what_is_done(jobs: list[Job]) -> None:
    train_run(jobs[0], device="cpu", quiet=True)
    states = outcomes(jobs)
    assert [state.word for state in states] == ["done", "trained"]
    assert all(state.detail.startswith("test accuracy ") for state in states)
    assert words(jobs, train=_must_not_train) == ["done", "done"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrainingDiverged("the loss is not finite\nin epoch 1"), "the loss is not finite in epoch 1"),
        (OSError(ENOSPC, "No space left on device", "/runs/x"), "No space left on device: /runs/x"),
        (OSError(ESTALE, "Stale file handle"), "[Errno 116] Stale file handle"),
        (FileExistsError(EEXIST, "File exists", "/runs"), "File exists: /runs"),
        (SafetensorError("Error while serializing: I/O error"), "Error while serializing: I/O error"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_failed_run_does_not_stop_the_others(jobs: list[Job], error: Exception, reason: str) -> None:
    def train(job: Job, **options: object) -> Run:
        if job is jobs[0]:
            raise error
        return train_run(job, device="cpu", quiet=True)

    first, second = outcomes(jobs, train=train)
    assert (first.word, second.word) == ("failed", "trained")
    assert first.detail == reason


def test_a_file_where_the_runs_should_be_fails_every_run(jobs: list[Job]) -> None:
    jobs[0].out.write_text("no folder")
    first, second = outcomes(jobs)
    assert (first.word, second.word) == ("failed", "failed")
    assert str(jobs[0].out) in first.detail


def test_a_job_without_a_size_says_where_to_add_one(jobs: list[Job]) -> None:
    with pytest.raises(ValueError, match=r"has no size; add one for its data set to train/recipes\.py"):
        state_of(replace(jobs[0], size=None))


def test_two_processes_never_train_the_same_run(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first trains, the second passes over its run and trains the other one."""
    seen: list[str] = []
    train = Solver.train

    def train_beside_another(solver: Solver, **options: Any) -> None:
        monkeypatch.setattr(Solver, "train", train)
        with pytest.raises(RunBusy, match=r"another process is training the run .*simplecnn-batch-seed0"):
            train_run(jobs[0], device="cpu", quiet=True)
        seen.extend(words(jobs))
        train(solver, **options)

    monkeypatch.setattr(Solver, "train", train_beside_another)
    train_run(jobs[0], device="cpu", quiet=True)
    assert seen == ["busy", "trained"]
    assert [state_of(job).word for job in jobs] == ["done", "done"]
    assert not list(folder_of(jobs[0]).parent.glob(".*"))


def test_a_run_that_another_process_finishes_just_before_is_done(jobs: list[Job]) -> None:
    def train(job: Job, **options: object) -> Run:
        train_run(job, device="cpu", quiet=True)
        return train_run(job, device="cpu", quiet=True)

    assert words(jobs[:1], train=train) == ["done"]


def test_a_lock_left_behind_by_a_killed_process_locks_nobody_out(jobs: list[Job]) -> None:
    folder = folder_of(jobs[0])
    folder.parent.mkdir(parents=True)
    (folder.parent / f".{folder.name}.lock").touch()
    assert train_run(jobs[0], device="cpu", quiet=True).path == folder


def test_a_damaged_run_is_a_failure_that_says_what_to_do(jobs: list[Job]) -> None:
    folder_of(jobs[0]).mkdir(parents=True)
    (state,) = outcomes(jobs[:1], train=_must_not_train)
    assert state.word == "failed"
    assert "card.json is missing; train the run again or delete the folder" in state.detail


def test_ctrl_c_stops_the_grid(jobs: list[Job]) -> None:
    def train(job: Job, **options: object) -> Run:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(train_grid(jobs, train=train))


class TestCommand:
    @pytest.fixture
    def command(self, jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> list[str]:
        monkeypatch.setitem(GRIDS, "elpv", _FixedGrid("two quick runs", (), tuple(jobs)))
        return ["grid", "elpv", "--out", str(jobs[0].out), "--device", "cpu"]

    def test_a_dry_run_says_what_is_there(
        self, command: list[str], jobs: list[Job], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*command, "--dry-run"]) == 0
        assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["waiting", "waiting"]
        assert not jobs[0].out.exists()

    def test_a_line_a_run_and_the_failures_on_stderr(
        self, command: list[str], jobs: list[Job], capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder_of(jobs[1]).mkdir(parents=True)
        assert main(command) == 1
        found = capsys.readouterr()
        assert [line.split()[1] for line in found.out.splitlines()] == ["trained"]
        *_, line, last = found.err.splitlines()
        assert line.startswith(f"error: 2/2 failed   {describe(jobs[1])} ")
        assert line.endswith("card.json is missing; train the run again or delete the folder")
        assert last == "error: 1 of 2 runs failed; each has its reason on a line above"

    def test_quiet_says_nothing_but_errors(
        self, command: list[str], jobs: list[Job], capfd: pytest.CaptureFixture[str]
    ) -> None:
        folder_of(jobs[1]).mkdir(parents=True)
        load_dataset(jobs[0].location, size=32)  # decoded with bars
        capfd.readouterr()
        assert main([*command, "--quiet"]) == 1
        found = capfd.readouterr()
        assert found.out == ""
        assert [line.partition(":")[0] for line in found.err.splitlines()] == ["error", "error"]

    def test_ctrl_c(self, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*values: object, **options: object) -> list[tuple[Job, State]]:
            raise KeyboardInterrupt

        monkeypatch.setattr("train.__main__.train_grid", interrupted)
        assert main(command) == 130


def test_only_chooses_by_architecture_and_norm() -> None:
    grid = GRIDS["elpv"]
    assert {job.architecture for job in grid.jobs(["compact", "vgg11"])} == {"compact", "vgg11"}
    found = grid.jobs(["resnet14", "batch", "group"])
    assert [(job.architecture, job.norm) for job in found] == [("resnet14", "batch"), ("resnet14", "group")]
    with pytest.raises(ValueError, match="no run of the grid has 'resnet20'; expected some of: batch, "):
        grid.jobs(["resnet20"])


def test_unknown_and_missing_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grid", "elvp"]) == 1
    assert capsys.readouterr().err == "error: unknown grid 'elvp'; expected one of: elpv, seeds, batch-size, cifar10\n"
    assert main(["grid"]) == 0
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()] == [
        ["elpv", "14", "runs"],
        ["seeds", "21", "runs"],
        ["batch-size", "6", "runs"],
        ["cifar10", "14", "runs"],
    ]


def test_capacity_prints_every_layer_and_the_totals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capacity", "--architecture", "compact", "--norm", "group"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "formula", "parameters", "buffers", "MACs"]
    assert lines[2].split() == [
        *("stages.stem.0.conv1", "Conv2d", "16", "×", "32", "×", "32", "3*3*3*16", "+", "16", "448", "0", "442,368")
    ]
    total = next(line for line in lines if line.startswith("total"))
    assert total.split()[-3:] == ["40,394", "0", "11,141,440"]
    assert sum(int(line.split()[-3].replace(",", "")) for line in lines[2:-4]) == 40_394
    assert len({len(line) for line in lines[:-2]}) == 1
    assert "input 0.01 MB" in lines[-1]  # 3 * 32 * 32 * 4 bytes
    assert "parameters 0.16 MB" in lines[-1]  # 40,394 * 4 bytes


def test_capacity_of_an_unknown_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capacity", "--architecture", "resnet15"]) == 1
    assert "unknown architecture 'resnet15'; expected one of: resnet8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--out", "x", "grid", "elpv"], "the options of 'grid' belong after it: python -m train grid ..."),
        (["--norm", "group", "capacity", "--architecture", "compact"], "the options of 'capacity' belong after it"),
        (["--quiet", "grid"], "the options of 'grid' belong after it"),
        (["grd"], "invalid choice: 'grd' (choose from"),
        ([], "the following arguments are required: --dataset, --architecture, --norm"),
        (["--dataset", "elpv", "--norm", "batch"], "the following arguments are required: --architecture"),
        (["grid", "elpv", "--epochs", "3"], "unrecognized arguments: --epochs 3"),
        (["capacity"], "the following arguments are required: --architecture"),
    ],
)
def test_no_option_is_dropped_without_a_word(
    given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(given)
    assert message in capsys.readouterr().err


def test_help_names_the_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert "python -m train grid" in text
    assert "python -m train capacity" in text


def test_a_line_without_batch_sizes_keeps_the_recipes() -> None:
    (job,) = Line("cifar10", "simplecnn", ("batch",)).jobs()
    assert job == default_job("cifar10", "simplecnn", "batch")


class _FixedGrid(Grid):
    """A grid of given jobs, for its grid's command alone."""

    def __init__(self, purpose: str, lines: tuple[Line, ...], fixed: tuple[Job, ...]):
        super().__init__(purpose, lines)
        object.__setattr__(self, "fixed", fixed)

    def jobs(self, only: object = ()) -> list[Job]:
        return list(self.fixed)  # type: ignore[attr-defined]


def _must_not_train(job: Job, **options: object) -> Run:
    raise AssertionError(f"{job.norm} was trained")
