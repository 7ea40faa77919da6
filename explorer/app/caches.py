"""What the app keeps between clicks and visitors: one decorated function per kept thing. Pages ask here.

What is large lives in `cache_resource` and is never changed. A run and a comparison stand in a key for themselves: they
are told apart by their path and the times of their files, so a run that is trained again is read again.
"""

import atexit
import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from explorer.app.charts.base import Chart, Specification
from explorer.app.text import plain
from explorer.places import cache_root, data_root
from explorer.predictions.comparison import Comparison
from explorer.runs import (
    Choice,
    DamagedRun,
    Grouping,
    ImageIds,
    Predictions,
    Run,
    StoredPredictions,
    Variant,
    curves_table,
    datasets_of,
    labels_of,
    runs_table,
    variants_table,
)

if TYPE_CHECKING:
    from torch import Tensor

    from explorer.datasets import Dataset, Split
    from explorer.heatmaps.agreement import Measure
    from explorer.heatmaps.explanation import Explained
    from explorer.models import StagedModel
    from explorer.models.layers import MemorySizes
    from explorer.predictions.recall import Recalls

HASH_FUNCS: dict[Any, Callable[[Any], Any]] = {
    Run: lambda run: (str(run.path), run.stamp),
    Grouping: lambda grouping: [(v.label, str(run.path), run.stamp) for v in grouping.variants for run in v.runs],
    Comparison: lambda comparison: comparison.key,
}
QUICK_LOOK, LOOK_AGAIN_AFTER = 0.25, 10  # seconds
REST = 9  # times what a look took, until the next
_READING = Lock()
_LOOKS: dict[tuple[str, str], "_Look"] = {}
_PLACES: dict[str, str] = {}  # data set -> where somebody said its images are; kept as long as the server runs
PATIENCE = 0.3  # seconds


@st.cache_resource(max_entries=24, show_spinner=False, hash_funcs=HASH_FUNCS)
def model_of(run: Run) -> "StagedModel":
    """The trained model of a run, in evaluation mode, shared by all sessions. Raises DamagedRun."""
    import torch

    torch.set_num_threads(1)  # sessions run side by side; more threads only wait for each other
    return run.load_model()


def dataset_of(run: Run) -> "Dataset":
    """The data set that a run was trained on as it is now, at the run's image size.

    Raises:
        DatasetMissing, ValueError: it is not on this machine, or not a data set any more.
    """
    ref = run.spec.dataset
    where = _PLACES.get(ref.name, ref.location)
    stamp = _stamp_of(where)
    with _READING:  # a second thread waits for the first rather than decoding the same images beside it
        return _read_dataset(where, ref.name, ref.fingerprint, run.spec.input.height, stamp, data_root(), cache_root())


@lru_cache(maxsize=4)  # not Streamlit's: the thread that loads ahead belongs to no session
def _read_dataset(
    location: str, name: str, fingerprint: str | None, size: int, stamp: str | None, data: Path, cache: Path
) -> "Dataset":
    from explorer.datasets import find_dataset

    return find_dataset(location, name, fingerprint, size=size, data_root=data, cache_root=cache, quiet=True)


@dataclass
class _Look:
    """When the files of a data set were looked at last, how long that took and what was seen."""

    stamp: str | None
    at: float
    seconds: float
    again: bool = False  # a look is under way


def _stamp_of(location: str) -> str | None:
    """What tells the files at a location from changed ones.

    Few files are looked at again and again, with a rest between: one click asks for them dozens of times.
    Where a look takes longer, it is done beside what a visitor waits for: a change is then noticed some seconds later.
    """
    key = (location, str(data_root()))
    known = _LOOKS.get(key)
    age = 0.0 if known is None else time.monotonic() - known.at
    if known is None or (known.seconds < QUICK_LOOK and age > REST * known.seconds):
        return _look(key)
    if known.seconds >= QUICK_LOOK and not known.again and age > LOOK_AGAIN_AFTER:
        known.again = True
        Thread(target=_look, args=(key,), daemon=True).start()
    return known.stamp


def _look(key: tuple[str, str]) -> str | None:
    from explorer.datasets import stamp

    start = time.monotonic()
    seen = stamp(key[0], data_root=Path(key[1]), cache_root=cache_root())
    _LOOKS[key] = _Look(seen, time.monotonic(), time.monotonic() - start)
    return seen


