"""The committed runs are exactly those that the grids train: each spec, read back, is that of a job of today."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from explorer.runs import Run, list_runs
from explorer.runs.card import UNSAID_BY_SCHEMA_1
from train.grid import GRIDS, state_of
from train.job import Job
from train.recipes import Recipe
from train.solver import complete_recipe

ROOT = Path(__file__).parents[2]
JOBS = {name: [replace(job, out=ROOT / "checkpoints") for job in grid.jobs()] for name, grid in GRIDS.items()}


def committed_runs() -> list[Run]:
    """The readable runs that git knows of, or all where it knows of nothing: a run of one's own fails no test."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "checkpoints"]
    listed = subprocess.run(command, capture_output=True, text=True).stdout if shutil.which("git") else ""
    folders = {(ROOT / name).parent for name in listed.split("\0") if name}
    runs, _ = list_runs(ROOT / "checkpoints")
    return [run for run in runs if run.path in folders or not folders]


RUNS = committed_runs()


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.key)
def test_every_run_has_the_spec_of_a_job(run: Run) -> None:
    names = {job.spec().name for jobs in JOBS.values() for job in jobs if job.spec().same_but_images(run.spec)}
    assert names == {run.spec.name}


@pytest.mark.parametrize("grid", GRIDS)
def test_every_job_has_its_run(grid: str) -> None:
    assert {job.spec().name for job in JOBS[grid]} <= {run.spec.name for run in RUNS}
    assert {state_of(job).word for job in JOBS[grid]} == {"done"}


@pytest.mark.parametrize(("choice", "unsaid"), UNSAID_BY_SCHEMA_1.items(), ids=str)
def test_what_schema_1_left_unsaid_are_the_defaults_of_today(
    choice: tuple[str, str], unsaid: Mapping[str, Any]
) -> None:
    kind, name = choice
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=0.1)
    changed = complete_recipe(replace(recipe, **{kind: name, f"{kind}_arguments": {}}))
    assert getattr(changed, f"{kind}_arguments") == unsaid


def test_another_seed_argument_or_recipe_is_another_run() -> None:
    job = JOBS["elpv"][1]
    others: list[Job] = [
        replace(job, seed=99),
        replace(job, size=64),
        replace(job, norm_arguments={"eps": 1e-3}),
        replace(job, dataset_name="other cells"),
        replace(job, recipe=replace(job.recipe, optimizer_arguments={"momentum": 0.9})),
    ]
    assert [state_of(other).word for other in (job, *others)] == ["done"] + ["waiting"] * 5
