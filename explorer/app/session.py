"""The only caches of the app: runs, models, data sets, predictions and heatmaps. Pages ask here and compute nothing.

What is large lives in `cache_resource` and is never changed; keys are names and file times, never arrays.
"""

import atexit
import gc
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.marks import MARKS
from explorer.predictions.filters import Answers
from explorer.runs import DamagedRun, Predictions, Problem, Run, labels_of, list_runs, predict

if TYPE_CHECKING:
    from torch import Tensor

    from explorer.datasets import Dataset, Split
    from explorer.heatmaps.explanation import Explained
    from explorer.models import StagedModel
    from explorer.models.layers import MemorySizes

CHECKPOINTS = Path(os.environ.get("NORMSCOPE_CHECKPOINTS") or Path(__file__).parents[2] / "checkpoints")
_LOADING = Lock()
ONE_PER_FAMILY = ("resnet14", "compact", "tinyresnet", "vgg11", "convnet", "simplecnn")


ALL = "all"
# The selectors beside every page, in order: what each reads off a run, as it stands in the URL.
CHOICES: dict[str, Callable[[Run], str]] = {
    "dataset": lambda run: run.card.dataset.name,
    "architecture": lambda run: run.card.architecture.name,
    "batch_size": lambda run: str(run.card.recipe["batch_size"]),
    "seed": lambda run: str(run.card.seed),
}


@dataclass(frozen=True)
class Selection:
    """The runs of the chosen data set and architecture, with the label each goes by on every page."""

    runs: tuple[Run, ...]
    labels: dict[str, str]

    def run(self, label: str) -> Run:
        return next(run for run in self.runs if self.labels[run.key] == label)

    def label(self, run: Run) -> str:
        return self.labels[run.key]

    @cached_property
    def letters(self) -> dict[str, str]:
        """By label, the letter of a run's norm, or the whole label where several runs share the norm."""
        norms = {self.label(run): run.card.norm.name for run in self.runs}
        shared = Counter(norms.values())
        return {label: MARKS[norm].letter if shared[norm] == 1 else label for label, norm in norms.items()}


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Once for all sessions: in the background, loads what the first page does not need and others do.

    That is torch, and then the images that the first visitor's runs were tested on, and their models.
    """
    runs = selection().runs
    card = runs[0].card

    def load() -> None:
        for module in ("explorer.datasets", "explorer.heatmaps.explanation", "explorer.heatmaps.bundle"):
            import_module(module)
        gc.freeze()  # Streamlit collects garbage after every run: 0.2 s of searching the modules of torch
        atexit.register(gc.unfreeze)

        from explorer.datasets import DatasetMissing

        with suppress(DatasetMissing, ValueError):  # the page that needs them says so
            _load_dataset(card.dataset.name, card.input.height)
        for run in runs:
            with suppress(DamagedRun):
                model(run)

    Thread(target=load, daemon=True).start()


def runs_and_problems() -> tuple[list[Run], list[Problem]]:
    """All runs on disk as of now; a folder is read again only when one of its files has changed."""
    files = sorted(path for path in CHECKPOINTS.glob("*/*/*") if not path.parent.name.startswith("."))
    return _listed(tuple((str(path), path.stat().st_mtime_ns) for path in files))


@st.cache_resource(max_entries=4, show_spinner="Reading the runs")
def _listed(files: tuple[tuple[str, int], ...]) -> tuple[list[Run], list[Problem]]:
    return list_runs(CHECKPOINTS)


def selection(**instead: str) -> Selection:
    """The runs that the selectors beside every page choose, or a page `instead` of one of them."""
    runs, _ = runs_and_problems()
    for field, values in CHOICES.items():
        chosen = instead.get(field) or st.session_state.get(field, ALL)
        runs = [run for run in runs if chosen in (ALL, values(run))]
    runs = sorted(runs, key=lambda run: list(MARKS).index(run.card.norm.name))
    return Selection(tuple(runs), labels_of(runs))


def model(run: Run) -> "StagedModel":
    """The trained model of a run, in evaluation mode, shared by all sessions."""
    return _model(str(run.path), _stamp(run), run)


@st.cache_resource(max_entries=24, show_spinner=False)
def _model(path: str, stamp: int, _run: Run) -> "StagedModel":
    import torch

    torch.set_num_threads(1)  # sessions run side by side; more threads only wait for each other
    return _run.load_model()


def dataset(run: Run) -> "Dataset":
    """The data set a run was trained on, at the run's image size. Raises DatasetMissing, ValueError."""
    return _dataset(run.card.dataset.name, run.card.input.height)