def find_images_at(run: Run, folder: str) -> str:
    """Why the images of a run are not those in a folder; empty where they are: then they are taken from there."""
    from explorer.datasets import DatasetMissing, load_dataset

    ref, location = run.spec.dataset, f"folder:{folder.strip()}"
    try:
        found = load_dataset(location, size=run.spec.input.height, name=ref.name, cache_root=cache_root(), quiet=True)
    except (DatasetMissing, ValueError) as error:
        return str(error)
    if not _is_as_tested(run, found.fingerprint, found):
        return "the images there are not those that the run was trained and tested on"
    _PLACES[ref.name] = found.location
    return ""


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def stored_predictions(run: Run) -> StoredPredictions:
    """What a run said of the test images it was measured on, which the figures of its card describe."""
    return run.predictions("test")


@dataclass(frozen=True)
class Compared:
    """A comparison, the runs in its rows, and a line for each run that had to be left out."""

    comparison: Comparison
    runs: tuple[Run, ...]
    left_out: tuple[str, ...] = ()

    def at_seed(self, seed: int | None) -> "Compared":
        """One run per variant, under the variant's label, as `Comparison.at_seed` chooses them."""
        chosen = self.comparison.at_seed(seed)
        rows = [self.comparison.outcomes.index(found) for found in chosen.outcomes]
        return Compared(chosen, tuple(self.runs[row] for row in rows), self.left_out)


@st.cache_resource(max_entries=16, show_spinner="Reading the predictions", hash_funcs=HASH_FUNCS)
def comparison_of(grouping: Grouping) -> Compared | None:
    """What the runs of a grouping said of the test images they were measured on; None where none can be read.

    Runs whose predictions are damaged or are of other images than those of the first run are left out, with a line.
    """
    found: list[tuple[Variant, Run, StoredPredictions]] = []
    left_out: list[str] = []
    for variant in grouping.variants:
        for run in variant.runs:
            try:
                stored = stored_predictions(run)
            except DamagedRun as error:
                left_out.append(f"{run.path.name}: {error}")
                continue
            if found and not _same_images(stored, found[0][2]):
                left_out.append(f"{run.path.name} was tested on other images than {found[0][1].path.name}")
            else:
                found.append((variant, run, stored))
    if not found:
        return None
    return Compared(_joined(found), tuple(run for _, run, _ in found), tuple(left_out))


def _same_images(one: StoredPredictions, other: StoredPredictions) -> bool:
    return one.ids == other.ids and np.array_equal(one.outcomes.labels, other.outcomes.labels)


def _joined(found: list[tuple[Variant, Run, StoredPredictions]], images: str = "as tested") -> Comparison:
    """The comparison of these runs; `images` says of which images, where they are not those of the cards."""
    labels = list(dict.fromkeys(variant.label for variant, _, _ in found))
    places = [labels.index(variant.label) for variant, _, _ in found]
    _, first, stored = found[0]
    return Comparison(
        runs=run_labels([(variant.label, run) for variant, run, _ in found]),
        variants=tuple(labels),
        variant_of=np.array(places),
        seeds=tuple(run.spec.seed for _, run, _ in found),
        classes=first.card.classes,
        ids=stored.ids,
        outcomes=tuple(one.outcomes for _, _, one in found),
        stored=tuple(one.probabilities for _, _, one in found),
        key=(images, *((variant.label, str(run.path), run.stamp) for variant, run, _ in found)),
    )


def run_labels(runs: list[tuple[str, Run]]) -> tuple[str, ...]:
    """A unique label for each (variant, run): the variant's own, and the seed where it has several runs."""
    counts = {label: sum(other == label for other, _ in runs) for label, _ in runs}
    names = [label if counts[label] == 1 else f"{label}, seed {run.spec.seed}" for label, run in runs]
    doubles = {name for name in names if names.count(name) > 1}
    return tuple(
        f"{name}, {run.path.name[-6:]}" if name in doubles else name for name, (_, run) in zip(names, runs, strict=True)
    )


