"""A training that was cut off, by a new solver, `kill -9` or Ctrl-C, ends as if it had never stopped: bit by bit."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from explorer.datasets import Split
from explorer.models import build_model
from explorer.runs import InputSpec, Run, list_runs
from train.__main__ import main
from train.recipes import Recipe
from train.solver import OPTIMIZERS, SCHEDULERS, Solver

SPEC = InputSpec(32, 32, (0.25, 0.25, 0.25), (0.2, 0.2, 0.2))
RECIPE = Recipe(
    epochs=4,
    batch_size=12,
    learning_rate=0.01,
    scheduler_arguments={},
    augmentations=("flip_horizontal", "shift", "cutout"),
    precision="fp32",
)
PATIENCE = 240  # seconds, for a machine that is busy with other things
MakeSplit = Callable[..., Split]


def build_solver(
    make_split: MakeSplit, recipe: Recipe, architecture: str = "simplecnn", norm: str = "none", start: int = 0
) -> Solver:
    torch.manual_seed(start)
    model = build_model(architecture, norm, classes=2)
    return Solver(model, make_split(24, 1), make_split(10, 2), SPEC, recipe)


def assert_resumes_exactly(
    make_split: MakeSplit, folder: Path, recipe: Recipe, architecture: str = "simplecnn", norm: str = "none"
) -> None:
    straight, stopped, resumed = (build_solver(make_split, recipe, architecture, norm, start) for start in (0, 0, 1))
    straight.train(quiet=True)
    stopped.train(2, state=folder / "state", quiet=True)
    resumed.load(folder / "state")
    assert resumed.epoch == 2
    torch.manual_seed(5)  # nothing may depend on what the process drew before
    resumed.train(quiet=True)
    for solver, name in ((straight, "straight"), (resumed, "resumed")):
        solver.save(folder / name)
    assert_same_tensors(folder / "straight", folder / "resumed")
    for key, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[key])
    pd.testing.assert_frame_equal(without_seconds(straight.history), without_seconds(resumed.history), check_exact=True)


def assert_same_tensors(one: Path, other: Path) -> None:
    first, second = load_file(one), load_file(other)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def without_seconds(history: pd.DataFrame) -> pd.DataFrame:
    return history.drop(columns="seconds")


class TestNewSolver:
    @pytest.mark.parametrize("scheduler", SCHEDULERS)
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_every_optimizer_and_scheduler(
        self, make_split: MakeSplit, tmp_path: Path, optimizer: str, scheduler: str
    ) -> None:
        recipe = replace(RECIPE, optimizer=optimizer, scheduler=scheduler)
        if optimizer != "sgd":
            recipe = replace(recipe, optimizer_arguments={}, learning_rate=0.001)
        if scheduler == "step":
            recipe = replace(recipe, scheduler_arguments={"every": 1, "gamma": 0.5})
        assert_resumes_exactly(make_split, tmp_path, recipe)

    @pytest.mark.parametrize(
        ("architecture", "norm", "precision"),
        [
            ("compact", "batch", "bf16"),  # with dropout
            ("compact", "group", "fp32"),
            ("simplecnn", "batch-scratch", "fp32"),
            ("resnet8", "batch-instance", "bf16"),
        ],
    )
    def test_dropout_running_statistics_and_gates(
        self, make_split: MakeSplit, tmp_path: Path, architecture: str, norm: str, precision: str
    ) -> None:
        assert_resumes_exactly(make_split, tmp_path, replace(RECIPE, precision=precision), architecture, norm)

    def test_a_state_after_the_last_epoch_only_loads_the_best_weights(
        self, make_split: MakeSplit, tmp_path: Path
    ) -> None:
        done = build_solver(make_split, RECIPE)
        done.train(state=tmp_path / "state", quiet=True)
        again = build_solver(make_split, RECIPE, start=1)
        again.load(tmp_path / "state")
        again.train(quiet=True)
        assert again.history.equals(done.history)
        for key, value in done.model.state_dict().items():
            assert torch.equal(value, again.model.state_dict()[key])

    def test_another_recipe_or_seed_is_refused(self, make_split: MakeSplit, tmp_path: Path) -> None:
        build_solver(make_split, RECIPE).save(tmp_path / "state")
        other = build_solver(make_split, replace(RECIPE, learning_rate=0.02))
        with pytest.raises(ValueError, match="saved with another recipe or seed; delete it to start anew"):
            other.load(tmp_path / "state")

    def test_a_damaged_state_is_refused(self, make_split: MakeSplit, tmp_path: Path) -> None:
        solver, state = build_solver(make_split, RECIPE), tmp_path / "state"
        solver.save(state)
        state.write_bytes(state.read_bytes()[:-10])
        with pytest.raises(ValueError, match=r"state is damaged .* delete it to start anew"):
            solver.load(state)

    @pytest.mark.parametrize(
        "change",
        [
            lambda plain, tensors: (None, tensors),
            lambda plain, tensors: ({"state": "{}"}, tensors),
            lambda plain, tensors: ({"state": json.dumps(json.loads(plain["state"]) | {"groups": 3})}, tensors),
            lambda plain, tensors: ({"state": plain["state"][:-9]}, tensors),
            lambda plain, tensors: (plain, {"model/x": torch.zeros(1)}),
            lambda plain, tensors: (plain, {key: value[:0] for key, value in tensors.items() if value.ndim}),
        ],
    )
    def test_a_state_of_another_shape_is_refused(
        self, make_split: MakeSplit, tmp_path: Path, change: Callable[..., tuple[dict[str, str] | None, dict]]
    ) -> None:
        solver, state = build_solver(make_split, RECIPE), tmp_path / "state"
        solver.save(state)
        with safe_open(state, framework="pt") as file:
            plain = file.metadata()
        plain, tensors = change(plain, load_file(state))
        save_file(tensors, state, metadata=plain)
        with pytest.raises(ValueError, match=r"state is damaged .* delete it to start anew"):
            solver.load(state)

    def test_a_failed_save_leaves_the_state_before_it(
        self, make_split: MakeSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        solver, state = build_solver(make_split, RECIPE), tmp_path / "state"
        solver.train(1, state=state, quiet=True)

        def fail(_tensors: object, path: Path, **_: object) -> None:
            path.write_bytes(b"half")
            raise OSError("disk full")

        monkeypatch.setattr("safetensors.torch.save_file", fail)
        with pytest.raises(OSError, match="disk full"):
            solver.train(1, state=state, quiet=True)
        fresh = build_solver(make_split, RECIPE)
        fresh.load(state)
        assert fresh.epoch == 1


@pytest.fixture(scope="module")
def command(picture_folder: Path) -> list[str]:
    """A run of 6 epochs, each long enough to be killed in."""
    return [
        *("--dataset", f"folder:{picture_folder}", "--architecture", "compact", "--norm", "batch", "--size", "32"),
        *("--epochs", "6", "--batch-size", "4", "--quiet"),
    ]


@pytest.fixture(scope="module")
def straight(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The run of that command, never stopped."""
    folder = tmp_path_factory.mktemp("straight")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NORMSCOPE_CACHE", str(folder / "cache"))
        assert main([*command, "--out", str(folder / "out")]) == 0
        ((run,), problems) = list_runs(folder / "out")
        assert problems == []
        yield run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