@st.cache_resource(max_entries=3, show_spinner="Reading the images")
def _dataset(name: str, size: int) -> "Dataset":
    return _load_dataset(name, size)


def _load_dataset(name: str, size: int) -> "Dataset":
    """What `load_dataset` gives, for threads that belong to no session too; a second one waits for the first."""
    with _LOADING:
        return _loaded(name, size)


@lru_cache(maxsize=3)
def _loaded(name: str, size: int) -> "Dataset":
    from explorer.datasets import load_dataset

    return load_dataset(name, size=size)


def images_of(run: Run) -> "Split | None":
    """The test images of a run, or None after a line that says how to get them."""
    from explorer.datasets import DatasetMissing

    try:
        found = dataset(run)
    except (DatasetMissing, ValueError) as error:
        st.info(f"The pictures are not on this machine. {error}", icon=":material/image_not_supported:")
        return None
    if found.classes != run.card.classes:
        st.warning(
            f"The data set here has the classes {', '.join(found.classes)}; the run was trained on "
            f"{', '.join(run.card.classes)}. Train the run again."
        )
        return None
    return found.splits["test"]


def stored_predictions(run: Run) -> Predictions:
    """What a run said of the test images it was measured on, which the figures of its card describe."""
    return _stored(str(run.path), _stamp(run), run)


def predictions(run: Run) -> Predictions:
    """What a run says of the test images that are here: stored with the run, or predicted anew when they differ."""
    from explorer.datasets import DatasetMissing

    try:
        found = dataset(run)
    except (DatasetMissing, ValueError):
        return stored_predictions(run)
    if found.fingerprint == run.card.dataset.fingerprint or found.classes != run.card.classes:
        return stored_predictions(run)
    return _predicted(str(run.path), _stamp(run), found.fingerprint, run)


@st.cache_resource(max_entries=64, show_spinner=False)
def _stored(path: str, stamp: int, _run: Run) -> Predictions:
    return _run.predictions("test")


@st.cache_resource(max_entries=64, show_spinner=False)
def _predicted(path: str, stamp: int, fingerprint: str, _run: Run) -> Predictions:
    """The predictions on images that differ from those the run was measured on, with a progress bar in the page."""
    split = dataset(_run).splits["test"]
    bar = st.progress(0.0, f"These are other images than {_run.path.name} was tested on: predicting anew")
    found = predict(model(_run), split.images, _run.card.input, progress=lambda done, total: bar.progress(done / total))
    bar.empty()
    return Predictions(split.ids, split.labels.numpy(), found)


def heatmaps(
    run: Run, chosen: Sequence[int], targets: Sequence[int], method: str = "gradcam", stage: str | None = None
) -> "Tensor":
    """Heatmaps (N, H, W) in [0, 1] of chosen test images, each for its target class."""
    return _heatmaps(str(run.path), _stamp(run), tuple(chosen), tuple(targets), method, stage, run)


@st.cache_resource(max_entries=256, show_spinner="Looking where the model looks")
def _heatmaps(
    path: str, stamp: int, chosen: tuple[int, ...], targets: tuple[int, ...], method: str, stage: str | None, _run: Run
) -> "Tensor":
    import torch

    from explorer.heatmaps.methods import METHODS, heatmaps_by

    images = dataset(_run).splits["test"].images[list(chosen)]
    arguments = (method, model(_run), _run.card.input.normalise(images), torch.tensor(targets), stage)
    if not METHODS[method].slow:
        return heatmaps_by(*arguments)
    bar = st.progress(0.0, f"{METHODS[method].title}, {len(chosen)} images")
    maps = heatmaps_by(*arguments, progress=lambda done: bar.progress(done) and None)
    bar.empty()
    return maps