@dataclass(frozen=True)
class TestImages:
    """The test images of a run as they are on this machine.

    Attributes:
        split: the images; None where they are not here.
        changed: whether they are others than the run was tested on.
        line: what there is to say of them; empty where they are here and the same.
    """

    split: "Split | None"
    changed: bool = False
    line: str = ""


def test_images(run: Run) -> TestImages:
    """The test images of a run, looked at anew at every call: files that change are noticed without a restart."""
    from explorer.datasets import DatasetMissing

    try:
        found = dataset_of(run)
    except (DatasetMissing, ValueError) as error:
        return TestImages(None, line=f"The images of {run.spec.dataset.name} are not here. {error}")
    if found.classes != run.card.classes:
        return TestImages(
            None,
            changed=True,
            line=f"The data set here has the classes {', '.join(found.classes[:12])}; the runs were trained on "
            f"{', '.join(run.card.classes[:12])}. Their images are not shown.",
        )
    if _is_as_tested(run, found.fingerprint, found):
        return TestImages(found.splits["test"])
    count = run.card.test.count
    return TestImages(
        found.splits["test"],
        changed=True,
        line=f"The images here ({len(found.splits['test'].ids):,} for testing) are not those that these runs were "
        f"trained and tested on ({count:,}): files were added, removed or changed since.",
    )


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _is_as_tested(run: Run, fingerprint: str, _found: "Dataset") -> bool:
    """Whether a data set is the one of a run's card; an old card that knows no fingerprint goes by ids and labels."""
    if run.spec.dataset.fingerprint is not None:
        return fingerprint == run.spec.dataset.fingerprint
    split, stored = _found.splits["test"], stored_predictions(run)
    return list(stored.ids) == list(split.ids) and np.array_equal(stored.outcomes.labels, split.labels.numpy())


def comparison_here(grouping: Grouping) -> Compared | None:
    """What the runs say of the test images that are here: as stored, or predicted anew where the images changed."""
    here = test_images(grouping.runs[0])
    if here.split is None or not here.changed:
        return comparison_of(grouping)
    found: list[tuple[Variant, Run, StoredPredictions]] = []
    left_out: list[str] = []
    for variant in grouping.variants:
        for run in variant.runs:
            try:
                found.append((variant, run, _predicted(run, dataset_of(run).fingerprint)))
            except DamagedRun as error:
                left_out.append(f"{run.path.name}: {error}")
    if not found:
        return None
    comparison = _joined(found, images=dataset_of(found[0][1]).fingerprint)
    return Compared(comparison, tuple(run for _, run, _ in found), tuple(left_out))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _predicted(run: Run, fingerprint: str) -> StoredPredictions:
    """What a run says of images that it was not tested on, with a progress bar in the page."""
    from explorer.runs.weights import predict

    split = dataset_of(run).splits["test"]
    bar = st.progress(0.0, f"Other images than {run.path.name} was tested on: predicting anew")
    found = predict(
        model_of(run), split.images, run.spec.input, progress=lambda done, total: bar.progress(done / total)
    )
    bar.empty()
    predictions = Predictions(split.ids, split.labels.numpy(), found)
    return StoredPredictions(ImageIds.of(split.ids), predictions.outcomes, predictions)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def class_recalls_of(comparison: Comparison) -> "Recalls":
    """How much of each class each run of a comparison recognises, and where the images of a class are."""
    from explorer.predictions.recall import recalls_of

    return recalls_of(comparison)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def label_errors_of(comparison: Comparison, row: int) -> np.ndarray:
    """Bool (N,): whose label is likely wrong, by one run of a comparison; takes seconds for a million images."""
    from explorer.predictions.label_errors import label_errors

    stored = comparison.stored[row]
    return np.zeros(len(comparison.ids), dtype=bool) if stored is None else label_errors(stored, comparison.true)


@st.cache_resource(max_entries=16, show_spinner="Comparing the probabilities", hash_funcs=HASH_FUNCS)
def disagreement_of(comparison: Comparison) -> np.ndarray:
    """Float (N,) in [0, 1]: how differently the runs of a comparison judge each image."""
    from explorer.predictions.overlap import disagreement

    return disagreement([stored for stored in comparison.stored if stored is not None])


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def overlap_of(comparison: Comparison) -> pd.DataFrame:
    """The exclusive sets of variants that fail together, largest first, without the images on which none fails."""
    from explorer.predictions.overlap import failure_overlap

    table = failure_overlap(comparison.wrong, comparison.runs)
    return table.iloc[[i for i, failing in enumerate(table["failing"]) if failing]].reset_index(drop=True)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=HASH_FUNCS)
