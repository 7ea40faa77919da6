"""The run folder: what is written is read back, and what is damaged is a problem beside the good ones and no crash."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from explorer.runs import (
    HISTORY_COLUMNS,
    IMPORTED,
    DamagedRun,
    Problem,
    Run,
    folder,
    list_runs,
    read_run,
    write_run,
)
from explorer.runs.card import LONGEST_REASON
from tests.explorer.runs.making import (
    CARD,
    COUNTS,
    HISTORY,
    card_of,
    made_predictions,
    read_card,
    rewrite_as_schema_1,
    write,
    write_card,
)


class TestWriting:
    def test_a_run_is_read_back(self, tmp_path: Path) -> None:
        written = write(tmp_path)
        ((run,), problems) = list_runs(tmp_path)
        assert problems == []
        assert run == written
        assert run.card == CARD
        assert run.spec == CARD.spec
        assert run.path == tmp_path / "toys" / CARD.name
        assert run.key == f"toys/{CARD.name}"
        pd.testing.assert_frame_equal(run.history(), HISTORY, check_exact=False, rtol=1e-5, check_dtype=False)
        assert not list(run.path.parent.glob(".*"))

    def test_a_run_of_schema_1_is_read(self, tmp_path: Path) -> None:
        written = write(tmp_path)
        outcomes = written.predictions().outcomes
        rewrite_as_schema_1(written)
        run = read_run(written.path)
        assert run.spec.same_but_images(CARD.spec)
        again = run.predictions().outcomes
        for field in ("labels", "predicted", "confidence", "margin", "loss"):
            np.testing.assert_allclose(getattr(again, field), getattr(outcomes, field), atol=1e-6)
        assert run.load_model() is not None

    def test_an_imported_run_may_lack_weights_and_history(self, tmp_path: Path) -> None:
        card = card_of(origin=IMPORTED, recipe=None, seed=None, seconds=None, best_epoch=None)
        run = write_run(tmp_path, card, None, None, made_predictions(COUNTS, 3))
        assert list_runs(tmp_path) == ([run], [])
        assert not run.has_model
        history = run.history()
        assert (len(history), tuple(history.columns)) == (0, HISTORY_COLUMNS)
        assert len(run.predictions().ids) == 12
        with pytest.raises(DamagedRun, match="kept no weights, so it has no heatmaps; import it with its weights"):
            run.load_model()

    def test_all_files_have_the_mode_that_the_process_gives(self, tmp_path: Path) -> None:
        modes = {path.name: path.stat().st_mode for path in write(tmp_path).path.iterdir()}
        assert len(modes) == 4
        assert len(set(modes.values())) == 1

    def test_an_existing_run_is_kept(self, tmp_path: Path) -> None:
        run = write(tmp_path)
        with pytest.raises(FileExistsError, match="exists; pass --overwrite to replace it"):
            write(tmp_path, replace(CARD, hardware="another"))
        assert read_run(run.path).card == CARD

    def test_an_existing_run_is_replaced_when_asked(self, tmp_path: Path) -> None:
        write(tmp_path)
        write(tmp_path, replace(CARD, hardware="another"), overwrite=True)
        ((run,), problems) = list_runs(tmp_path)
        assert (run.card.hardware, problems) == ("another", [])
        assert not list(run.path.parent.glob(".*"))

    @pytest.mark.parametrize("overwrite", [False, True])
    @pytest.mark.parametrize("part", ["write_predictions", "json.dumps"])
    def test_a_failure_while_writing_leaves_what_was_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool, part: str
    ) -> None:
        before = [write(tmp_path)] if overwrite else []

        def fail(*_: object, **__: object) -> None:
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(f"explorer.runs.folder.{part}", fail)
            with pytest.raises(OSError, match="disk full"):
                write(tmp_path, overwrite=overwrite)
        assert list_runs(tmp_path) == (before, [])
        write(tmp_path, overwrite=overwrite)
        assert len(list_runs(tmp_path)[0]) == 1


class TestListing:
    def test_sorted_by_data_set_and_name(self, tmp_path: Path) -> None:
        cards = [card_of(seed=seed, dataset=replace(CARD.spec.dataset, name=name)) for seed in (1, 0) for name in "ba"]
        for card in cards:
            write(tmp_path, card)
        runs, _ = list_runs(tmp_path)
        assert [run.key for run in runs] == sorted(f"{card.spec.dataset.name}/{card.name}" for card in cards)

    def test_hidden_folders_and_files_are_no_runs(self, tmp_path: Path) -> None:
        (tmp_path / "toys" / ".writing-run").mkdir(parents=True)
        (tmp_path / ".git" / "objects").mkdir(parents=True)
        (tmp_path / "toys" / ".run.training").write_text("a state")
        (tmp_path / "toys" / "notes.txt").write_text("not a run")
        (tmp_path / "README.md").write_text("not a data set")
        assert list_runs(tmp_path) == ([], [])

    def test_a_root_that_is_not_there_has_no_runs(self, tmp_path: Path) -> None:
        assert list_runs(tmp_path / "nowhere") == ([], [])

    def test_a_root_that_is_no_folder_is_a_problem(self, tmp_path: Path) -> None:
        (tmp_path / "root").write_text("a file")
        runs, (problem,) = list_runs(tmp_path / "root")
        assert runs == []
        assert problem.path == tmp_path / "root"
        assert "the folder cannot be listed (Not a directory); check where it lies" in problem.reason

    def test_a_folder_that_cannot_be_listed_hides_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = write(tmp_path)
        stale = tmp_path / "stale"
        stale.mkdir()
        list_them = Path.iterdir

        def iterdir(path: Path) -> object:
            if path == stale:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
            return list_them(path)

        monkeypatch.setattr(Path, "iterdir", iterdir)
        assert list_runs(tmp_path) == (
            [run],
            [Problem(stale, "the folder cannot be listed (Stale file handle); check where it lies")],
        )

    def test_links_that_lead_nowhere_or_to_themselves(self, tmp_path: Path) -> None:
        run = write(tmp_path)
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        (tmp_path / "toys" / "loop").symlink_to("loop")
        (tmp_path / "toys" / "nowhere").symlink_to(tmp_path / "nowhere")
        assert list_runs(tmp_path) == ([run], [])
        card = run.path / "card.json"
        card.unlink()
        card.symlink_to("card.json")
        ((), (problem,)) = list_runs(tmp_path)
        assert "card.json cannot be read (Too many levels of symbolic links)" in problem.reason

    def test_a_run_is_read_again_when_a_file_changed_and_only_then(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = write(tmp_path)
        reads: list[Path] = []
        read = folder._read_card
        monkeypatch.setattr(folder, "_read_card", lambda path: reads.append(path) or read(path))
        assert list_runs(tmp_path) == list_runs(tmp_path) == ([run], [])
        assert reads == []
        os.utime(run.path / "history.csv", ns=(1, 1))
        ((again,), _) = list_runs(tmp_path)
        assert reads == [run.path]
        assert again.stamp != run.stamp

    def test_a_folder_that_vanishes_is_damaged_wherever_it_is_read(self, tmp_path: Path) -> None:
        run = write(tmp_path)
        stored = run.predictions()
        assert stored.probabilities is not None
        run.path.rename(tmp_path / "gone")
        assert list_runs(tmp_path)[0] == []
        for read in (run.history, run.predictions, run.load_model, partial(stored.probabilities.of, 0)):
            with pytest.raises(DamagedRun):
                read()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def change_card(**changes: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return change


def change_history(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    return lambda path: change(pd.read_csv(path)).to_csv(path, index=False)


def put(text: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text.encode() if isinstance(text, str) else text)


def with_seed(path: Path, seed: str) -> str:
    """The text of a card with that as its seed, which Python's JSON writes for no number."""
    return path.read_text(encoding="utf-8").replace('"seed": 1,', f'"seed": {seed},')


