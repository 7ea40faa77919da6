"""The app over made-up runs, one page at a time."""

from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

from explorer.app import caches, frame
from explorer.datasets import Dataset, load_dataset
from explorer.models import ARCHITECTURES, StagedModel, build_model
from explorer.models.layers import count_macs, count_parameters
from explorer.models.norms import NORMS
from explorer.predictions.metrics import compute_metrics
from explorer.registry import complete_arguments
from explorer.runs import (
    HISTORY_COLUMNS,
    IMPORTED,
    Card,
    Choice,
    DatasetRef,
    InputSpec,
    Predictions,
    Run,
    RunSpec,
    list_runs,
    write_run,
)
from explorer.runs.weights import predict
from tests.conftest import COLOURED_NORMS, COLOURS, SIDE, Coloured, write_coloured
from tests.explorer.pages.driving import CIFAR10, ROOT, OpenApp, answers, healthy, write_like

RECIPE = {
    "epochs": 1,
    "batch_size": 8,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "optimizer_arguments": {"betas": [0.9, 0.999]},
    "loss": "cross_entropy",
    "loss_arguments": {},
}


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a test changes are seen by the next run, also where the first look took long."""
    monkeypatch.setattr(caches, "REST", 0)


@pytest.fixture
def open_app(coloured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> OpenApp:
    """`open_app(page, root, /, **query)` -> the app on that page, drawn once, with these parameters in its URL."""
    monkeypatch.setenv("NORMSCOPE_CACHE", str(coloured.cache))
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path / "no-data"))
    monkeypatch.setattr(frame, "load_ahead", lambda runs: None)  # a thread that would outlive the test

    def open_one(name: str = "overview", root: Path = coloured.checkpoints, /, **query: str | list[str]) -> AppTest:
        monkeypatch.setenv("NORMSCOPE_CHECKPOINTS", str(root))
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        if name != "overview":
            app.run()  # switch_page knows the pages after a first run
            app.switch_page(f"explorer/pages/{name}.py")
        for key, value in query.items():
            app.query_params[key] = value
        return healthy(app.run())

    return open_one


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Coloured:
    """Three classes of pictures and a run of resnet8 with each of COLOURED_NORMS, made without the training package."""
    made = write_coloured(tmp_path_factory.mktemp("coloured"))
    dataset = load_dataset(made.name, size=SIDE, cache_root=made.cache)
    for norm in COLOURED_NORMS:
        write_trained(made, dataset, norm)
    return made


def write_trained(made: Coloured, dataset: Dataset, norm: str) -> None:
    """Writes a run of resnet8 after a few steps on all training images."""
    spec = InputSpec(SIDE, SIDE, (0.4, 0.4, 0.4), (0.25, 0.25, 0.25))
    model, losses = a_little_trained(norm, dataset, spec)
    found = {
        split: Predictions(part.ids, part.labels.numpy(), predict(model, part.images, spec))
        for split, part in dataset.splits.items()
    }
    metrics = {split: compute_metrics(one.probabilities, one.labels) for split, one in found.items()}
    card = Card(
        spec=RunSpec(
            dataset=DatasetRef(made.images.name, made.name, dataset.fingerprint),
            architecture=Choice("resnet8", complete_arguments("architecture", "resnet8", ARCHITECTURES, {})),
            norm=Choice(norm, complete_arguments("norm", norm, NORMS, {})),
            input=spec,
            recipe=RECIPE,
            seed=0,
        ),
        created="2026-01-01T00:00:00+00:00",
        classes=dataset.classes,
        source=dataset.source,
        splits={split: len(part.labels) for split, part in dataset.splits.items()},
        parameters=count_parameters(model),
        macs=count_macs(model),
        seconds=10.0,
        best_epoch=1,
        versions={"torch": torch.__version__},
        hardware="made up",
        metrics=metrics,
    )
    history = dict.fromkeys(HISTORY_COLUMNS, 0.5) | {"epoch": 1, "seconds": 10.0, "train_loss": losses[-1]}
    history |= {f"val_{key}": getattr(metrics["val"], key) for key in ("loss", "accuracy", "micro_f1", "macro_f1")}
    del found["train"]
    write_run(made.checkpoints, card, model.state_dict(), pd.DataFrame([history]), found)


def a_little_trained(norm: str, dataset: Dataset, spec: InputSpec) -> tuple[StagedModel, list[float]]:
    """A model after ten steps of Adam, and the loss of each."""
    torch.manual_seed(0)
    model = build_model("resnet8", norm, classes=len(COLOURS), input_size=(SIDE, SIDE))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    train, losses = dataset.splits["train"], []
    for _ in range(10):
        loss = torch.nn.functional.cross_entropy(model(spec.normalise(train.images)), train.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model.eval(), losses


@pytest.fixture
def runs(coloured) -> dict[str, Run]:
    """The coloured runs by norm, in the order of the registry."""
    found = {run.spec.norm.name: run for run in list_runs(coloured.checkpoints)[0] if run.spec.norm is not None}
    return {norm: found[norm] for norm in NORMS if norm in found}


@pytest.fixture
def few(coloured, tmp_path: Path) -> Path:
    """A root of the test's own with a copy of the coloured runs."""
    return copytree(coloured.checkpoints, tmp_path / "checkpoints")


