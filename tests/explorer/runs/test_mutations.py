"""Hundreds of damaged run folders: each is a problem that is told in a line, or a run whose parts work or say so.

What pages do with a run is done with each: tables, predictions, probabilities of one image and of all, the model, and
grouping. A mutant of which nothing is noticed is fine, as where a turned bit makes one weight a little larger.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.runs import DamagedRun, Run, axes_of, datasets_of, group_runs, labels_of, list_runs
from explorer.runs.card import LONGEST_REASON
from explorer.runs.folder import FILES
from tests.explorer.runs.making import CARD, rewrite_as_schema_1, write
from tests.explorer.runs.mutating import mutate

MUTANTS = 100  # of each file


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same run as both schemas write it."""
    newer, older = (write(tmp_path_factory.mktemp(name)) for name in ("newer", "older"))
    rewrite_as_schema_1(older)
    return [newer.path, older.path]


@pytest.mark.filterwarnings("ignore")  # of layers without elements and the like; on a page they are no error either
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_is_told_and_never_raises(tmp_path: Path, sources: list[Path], file: str) -> None:
    told = 0
    for number in range(MUTANTS):
        rng = random.Random(f"{file} {number}")
        folder = tmp_path / "toys" / f"run {number}"
        shutil.copytree(sources[number % 2], folder)
        what = mutate(folder / file, rng)
        runs, problems = list_runs(tmp_path)
        assert len(runs) + len(problems) == 1, what
        told += sum(check_reason(problem.reason, what) for problem in problems)
        told += sum(use(run, what) for run in runs)
        shutil.rmtree(folder)
    assert told > MUTANTS / 3


def use(run: Run, what: str) -> int:
    """How many parts of a run say that they are damaged; the others have to work."""
    said = 0
    for part in (run.history, run.load_model, lambda: read_all(run, "val"), lambda: read_all(run, "test")):
        said += is_told(part, what)
    for axis in axes_of([run]):
        assert group_runs([run], axis).runs == (run,), what
    assert list(labels_of([run])) == [run.key], what
    assert list(datasets_of([run]).values()) == [(run,)], what
    assert run.spec.same_but_images(run.spec), what
    assert run.spec.name, what
    return said


def is_told(part: Callable[[], object], what: str) -> bool:
    try:
        part()
    except DamagedRun as error:
        return check_reason(str(error), what)
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    return False


def read_all(run: Run, split: str) -> None:
    stored = run.predictions(split)
    assert len(stored.ids) == len(stored.outcomes.wrong) == CARD.splits[split]
    assert list(stored.ids)
    if stored.probabilities is not None:
        assert stored.probabilities.of(0).shape == (len(run.card.classes),)
        assert sum(map(len, stored.probabilities.blocks())) == len(stored.ids)


def check_reason(reason: str, what: str) -> bool:
    assert 0 < len(reason) <= LONGEST_REASON, what
    assert reason.isprintable(), what
    return True