def heatmaps_of(
    run: Run, chosen: tuple[int, ...], targets: tuple[int, ...], method: str = "gradcam", stage: str | None = None
) -> "Tensor":
    """Heatmaps (N, H, W) in [0, 1] of chosen test images, each for its target class."""
    import torch

    from explorer.heatmaps.methods import METHODS, heatmaps_by

    images = dataset_of(run).splits["test"].images[list(chosen)]
    arguments = (method, model_of(run), run.spec.input.normalise(images), torch.tensor(targets), stage)
    if not METHODS[method].slow:
        with st.spinner("Computing heatmaps"):
            return heatmaps_by(*arguments)
    bar = st.progress(0.0, f"{METHODS[method].title}, {len(chosen)} images")
    maps = heatmaps_by(*arguments, progress=lambda done: bar.progress(done) and None)
    bar.empty()
    return maps


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=HASH_FUNCS)
def plain_sheet(run: Run, chosen: tuple[int, ...], columns: int) -> bytes:
    """A PNG of chosen test images at the run's input size, without gaps, `columns` in a row."""
    from explorer.images import contact_sheet, png_bytes, to_pixels

    images = dataset_of(run).splits["test"].images[list(chosen)]
    return png_bytes(contact_sheet([to_pixels(image) for image in images], columns))


def heatmap_sheet(
    run: Run,
    chosen: tuple[int, ...],
    targets: tuple[int, ...],
    columns: int,
    *,
    method: str,
    stage: str | None,
    opacity: float,
) -> bytes:
    """A JPEG of chosen test images under their heatmaps, without gaps, `columns` in a row."""
    from explorer.images import contact_sheet, jpeg_bytes, overlay

    images = dataset_of(run).splits["test"].images[list(chosen)]
    maps = heatmaps_of(run, chosen, targets, method, stage)
    return jpeg_bytes(contact_sheet([overlay(i, m, opacity) for i, m in zip(images, maps, strict=True)], columns))


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=HASH_FUNCS)
def heatmap_rows(
    run: Run,
    rows: tuple[tuple[int, ...], ...],
    targets: tuple[tuple[int, ...], ...],
    *,
    method: str,
    stage: str | None,
    opacity: float,
) -> tuple[bytes, ...]:
    """A JPEG for each row of chosen test images under their heatmaps, all computed in one pass; empty for no image."""
    from explorer.images import contact_sheet, jpeg_bytes, overlay

    if not any(rows):
        return (b"",) * len(rows)
    images = dataset_of(run).splits["test"].images
    maps = iter(heatmaps_of(run, sum(rows, ()), sum(targets, ()), method, stage))
    pictures = [[overlay(images[position], next(maps), opacity) for position in row] for row in rows]
    return tuple(jpeg_bytes(contact_sheet(row, len(row))) if row else b"" for row in pictures)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=HASH_FUNCS)