CARD_JSON, WEIGHTS, TABLE, PREDICTIONS = "card.json", "weights.safetensors", "history.csv", "predictions.parquet"
DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no card": (CARD_JSON, Path.unlink, "card.json is missing; train the run again or delete the folder"),
    "no weights": (WEIGHTS, Path.unlink, "weights.safetensors is missing"),
    "no history": (TABLE, Path.unlink, "history.csv is missing"),
    "no predictions": (PREDICTIONS, Path.unlink, "predictions.parquet is missing"),
    "a folder for a card": (CARD_JSON, make_folder, "card.json is no file"),
    "a folder for weights": (WEIGHTS, make_folder, "weights.safetensors is no file"),
    "a pipe for a history": (TABLE, make_pipe, "history.csv is no file"),
    "half a card": (CARD_JSON, truncate, "card.json is not readable JSON"),
    "an empty card": (CARD_JSON, put(""), "card.json is not readable JSON"),
    "bytes for a card": (CARD_JSON, put(b"\xff\xfe\x00"), "card.json is not readable JSON"),
    "a list for a card": (CARD_JSON, put("[1, 2]"), "holds a list, wanted an object"),
    "100,000 brackets": (CARD_JSON, put("[" * 100_000), "card.json is not readable JSON"),
    "100,000 brackets closed": (CARD_JSON, put("[" * 100_000 + "]" * 100_000), "card.json is not readable JSON"),
    "a number of 5,000 digits": (CARD_JSON, put("1" * 5000), "card.json is not readable JSON"),
    "seed 1e999": (CARD_JSON, lambda path: path.write_text(with_seed(path, "1e999")), "seed should be a whole number"),
    "seed NaN": (CARD_JSON, lambda path: path.write_text(with_seed(path, "NaN")), "seed should be a whole number"),
    "a card of the future": (
        CARD_JSON,
        change_card(schema_version=3),
        "schema version 3; this Normscope reads 1 and 2",
    ),
    "more classes": (CARD_JSON, change_card(classes=list("abcd")), ""),
    "half the weights": (WEIGHTS, truncate, "weights.safetensors is damaged"),
    "empty weights": (WEIGHTS, put(b""), "weights.safetensors is damaged"),
    "half the predictions": (PREDICTIONS, truncate, "predictions.parquet is damaged"),
    "empty predictions": (PREDICTIONS, put(b""), "predictions.parquet is damaged"),
    "no history rows": (TABLE, put(""), "history.csv is damaged"),
    "a heading alone": (TABLE, put(",".join(HISTORY_COLUMNS) + "\n"), "history.csv should hold finite numbers alone"),
    "bytes for a history": (TABLE, put(b"\xff\xfe,\x81"), "history.csv is damaged"),
    "no such column": (TABLE, change_history(lambda t: t.drop(columns="val_macro_f1")), "lacks the columns val_macro"),
    "words": (TABLE, change_history(lambda t: t.assign(val_loss="low")), "finite numbers alone in val_loss"),
    "truth": (TABLE, change_history(lambda t: t.assign(val_loss=True)), "finite numbers alone in val_loss"),
    "no end": (TABLE, change_history(lambda t: t.assign(val_loss=np.inf)), "finite numbers alone in val_loss"),
    "a gap": (TABLE, change_history(lambda t: t.assign(seconds=[1.0, None])), "finite numbers alone in seconds"),
}


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGE)
    def test_a_damaged_run_is_a_problem_beside_the_good_ones(self, tmp_path: Path, damage: str) -> None:
        good, bad = write(tmp_path), write(tmp_path, card_of(seed=1))
        name, break_it, reason = DAMAGE[damage]
        break_it(bad.path / name)
        runs, problems = list_runs(tmp_path)
        if not reason:  # only reading all of the table can tell
            with pytest.raises(DamagedRun):
                read_run(bad.path).predictions().probabilities.of(0)  # type: ignore[union-attr]
            return
        assert runs == [good]
        (problem,) = problems
        assert problem.path == bad.path
        assert reason in problem.reason
        assert len(problem.reason) <= LONGEST_REASON
        assert "\n" not in problem.reason
        with pytest.raises(DamagedRun):
            read_run(bad.path)

    def test_an_empty_folder_is_a_problem(self, tmp_path: Path) -> None:
        (tmp_path / "toys" / "run").mkdir(parents=True)
        runs, (problem,) = list_runs(tmp_path)
        assert runs == []
        assert "card.json is missing; train the run again or delete the folder" in problem.reason


