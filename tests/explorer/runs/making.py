"""Runs made for tests: a card, an untrained model's weights and predictions, in the layouts of schema 2 and 1."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from explorer.predictions.metrics import Metrics
from explorer.runs import (
    HISTORY_COLUMNS,
    Card,
    Choice,
    DatasetRef,
    InputSpec,
    Predictions,
    Run,
    RunSpec,
    write_run,
)
from explorer.runs.weights import build_model_of, predict

COUNTS = {"val": 6, "test": 12}
METRICS = Metrics(accuracy=0.75, micro_f1=0.75, macro_f1=0.7, loss=0.9, misclassified=3, count=12, classes=3)
RECIPE = {
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 0.1,
    "optimizer": "sgd",
    "optimizer_arguments": {"momentum": 0.9, "dampening": 0, "nesterov": True},
    "clip_norm": None,
    "augmentations": ["flip_horizontal"],
}
SPEC = RunSpec(
    dataset=DatasetRef("toys", "folder:/pictures/toys", "0123456789abcdef"),
    architecture=Choice("simplecnn"),
    norm=Choice("group", {"groups": 4, "eps": 1e-5}),
    input=InputSpec(32, 32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)),
    recipe=RECIPE,
    seed=0,
)
CARD = Card(
    spec=SPEC,
    created="2026-01-02T03:04:05+00:00",
    classes=("ape", "bee", "čáp"),
    source="Made for the tests.",
    splits={"train": 20, **COUNTS},
    parameters=1234,
    macs=56789,
    seconds=1.5,
    best_epoch=2,
    versions={"torch": "2.14"},
    hardware="a processor, 2 threads",
    metrics={"train": METRICS, "val": replace(METRICS, count=6), "test": METRICS},
)
HISTORY = pd.DataFrame([[epoch, *np.linspace(0.1, 0.9, 10)] for epoch in (1, 2)], columns=list(HISTORY_COLUMNS))


def card_of(**changes: Any) -> Card:
    """CARD with changes, in its spec where that has such a field."""
    of_spec = {key: changes.pop(key) for key in list(changes) if hasattr(SPEC, key)}
    return replace(CARD, spec=replace(SPEC, **of_spec), **changes)


def run_of(**changes: Any) -> Run:
    """A run with such a card that lies nowhere."""
    card = card_of(**changes)
    return Run(Path("root") / card.spec.dataset.name / card.name, card, ())


def made_images(count: int) -> torch.Tensor:
    """Images of noise, uint8 (count, 3, 32, 32), the same ones for the same count."""
    return torch.randint(0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(count)).to(torch.uint8)


def made_predictions(counts: Mapping[str, int], classes: int, seed: int = 0) -> dict[str, Predictions]:
    """Random probabilities of that many images for each split; labels go round through the classes."""
    rng = np.random.default_rng(seed)
    return {
        split: Predictions(
            tuple(f"{split}/{number}" for number in range(count)),
            np.arange(count) % classes,
            rng.dirichlet(np.ones(classes), count).astype(np.float32),
        )
        for split, count in counts.items()
    }


def write(root: Path, card: Card = CARD, **options: Any) -> Run:
    """A run of an untrained model with its true predictions."""
    torch.manual_seed(0)
    model = build_model_of(card)
    stored = {
        split: Predictions(
            tuple(f"{split}/{number}" for number in range(count)),
            np.arange(count) % 3,
            predict(model, made_images(count), card.spec.input),
        )
        for split, count in COUNTS.items()
    }
    return write_run(root, card, model.state_dict(), HISTORY, stored, **options)


def read_card(run: Run) -> dict[str, Any]:
    """What card.json of a run holds."""
    return json.loads((run.path / "card.json").read_text(encoding="utf-8"))


def write_card(run: Run, plain: object) -> None:
    """Puts something else into card.json of a run."""
    (run.path / "card.json").write_text(json.dumps(plain), encoding="utf-8")


def as_schema_1(plain: dict[str, Any]) -> dict[str, Any]:
    """What version 1 wrote for a card: another name for the data set, and no argument at its default."""
    plain = json.loads(json.dumps(plain)) | {"schema_version": 1}
    del plain["origin"]
    dataset = plain["dataset"]
    plain["dataset"] = {"name": dataset["location"], "fingerprint": "f" * 16} | {
        key: dataset[key] for key in ("source", "splits")
    }
    if isinstance(plain["recipe"], dict):
        plain["recipe"]["optimizer_arguments"] = {"momentum": 0.9, "nesterov": True}
    for metrics in plain["metrics"].values():
        del metrics["classes"]
    return plain


def rewrite_as_schema_1(run: Run) -> None:
    """Turns a run into one as version 1 wrote it: its card, and a column of probabilities for each class."""
    write_card(run, as_schema_1(read_card(run)))
    parts = []
    for split in COUNTS:
        stored = run.predictions(split)
        assert stored.probabilities is not None
        table = pd.DataFrame({"split": split, "index": range(len(stored.ids)), "image_id": list(stored.ids)})
        table["label"] = stored.outcomes.labels
        for k, column in enumerate(np.concatenate(list(stored.probabilities.blocks())).T):
            table[f"probability_{k}"] = column
        parts.append(table)
    pd.concat(parts).to_parquet(run.path / "predictions.parquet", index=False)