def raw_maps_of(run: Run, chosen: tuple[int, ...], target: int, mirrored: bool = False) -> np.ndarray:
    """What speaks for a class in chosen test images, (N, h, w) at the stage's own resolution, 0 where nothing does.

    `mirrored` shows the model the images mirrored, and mirrors the maps back.
    """
    import torch

    from explorer.heatmaps.gradcam import raw_heatmaps

    inputs = run.spec.input.normalise(dataset_of(run).splits["test"].images[list(chosen)])
    targets = torch.full((len(inputs),), target)
    maps = raw_heatmaps(model_of(run), inputs.flip(3) if mirrored else inputs, targets).clamp(min=0)
    return (maps.flip(2) if mirrored else maps).numpy()


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=HASH_FUNCS)
def mean_heatmap_of(run: Run, chosen: tuple[int, ...], target: int) -> "Tensor":
    """The mean (H, W) of the heatmaps of chosen test images for one class."""
    import torch

    from explorer.heatmaps.gradcam import BATCH, heatmaps

    images = dataset_of(run).splits["test"].images
    total = torch.zeros(run.spec.input.height, run.spec.input.width)
    for start in range(0, len(chosen), BATCH):  # a batch at a time: 1,000 images of 224 pixels are 600 MB as inputs
        inputs = run.spec.input.normalise(images[list(chosen[start : start + BATCH])])
        total += heatmaps(model_of(run), inputs, torch.full((len(inputs),), target)).sum(0)
    return total / len(chosen)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def agreement_of(
    labels: tuple[str, ...], runs: tuple[Run, ...], chosen: tuple[int, ...], target: int, measure: "Measure"
) -> pd.DataFrame:
    """How alike the runs' heatmaps of chosen test images for one class are, as `compare_all_maps` tells.

    The heatmaps are computed with a progress bar in the page.
    """
    from explorer.heatmaps.agreement import at_one_size, compare_all_maps

    bar, maps, again = st.progress(0.0), {}, {}
    for done, (label, run) in enumerate(zip(labels, runs, strict=True)):
        bar.progress(done / len(runs), f"Heatmaps of {len(chosen)} images: {plain(label)}, {done + 1} of {len(runs)}")
        maps[label] = raw_maps_of(run, chosen, target)
        again[label] = raw_maps_of(run, chosen, target, mirrored=True)
    bar.empty()
    return compare_all_maps(at_one_size(maps), at_one_size(again), measure)


@st.cache_resource(max_entries=512, show_spinner=False, hash_funcs=HASH_FUNCS)
def explained_test_image(run: Run, position: int, stage: str | None = None) -> "dict[str, Explained]":
    """Where a run looks in a test image: for the predicted class, the true class and, where wrong, their contrast."""
    from explorer.heatmaps.explanation import explain_against

    split = dataset_of(run).splits["test"]
    inputs = run.spec.input.normalise(split.images[position : position + 1])
    return explain_against(model_of(run), inputs, int(split.labels[position]), stage)


@st.cache_resource(max_entries=512, show_spinner=False, hash_funcs=HASH_FUNCS)
def explained(run: Run, digest: str, target: int | None, _image: "Tensor") -> "Explained":
    """What a run says of a uint8 image (3, H, W), with the map of a class or, without, of the predicted one.

    `digest` tells the image from all others.
    """
    from explorer.heatmaps.explanation import explain

    return explain(model_of(run), run.spec.input.normalise(_image[None]), target)


@st.cache_resource(max_entries=64, show_spinner="Reading the picture")
def read_upload(file_id: str, sizes: tuple[tuple[int, int], ...], _data: bytes) -> "tuple[str, tuple[Tensor, ...]]":
    """The SHA-256 of an uploaded file and its picture as uint8 (3, H, W) at each size. Raises UnreadableImage."""
    from explorer.images import fit, read_image

    picture = read_image(_data)
    return sha256(_data).hexdigest(), tuple(fit(picture, height, width) for height, width in sizes)


@st.cache_resource(max_entries=16, show_spinner="Reading the training histories", hash_funcs=HASH_FUNCS)
def curves_of(grouping: Grouping) -> pd.DataFrame:
    """The curves of all variants, as `curves_table` gives them. Raises DamagedRun."""
    return curves_table(grouping)


@st.cache_resource(max_entries=64, show_spinner="Counting the layers", hash_funcs=HASH_FUNCS)
def layers_of(run: Run) -> "tuple[pd.DataFrame, MemorySizes]":
    """The layer table of a run's model and its sizes in memory. Raises DamagedRun for a model not known here."""
    from explorer.models.layers import layer_table, memory_sizes
    from explorer.runs.weights import build_model_of

    try:
        network = build_model_of(run.card)
    except (ValueError, TypeError) as error:
        raise DamagedRun(f"{run.path.name}: this version cannot build its model ({error})") from error
    return layer_table(network), memory_sizes(network)