@pytest.fixture
def seeds_root(few: Path, runs: dict[str, Run]) -> Path:
    """The coloured runs and two more seeds of batch and of group, made up: of each norm some are better than others."""
    for norm, shares in {"batch": (0.5, 0.55), "group": (0.8, 0.9)}.items():
        for seed, share in enumerate(shares, start=1):
            write_like(few, runs[norm], predictions=answers(runs[norm], share, seed), seed=seed)
    return few


@pytest.fixture
def architectures_root(few: Path, runs: dict[str, Run]) -> Path:
    """The coloured runs and one of convnet and one of an architecture that this version does not know."""
    convnet = build_model("convnet", "batch", classes=len(COLOURS), input_size=(SIDE, SIDE))
    for name, weights, share in (("convnet", convnet.state_dict(), 0.7), ("warpnet", True, 0.4)):
        write_like(
            few,
            runs["batch"],
            predictions=answers(runs["batch"], share, 1),
            weights=weights,
            parameters=2_000_000 if name == "convnet" else 9_000,
            architecture=Choice(name),
        )
    return few


@pytest.fixture
def one_root(coloured: Coloured, runs: dict[str, Run], tmp_path: Path) -> Path:
    """A root with a single run."""
    return copytree(runs["group"].path, tmp_path / "one" / runs["group"].key).parents[1]


@pytest.fixture
def future_root(few: Path, runs: dict[str, Run]) -> Path:
    """The coloured runs, one of a norm and one of a recipe that this version does not know, and an imported model."""
    write_like(few, runs["batch"], norm=Choice("hyper", {"order": 3}), seed=None)
    write_like(few, runs["batch"], norm=Choice("layer", {}), recipe={"epochs": [1, {"warm": True}], "plan": None})
    nothing: dict[str, Any] = {"parameters": None, "macs": None, "seconds": None, "best_epoch": None}
    write_like(
        few,
        runs["group"],
        weights=False,
        history=False,
        architecture=Choice("warpnet"),
        norm=None,
        recipe=None,
        seed=None,
        origin=IMPORTED,
        **nothing,
    )
    return few


HOSTILE = ("[x](http://a.b)", "![x](http://a.b)", "$x$ :red[a] any class")


@pytest.fixture
def hostile_root(few: Path, runs: dict[str, Run], tmp_path: Path) -> Path:
    """Runs of a data set whose own name and whose classes and norms have names that Markdown would read."""
    root = tmp_path / "hostile"
    for norm in ("batch", "[y](http://c.d)"):
        write_like(
            root,
            runs["batch"],
            classes=HOSTILE,
            source="[z](http://e.f)",
            norm=Choice(norm),
            dataset=DatasetRef("![data](http://g.h)", runs["batch"].spec.dataset.location),
        )
    return root


@pytest.fixture
def cifar_root(runs: dict[str, Run], tmp_path: Path) -> Path:
    """A root with one run on cifar10, whose files are not on the machine."""
    rng = np.random.default_rng(0)
    ids, labels = tuple(f"test/{n}" for n in range(30)), rng.integers(0, 10, 30)
    tested = Predictions(ids, labels, rng.dirichlet(np.ones(10), 30).astype("float32"))
    root, model = tmp_path / "cifar-checkpoints", build_model("resnet8", "batch", classes=10)
    write_like(
        root,
        runs["batch"],
        predictions=tested,
        weights=model.state_dict(),
        classes=CIFAR10,
        source="CIFAR-10.",
        splits={"train": 300, "val": 30, "test": 30},
        dataset=DatasetRef("cifar10", "cifar10", "0" * 16),
    )
    return root