def sheet(
    run: Run,
    chosen: Sequence[int],
    columns: int,
    targets: Sequence[int] | None = None,
    method: str = "gradcam",
    stage: str | None = None,
    opacity: float = 0.5,
) -> bytes:
    """A PNG of chosen test images without gaps, `columns` in a row; a JPEG, under heatmaps, where there are targets."""
    wanted = tuple(targets) if targets is not None else None
    return _sheet(str(run.path), _stamp(run), tuple(chosen), columns, wanted, method, stage, opacity, run)


@st.cache_resource(max_entries=256, show_spinner=False)
def _sheet(
    path: str,
    stamp: int,
    chosen: tuple[int, ...],
    columns: int,
    targets: tuple[int, ...] | None,
    method: str,
    stage: str | None,
    opacity: float,
    _run: Run,
) -> bytes:
    from explorer.images import contact_sheet, jpeg_bytes, overlay, png_bytes, to_pixels

    images = dataset(_run).splits["test"].images[list(chosen)]
    if targets is None:
        return png_bytes(contact_sheet([to_pixels(image) for image in images], columns))
    maps = heatmaps(_run, chosen, targets, method, stage)
    return jpeg_bytes(contact_sheet([overlay(i, m, opacity) for i, m in zip(images, maps, strict=True)], columns))


def raw_maps(run: Run, chosen: Sequence[int], target: int, mirrored: bool = False) -> np.ndarray:
    """What speaks for a class in chosen test images, (N, h, w) at the stage's own resolution, 0 where nothing does.

    `mirrored` shows the model the images mirrored, and mirrors the maps back.
    """
    return _raw_maps(str(run.path), _stamp(run), tuple(chosen), target, mirrored, run)


@st.cache_resource(max_entries=256, show_spinner="Looking where the models look")
def _raw_maps(path: str, stamp: int, chosen: tuple[int, ...], target: int, mirrored: bool, _run: Run) -> np.ndarray:
    import torch

    from explorer.heatmaps.gradcam import raw_heatmaps

    inputs = _run.card.input.normalise(dataset(_run).splits["test"].images[list(chosen)])
    targets = torch.full((len(inputs),), target)
    maps = raw_heatmaps(model(_run), inputs.flip(3) if mirrored else inputs, targets).clamp(min=0)
    return (maps.flip(2) if mirrored else maps).numpy()


def mean_heatmap(run: Run, chosen: Sequence[int], target: int) -> "Tensor":
    """The mean (H, W) of the heatmaps of chosen test images for one class."""
    return _mean_heatmap(str(run.path), _stamp(run), tuple(chosen), target, run)


@st.cache_resource(max_entries=256, show_spinner="Averaging heatmaps")
def _mean_heatmap(path: str, stamp: int, chosen: tuple[int, ...], target: int, _run: Run) -> "Tensor":
    import torch

    from explorer.heatmaps.gradcam import heatmaps

    images = dataset(_run).splits["test"].images[list(chosen)]
    maps = heatmaps(model(_run), _run.card.input.normalise(images), torch.full((len(images),), target))
    return maps.mean(0)


def answers_of(chosen: Selection) -> Answers:
    """What the runs of a selection say of the test images they share."""
    found = {chosen.label(run): predictions(run) for run in chosen.runs}
    return _answers(tuple((chosen.label(run), str(run.path), _stamp(run)) for run in chosen.runs), found)


@st.cache_resource(max_entries=16, show_spinner=False)
def _answers(key: tuple[tuple[str, str, int], ...], _found: dict[str, Predictions]) -> Answers:
    first = next(iter(_found.values()))
    same = {label: one for label, one in _found.items() if one.ids == first.ids}
    return Answers(tuple(same), np.stack([one.probabilities for one in same.values()]), first.labels)