def read_input(side: int) -> dict[str, Any]:
    """The input of CARD as JSON, at another size."""
    return json.loads(json.dumps(CARD.to_json()["input"])) | {"height": side, "width": side}


class TestCardsOfOtherOrigins:
    """What this version does not know takes nothing down: the run is listed, its tables read, its model is not."""

    def odd(self, root: Path, **changes: Any) -> Run:
        run = write(root)
        plain = read_card(run)
        write_card(run, plain | changes)
        ((again,), problems) = list_runs(root)
        assert problems == []
        assert len(again.predictions().ids) == 12
        assert len(again.history()) == 2
        return again

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"norm": {"name": "norm of the year 3000", "groups": 4}},
                "unknown norm 'norm of the year 3000'; expected",
            ),
            ({"norm": {"name": "group", "depth": 3}}, "unknown argument 'depth' of norm 'group'"),
            ({"norm": {"name": "group", "groups": "four"}}, "wants a whole number, like 4; got 'four'"),
            (
                {"architecture": {"name": "net of the year 3000"}},
                "unknown architecture 'net of the year 3000'; expected",
            ),
            ({"architecture": {"name": "convnet", "hidden": 10**15}}, "does not fit card.json"),
            ({"architecture": {"name": "convnet", "hidden": -1}}, "cannot build its model"),
            ({"architecture": {"name": "resnet14"}}, "does not fit card.json"),
            ({"norm": None}, "does not fit card.json"),
            ({"input": read_input(8)}, "cannot build its model (input_size must be (height, width) of at least 32"),
        ],
        ids=str,
    )
    def test_the_model_is_refused_in_one_line(self, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
        run = self.odd(tmp_path, **changes)
        with pytest.raises(DamagedRun) as caught:
            run.load_model()
        assert message in str(caught.value)
        assert str(caught.value).startswith(f"{run.path.name}: ")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "changes",
        [
            {"recipe": None},
            {"seed": None},
            {"recipe": {"epochs": 2}},  # no batch size
            {"recipe": {"optimizer": "lion", "optimizer_arguments": 3, "norm": "layer"}},
            {"seconds": None, "parameters": None, "macs": None, "best_epoch": None},
            {"of the future": 1},
        ],
        ids=str,
    )
    def test_the_model_loads_where_it_is_known(self, tmp_path: Path, changes: dict[str, Any]) -> None:
        assert not self.odd(tmp_path, **changes).load_model().training