@st.cache_resource(max_entries=32, show_spinner="Counting parameters and MACs", hash_funcs=HASH_FUNCS)
def costs_of(run: Run, architectures: tuple[Choice, ...]) -> pd.DataFrame:
    """What models that are like a run's but of another architecture cost; those that cannot be built have no row.

    Columns `architecture`, `arguments`, `parameters` and `macs`.
    """
    from explorer.models.layers import count_macs, count_parameters
    from explorer.runs.weights import build_model_of

    rows = []
    for architecture in architectures:
        with suppress(ValueError, TypeError):
            network = build_model_of(replace(run.card, spec=replace(run.spec, architecture=architecture)))
            details = ", ".join(f"{key}={value}" for key, value in architecture.arguments.items())
            rows.append((architecture.name, details, count_parameters(network), count_macs(network)))
    return pd.DataFrame(rows, columns=["architecture", "arguments", "parameters", "macs"])


@st.cache_resource(show_spinner=False)
def load_ahead(_runs: tuple[Run, ...]) -> None:
    """Once for all sessions: in the background, loads what the first page does not need and others do.

    That is torch, and then the images that the first visitor's runs were tested on, and their models.
    """

    def load() -> None:
        for module in ("explorer.datasets", "explorer.heatmaps.explanation", "explorer.heatmaps.bundle"):
            import_module(module)
        gc.freeze()  # Streamlit collects garbage after every run: 0.2 s of searching the modules of torch
        atexit.register(gc.unfreeze)

        from explorer.datasets import DatasetMissing

        with suppress(DatasetMissing, ValueError):  # the page that needs them says so
            dataset_of(_runs[0])
        for run in _runs:
            with suppress(DamagedRun):
                model_of(run)

    Thread(target=load, daemon=True).start()


@st.cache_resource(max_entries=64, show_spinner="Comparing the variants", hash_funcs=HASH_FUNCS)
def standings_of(comparison: Comparison, reference: str | None) -> pd.DataFrame:
    """How the variants of a comparison stand, and against one of them if asked."""
    from explorer.predictions.standings import standings

    return standings(comparison, reference)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def reliability_of(comparison: Comparison) -> pd.DataFrame:
    """How often the variants of a comparison are right, by their confidence."""
    from explorer.predictions.calibration import variants_reliability

    return variants_reliability(comparison)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def figures_of(grouping: Grouping) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All figures of each variant and of each run, with `test_balanced` where predictions can be read."""
    from explorer.predictions.baselines import balanced_accuracies, mean_by_variant

    variants, runs = variants_table(grouping), grouping.runs
    names = run_labels([(variant.label, run) for variant in grouping.variants for run in variant.runs])
    each = runs_table(runs, dict(zip((run.key for run in runs), names, strict=True)))
    if (compared := comparison_of(grouping)) is None:
        return variants, each
    balanced = balanced_accuracies(compared.comparison)
    known = dict(zip((run.key for run in compared.runs), balanced, strict=True))
    means = mean_by_variant(compared.comparison, balanced, "test_balanced")
    return variants.merge(means, on="variant", how="left"), each.assign(test_balanced=[known.get(r.key) for r in runs])


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=HASH_FUNCS)
def figures_of_all(runs: tuple[Run, ...]) -> pd.DataFrame:
    """All figures of runs of any data sets, by data set, architecture and accuracy; no label occurs twice in one."""
    parts = [runs_table(group, labels_of(group)).assign(dataset=title) for title, group in datasets_of(runs).items()]
    order = ["dataset", "architecture", "test_accuracy"]
    return pd.concat(parts).sort_values(order, ascending=[True, True, False], ignore_index=True)


def specification_of(chart: Callable[..., Chart], *values: Any) -> Specification:
    """The Vega-Lite of a chart, built once for the same values: altair takes a tenth of a second or more."""
    return _specification(f"{chart.__module__}.{chart.__qualname__}", values, chart)


@st.cache_resource(max_entries=256, show_spinner=False)
def _specification(name: str, values: tuple[Any, ...], _chart: Callable[..., Chart]) -> Specification:
    return _chart(*values).to_dict()


@lru_cache(maxsize=1)
def _background() -> ThreadPoolExecutor:
    """A thread that looks at images while a page that shows none is drawn."""
    return ThreadPoolExecutor(1, thread_name_prefix="images")


def changed_images(run: Run) -> str:
    """What there is to say of test images that are others than a run was tested on; else empty.

    Empty too while they are still being decoded, or torch imported: a page that shows no images does not wait for them.
    """
    try:
        here = _background().submit(test_images, run).result(timeout=PATIENCE)
    except TimeoutError:
        return ""
    return here.line if here.changed else ""
