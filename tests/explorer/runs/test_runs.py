"""The run folder: what is written is read back, what is damaged is a problem and not a crash."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from explorer.predictions.metrics import Metrics, compute_metrics
from explorer.runs import (
    HISTORY_COLUMNS,
    Card,
    Choice,
    DamagedRun,
    DatasetCard,
    InputSpec,
    Predictions,
    Run,
    build_model_of,
    dataset_folder,
    labels_of,
    list_runs,
    predict,
    read_run,
    run_name,
    write_run,
)

SPEC = InputSpec(32, 32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
METRICS = Metrics(accuracy=0.75, micro_f1=0.75, macro_f1=0.7, loss=0.9, misclassified=3, count=12)
CARD = Card(
    created="2026-01-02T03:04:05+00:00",
    dataset=DatasetCard("toys", "Made for the tests.", "0123456789abcdef", {"train": 20, "val": 6, "test": 12}),
    architecture=Choice("simplecnn"),
    norm=Choice("group", {"groups": 4, "eps": 1e-5}),
    classes=("ape", "bee", "čáp"),
    input=SPEC,
    recipe={"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "augmentations": ["flip_horizontal"]},
    seed=0,
    parameters=1234,
    macs=56789,
    seconds=1.5,
    best_epoch=2,
    versions={"torch": "2.14"},
    hardware="a processor, 2 threads",
    metrics={"train": METRICS, "val": METRICS, "test": METRICS},
)
HISTORY = pd.DataFrame([[epoch, *np.linspace(0.1, 0.9, 10)] for epoch in (1, 2)], columns=list(HISTORY_COLUMNS))


def made_images(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(count)).to(torch.uint8)


def write(root: Path, card: Card = CARD, **options: Any) -> Run:
    """A run of an untrained model with its true predictions."""
    torch.manual_seed(0)
    model = build_model_of(card)
    stored = {
        split: Predictions(
            tuple(f"{split}/{n}" for n in range(count)),
            np.arange(count) % 3,
            predict(model, made_images(count), card.input),
        )
        for split, count in (("val", 6), ("test", 12))
    }
    return write_run(root, card, model.state_dict(), HISTORY, stored, **options)


class TestCard:
    def test_round_trip_through_text(self) -> None:
        again = Card.from_json(json.loads(json.dumps(CARD.to_json())))
        assert again == CARD
        assert again.name == CARD.name

    def test_keys_that_others_rely_on(self, tmp_path: Path) -> None:
        plain = json.loads((write(tmp_path).path / "card.json").read_text(encoding="utf-8"))
        wanted = "schema_version name created dataset architecture norm classes input recipe seed parameters macs "
        assert set((wanted + "seconds versions hardware metrics").split()) <= set(plain)
        assert plain["name"] == CARD.name
        assert {"name", "fingerprint", "splits"} <= set(plain["dataset"])
        assert plain["norm"] == {"name": "group", "groups": 4, "eps": 1e-5}
        assert plain["architecture"] == {"name": "simplecnn"}
        assert plain["input"] == {"height": 32, "width": 32, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
        assert list(plain["metrics"]) == ["train", "val", "test"]
        keys = {"accuracy", "micro_f1", "macro_f1", "loss", "misclassified", "count", "classes"}
        assert all(set(part) == keys for part in plain["metrics"].values())

    @pytest.mark.parametrize("key", sorted(set(CARD.to_json()) - {"schema_version", "name"}))
    def test_a_missing_key_is_named(self, key: str) -> None:
        plain = CARD.to_json()
        del plain[key]
        with pytest.raises(DamagedRun, match=f"card.json lacks the key '{key}'; train the run again"):
            Card.from_json(plain)

    @pytest.mark.parametrize(
        ("key", "value"),
        [("dataset", 3), ("norm", "batch"), ("seed", "one"), ("metrics", []), ("input", None), ("recipe", 1)],
    )
    def test_a_value_of_another_kind(self, key: str, value: Any) -> None:
        with pytest.raises(DamagedRun, match=r"value of the wrong kind|lacks the key"):
            Card.from_json(CARD.to_json() | {key: value})

    def test_another_schema_version(self) -> None:
        with pytest.raises(DamagedRun, match="schema version 99; this Normscope reads 1"):
            Card.from_json(CARD.to_json() | {"schema_version": 99})


class TestName:
    def test_it_is_the_same_for_ever(self) -> None:
        assert CARD.name == "simplecnn-group-seed0-83aa37"

    def test_tuples_and_lists_are_the_same_recipe(self) -> None:
        assert replace(CARD, recipe={**CARD.recipe, "augmentations": ("flip_horizontal",)}).name == CARD.name

    @pytest.mark.parametrize(
        "changes",
        [
            {"dataset": replace(CARD.dataset, name="other")},
            {"architecture": Choice("simplecnn", {"width": 2})},
            {"norm": Choice("group", {"groups": 2, "eps": 1e-5})},
            {"input": replace(SPEC, height=64)},
            {"recipe": {**CARD.recipe, "learning_rate": 0.2}},
            {"recipe": {**CARD.recipe, "augmentations": []}},
            {"seed": 1},
        ],
    )
    def test_whatever_defines_the_training_changes_it(self, changes: dict[str, Any]) -> None:
        assert replace(CARD, **changes).name != CARD.name

    def test_what_was_measured_does_not(self) -> None:
        other = replace(CARD, created="later", seconds=9.0, hardware="another", best_epoch=1)
        assert other.name == CARD.name

    def test_the_parts_are_legible(self) -> None:
        name = run_name("toys", Choice("resnet14"), Choice("batch-scratch"), SPEC, {}, 12)
        assert name.startswith("resnet14-batch-scratch-seed12-")

    def test_dataset_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "my birds").mkdir()
        monkeypatch.chdir(tmp_path / "my birds")
        assert dataset_folder("elpv") == "elpv"
        assert dataset_folder("folder:/data/cells/") == "folder-cells"
        assert dataset_folder("folder:.") == dataset_folder("folder:../my birds") == "folder-my-birds"


class TestInputSpec:
    def test_normalise_is_the_formula(self) -> None:
        images = made_images(4)
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (SPEC.mean, SPEC.std))
        inputs = SPEC.normalise(images)
        assert inputs.dtype == torch.float32
        torch.testing.assert_close(inputs, (images / 255 - mean) / std)

    @pytest.mark.parametrize(
        "images",
        [
            torch.zeros(2, 3, 32, 32),
            torch.zeros(2, 3, 32, 16, dtype=torch.uint8),
            torch.zeros(2, 1, 32, 32, dtype=torch.uint8),
            torch.zeros(3, 32, 32, dtype=torch.uint8),
        ],
    )
    def test_other_images_are_refused(self, images: torch.Tensor) -> None:
        with pytest.raises(ValueError, match=r"wanted uint8 images \(N, 3, 32, 32\); got torch"):
            SPEC.normalise(images)


class TestWriting:
    def test_a_run_is_read_back(self, tmp_path: Path) -> None:
        written = write(tmp_path)
        ((run,), problems) = list_runs(tmp_path)
        assert problems == []
        assert run == written
        assert run.card == CARD
        assert run.path == tmp_path / "toys" / CARD.name
        assert run.key == f"toys/{CARD.name}"
        pd.testing.assert_frame_equal(run.history(), HISTORY, check_exact=False, rtol=1e-5, check_dtype=False)
        assert not list(run.path.parent.glob(".*"))

    @pytest.mark.parametrize(("split", "count"), [("val", 6), ("test", 12)])
    def test_stored_predictions_are_those_of_the_loaded_model(self, tmp_path: Path, split: str, count: int) -> None:
        run = write(tmp_path)
        stored, model = run.predictions(split), run.load_model()
        assert stored.ids == tuple(f"{split}/{n}" for n in range(count))
        assert stored.labels.tolist() == [n % 3 for n in range(count)]
        assert stored.probabilities.dtype == np.float32
        np.testing.assert_allclose(stored.probabilities, predict(model, made_images(count), run.card.input), atol=1e-6)
        np.testing.assert_allclose(stored.confidence, stored.probabilities.max(1))
        assert stored.wrong.sum() == compute_metrics(stored.probabilities, stored.labels).misclassified
        assert not model.training
        assert not any(p.requires_grad for p in model.parameters())

    def test_predictions_come_in_the_order_of_the_index(self, tmp_path: Path) -> None:
        run = write(tmp_path)
        path = run.path / "predictions.parquet"
        pd.read_parquet(path).sample(frac=1, random_state=0).to_parquet(path, index=False)
        assert run.predictions().ids == tuple(f"test/{n}" for n in range(12))

    def test_weights_of_another_model_are_named(self, tmp_path: Path) -> None:
        run = write(tmp_path)
        save_file({"head.weight": torch.zeros(2)}, run.path / "weights.safetensors")
        with pytest.raises(DamagedRun, match=r"weights\.safetensors does not fit card\.json .*; train the run again"):
            read_run(run.path).load_model()

    def test_half_precision_weights_are_read_as_float32(self, tmp_path: Path) -> None:
        run = write(tmp_path)
        path = run.path / "weights.safetensors"
        whole = load_file(path)
        save_file({key: value.half() for key, value in whole.items()}, path)
        state = read_run(run.path).load_model().state_dict()
        for key, value in whole.items():
            assert state[key].dtype == value.dtype
            assert torch.equal(state[key], value.half().to(value.dtype))

    def test_batches_and_progress_do_not_change_predictions(self, tmp_path: Path) -> None:
        model, seen = write(tmp_path).load_model(), []
        whole = predict(model, made_images(7), SPEC)
        parts = predict(model.train(), made_images(7), SPEC, batch_size=3, progress=lambda *done: seen.append(done))
        np.testing.assert_allclose(parts, whole, atol=1e-6)
        np.testing.assert_allclose(whole.sum(1), 1, atol=1e-5)
        assert seen == [(3, 7), (6, 7), (7, 7)]
        assert model.training

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
    def test_a_failure_while_writing_leaves_what_was_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
    ) -> None:
        before = [write(tmp_path)] if overwrite else []

        def fail(*_: object, **__: object) -> None:
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(pd.DataFrame, "to_parquet", fail)
            with pytest.raises(OSError, match="disk full"):
                write(tmp_path, overwrite=overwrite)
        assert list_runs(tmp_path) == (before, [])
        write(tmp_path, overwrite=overwrite)
        assert len(list_runs(tmp_path)[0]) == 1

    def test_the_card_is_written_last(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("explorer.runs.json.dumps", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_run(tmp_path, replace(CARD, seed=5), {}, HISTORY, {})
        assert list_runs(tmp_path) == ([], [])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def without_column(path: Path) -> None:
    pd.read_csv(path).drop(columns="val_macro_f1").to_csv(path, index=False)


def change_card(path: Path, **changes: Any) -> None:
    plain = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in plain.items() if value is not None}), encoding="utf-8")


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no card": ("card.json", Path.unlink, "card.json is missing"),
    "no weights": ("weights.safetensors", Path.unlink, "weights.safetensors is missing"),
    "no history": ("history.csv", Path.unlink, "history.csv is missing"),
    "no predictions": ("predictions.parquet", Path.unlink, "predictions.parquet is missing"),
    "half a card": ("card.json", truncate, "card.json is not readable JSON"),
    "an empty card": ("card.json", lambda path: path.write_bytes(b""), "card.json is not readable JSON"),
    "bytes for a card": ("card.json", lambda path: path.write_bytes(b"\xff\xfe\x00"), "card.json is not readable JSON"),
    "a list for a card": ("card.json", lambda path: path.write_text("[1, 2]"), "holds a list, wanted an object"),
    "an old card": ("card.json", lambda path: change_card(path, schema_version=0), "schema version 0"),
    "no norm": ("card.json", lambda path: change_card(path, norm=None), "lacks the key 'norm'"),
    "half the weights": ("weights.safetensors", truncate, "weights.safetensors is damaged"),
    "empty weights": ("weights.safetensors", lambda path: path.write_bytes(b""), "weights.safetensors is damaged"),
    "half the predictions": ("predictions.parquet", truncate, "a table is damaged"),
    "more classes": ("card.json", lambda path: change_card(path, classes=list("abcd")), "columns probability_3"),
    "no history rows": ("history.csv", lambda path: path.write_bytes(b""), "a table is damaged"),
    "bytes for a history": ("history.csv", lambda path: path.write_bytes(b"\xff\xfe,\x81"), "a table is damaged"),
    "no such column": ("history.csv", without_column, "the tables lack the columns val_macro_f1"),
}


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGE)
    def test_a_damaged_run_is_a_problem_beside_the_good_ones(self, tmp_path: Path, damage: str) -> None:
        good, bad = write(tmp_path), write(tmp_path, replace(CARD, seed=1))
        name, break_it, reason = DAMAGE[damage]
        break_it(bad.path / name)
        runs, (problem,) = list_runs(tmp_path)
        assert runs == [good]
        assert problem.path == bad.path
        assert reason in problem.reason
        with pytest.raises(DamagedRun):
            read_run(bad.path)

    def test_an_empty_folder_is_a_problem(self, tmp_path: Path) -> None:
        (tmp_path / "toys" / "run").mkdir(parents=True)
        runs, (problem,) = list_runs(tmp_path)
        assert runs == []
        assert "card.json is missing; train the run again or delete the folder" in problem.reason

    def test_hidden_folders_and_files_are_no_runs(self, tmp_path: Path) -> None:
        (tmp_path / "toys" / ".writing-run").mkdir(parents=True)
        (tmp_path / ".git" / "objects").mkdir(parents=True)
        (tmp_path / "toys" / ".run.training").write_text("a state")
        (tmp_path / "toys" / "notes.txt").write_text("not a run")
        (tmp_path / "README.md").write_text("not a data set")
        assert list_runs(tmp_path) == ([], [])

    def test_a_root_that_is_not_there_has_no_runs(self, tmp_path: Path) -> None:
        assert list_runs(tmp_path / "nowhere") == ([], [])


class TestLabels:
    def labels(self, *cards: Card) -> list[str]:
        runs = [Run(Path("root") / card.dataset.name / card.name, card) for card in cards]
        labels = labels_of(runs)
        assert list(labels) == [run.key for run in runs]
        assert len(set(labels.values())) == len(runs)
        return list(labels.values())

    def test_the_norm_is_enough_when_it_is_all_that_differs(self) -> None:
        cards = [replace(CARD, norm=Choice(name)) for name in ("batch", "layer", "none")]
        assert self.labels(*cards) == ["batch", "layer", "none"]

    def test_only_what_differs_is_added_and_only_where_needed(self) -> None:
        batch = replace(CARD, norm=Choice("batch"))
        assert self.labels(batch, replace(batch, seed=1), CARD) == ["batch, seed 0", "batch, seed 1", "group"]

    @pytest.mark.parametrize(
        ("changes", "labels"),
        [
            ({"norm": Choice("group", {"groups": 8, "eps": 1e-5})}, ["group, 4 groups", "group, 8 groups"]),
            ({"recipe": {**CARD.recipe, "batch_size": 32}}, ["group, batch size 8", "group, batch size 32"]),
            ({"recipe": {**CARD.recipe, "epochs": 9}}, ["group, 2 epochs", "group, 9 epochs"]),
            ({"recipe": {**CARD.recipe, "learning_rate": 1}}, ["group, learning rate 0.1", "group, learning rate 1"]),
            ({"architecture": Choice("compact")}, ["group, simplecnn", "group, compact"]),
            ({"input": replace(SPEC, height=64, width=64)}, ["group, 32 pixels", "group, 64 pixels"]),
        ],
    )
    def test_each_detail(self, changes: dict[str, Any], labels: list[str]) -> None:
        assert self.labels(CARD, replace(CARD, **changes)) == labels

    def test_the_hash_tells_apart_what_no_detail_does(self) -> None:
        other = replace(CARD, recipe={**CARD.recipe, "weight_decay": 0.1})
        assert self.labels(CARD, other) == [f"group, {CARD.name[-6:]}", f"group, {other.name[-6:]}"]