class TestProcess:
    """`python -m train`, killed in the middle of an epoch and started again with the same command."""

    def start(self, command: list[str], out: Path) -> "subprocess.Popen[str]":
        # Ctrl-C is ignored in a process that a shell started in the background; a terminal's is not
        code = (
            "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "runpy.run_module('train', run_name='__main__')"
        )
        environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        return subprocess.Popen(
            [sys.executable, "-c", code, *command, "--out", str(out)],
            env=environment,
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop_after_an_epoch(self, process: "subprocess.Popen[str]", out: Path, how: signal.Signals) -> tuple[int, str]:
        """Exit status and stderr after a signal some batches into an epoch."""
        end = time.monotonic() + PATIENCE
        while not list(out.glob("*/.*.training")):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "no epoch was finished in time"
            time.sleep(0.005)
        time.sleep(0.05)
        process.send_signal(how)
        error = process.communicate(timeout=PATIENCE)[1]
        return process.returncode, error

    def assert_unfinished(self, out: Path) -> None:
        assert list_runs(out) == ([], [])
        assert len(list(out.glob("*/.*.training"))) == 1

    def assert_same_run(self, out: Path, straight: Run) -> None:
        ((run,), problems) = list_runs(out)
        assert problems == []
        assert run.key == straight.key
        assert_same_tensors(run.path / "weights.safetensors", straight.path / "weights.safetensors")
        pd.testing.assert_frame_equal(without_seconds(run.history()), without_seconds(straight.history()))
        assert run.card.metrics == straight.card.metrics
        assert not list(run.path.parent.glob(".*")), "the training state and drafts are gone"

    @pytest.mark.slow  # trains in processes of their own
    def test_kill_9_loses_at_most_the_epoch(self, command: list[str], straight: Run, cache: Path, out: Path) -> None:
        status, _ = self.stop_after_an_epoch(self.start(command, out), out, signal.SIGKILL)
        assert status == -signal.SIGKILL
        self.assert_unfinished(out)
        again = self.start(command, out)
        assert again.communicate(timeout=PATIENCE)[1] == ""
        assert again.returncode == 0
        self.assert_same_run(out, straight)

    @pytest.mark.slow  # trains in processes of their own
    def test_ctrl_c_says_how_to_go_on(self, command: list[str], straight: Run, cache: Path, out: Path) -> None:
        status, error = self.stop_after_an_epoch(self.start(command, out), out, signal.SIGINT)
        assert status == 130
        assert error.splitlines()[-1] == "stopped; the same command goes on from the last finished epoch"
        assert "Traceback" not in error
        self.assert_unfinished(out)
        assert main([*command, "--out", str(out)]) == 0
        self.assert_same_run(out, straight)

    def test_a_state_for_other_images_is_left_alone(
        self, command: list[str], straight: Run, cache: Path, out: Path
    ) -> None:
        foreign = out / straight.path.parent.name / f".{straight.path.name}.0123456789abcdef.training"
        foreign.parent.mkdir(parents=True)
        foreign.write_bytes(b"trained on images that were changed since")
        assert main([*command, "--out", str(out)]) == 0
        assert foreign.exists()
        foreign.unlink()
        self.assert_same_run(out, straight)