def explain_test_image(run: Run, position: int, stage: str | None = None) -> "dict[str, Explained]":
    """Where a run looks in a test image: for the predicted class, the true class and, where wrong, their contrast."""
    return _explained_test_image(str(run.path), _stamp(run), position, stage, run)


@st.cache_resource(max_entries=512, show_spinner=False)
def _explained_test_image(path: str, stamp: int, position: int, stage: str | None, _run: Run) -> "dict[str, Explained]":
    from explorer.heatmaps.explanation import explain_against

    split = dataset(_run).splits["test"]
    inputs = _run.card.input.normalise(split.images[position : position + 1])
    return explain_against(model(_run), inputs, int(split.labels[position]), stage)


def explain(run: Run, image: "Tensor", digest: str, target: int | None) -> "Explained":
    """What a run says of a uint8 image (3, H, W), with the map of a class or, without, of the predicted one.

    `digest` tells the image from all others.
    """
    return _explained(str(run.path), _stamp(run), digest, target, run, image)


@st.cache_resource(max_entries=512, show_spinner="Looking where the models look")
def _explained(path: str, stamp: int, digest: str, target: int | None, _run: Run, _image: "Tensor") -> "Explained":
    from explorer.heatmaps.explanation import explain

    return explain(model(_run), _run.card.input.normalise(_image[None]), target)


@st.cache_resource(max_entries=64, show_spinner="Reading the picture")
def read_upload(file_id: str, sizes: tuple[tuple[int, int], ...], _data: bytes) -> "tuple[str, tuple[Tensor, ...]]":
    """The SHA-256 of an uploaded file and its picture as uint8 (3, H, W) at each size. Raises UnreadableImage."""
    from explorer.images import fit, read_image

    picture = read_image(_data)
    return sha256(_data).hexdigest(), tuple(fit(picture, height, width) for height, width in sizes)


@st.cache_resource(max_entries=64, show_spinner="Counting the layers")
def _capacity(path: str, stamp: int, _run: Run) -> "tuple[pd.DataFrame, MemorySizes]":
    from explorer.models.layers import layer_table, memory_sizes
    from explorer.runs import build_model_of

    network = build_model_of(_run.card)
    return layer_table(network), memory_sizes(network)


def capacity(run: Run) -> "tuple[pd.DataFrame, MemorySizes]":
    """The layer table of a run's model and its sizes in memory."""
    return _capacity(str(run.path), _stamp(run), run)


def costs(run: Run) -> pd.DataFrame:
    """Parameters and MACs of one architecture per family, and of all with runs, at the norm and input of a run.

    Columns `architecture`, `arguments`, `parameters`, `macs`, `trained` (whether its data set has a run of it).
    """
    cards = [other.card for other in runs_and_problems()[0] if other.card.dataset.name == run.card.dataset.name]
    trained = {card.architecture.name: card.architecture for card in [*cards, run.card]}
    names = dict.fromkeys([*trained, *ONE_PER_FAMILY])
    arguments = {name: dict(trained[name].arguments) if name in trained else {} for name in names}
    table = _costs(_stamp(run), str(run.path), json.dumps(arguments), run)
    return table.assign(trained=table["architecture"].isin(trained))


@st.cache_data(max_entries=32, show_spinner="Counting parameters and MACs")
def _costs(stamp: int, path: str, arguments: str, _run: Run) -> pd.DataFrame:
    from explorer.models.layers import architecture_costs

    card, chosen = _run.card, json.loads(arguments)
    table = architecture_costs(
        chosen,
        card.norm.name,
        card.norm.arguments,
        classes=len(card.classes),
        input_size=(card.input.height, card.input.width),
    )
    details = [", ".join(f"{key}={value}" for key, value in chosen[name].items()) for name in table["architecture"]]
    return table.assign(arguments=details)


def _stamp(run: Run) -> int:
    return (run.path / "card.json").stat().st_mtime_ns
