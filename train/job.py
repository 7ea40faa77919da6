"""One job: from what is asked for to a finished run folder. A job that was cut off goes on where it stopped."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from torch import Tensor, nn

from explorer.datasets import Dataset, DatasetMissing, Split, channel_statistics, load_dataset
from explorer.hardware import hardware_of
from explorer.models import ARCHITECTURES, build_model
from explorer.models.layers import count_macs, count_parameters
from explorer.models.norms import NORMS
from explorer.places import checkpoints_root
from explorer.predictions.metrics import Metrics, compute_metrics
from explorer.registry import check_name, complete_arguments
from explorer.runs import (
    Card,
    Choice,
    DamagedRun,
    DatasetRef,
    InputSpec,
    Predictions,
    Run,
    RunSpec,
    dataset_folder,
    list_runs,
    write_run,
)
from explorer.runs.weights import predict
from train.recipes import Recipe, architecture_arguments_for, recipe_for, size_for
from train.solver import Solver, TrainingDiverged, complete_recipe, joined

DEVICES = ("auto", "cpu", "cuda")
ROUNDED_FROM = 1_000_000  # parameters; from here up weights are stored as float16 if they can
MOST_CHANGED = 0.001  # of the predicted classes
LIBRARIES = ("torch", "torchvision", "pytorch-optimizer", "numpy", "pillow")


class RunBusy(Exception):
    """Another process is training the run; the message says which."""


# What keeps `train_run` from a run, each with a message that says why.
FAILURES = (ValueError, OSError, DatasetMissing, RunBusy, TrainingDiverged, SafetensorError, DamagedRun)


def in_one_line(error: BaseException) -> str:
    """What an error says, in one line; of the file system's errors what and where, without their number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split()) or type(error).__name__


@dataclass(frozen=True)
class Job:
    """A run to be: what is asked for, and where the files are.

    Attributes:
        location: of the data set, as `load_dataset` takes it.
        dataset_name: what the data set is called; None for the last part of its location.
        size: side of the square images in pixels; None for the data set's own.
        out: the root of all runs.
    """

    location: str
    architecture: str
    norm: str
    recipe: Recipe
    seed: int = 0
    size: int | None = None
    dataset_name: str | None = None
    architecture_arguments: Mapping[str, Any] = field(default_factory=dict)
    norm_arguments: Mapping[str, Any] = field(default_factory=dict)
    out: Path = field(default_factory=checkpoints_root)
    data_root: Path | None = None
    download: bool = False

    def spec(self, dataset: Dataset | None = None) -> RunSpec:
        """All that defines the run, with every argument of architecture, norm and recipe.

        Without the data set, its fingerprint is None, mean and std are 0 and 1, and a size that is not given is 0.

        Raises:
            ValueError: a name, an argument or a number that no training can start with; the message has the valid ones.
        """
        if not 0 <= self.seed < 2**63:  # what PyTorch and a card take
            raise ValueError(f"the seed must be at least 0 and less than 2^63; got {self.seed}")
        side = self.size or 0
        return RunSpec(
            dataset=dataset_ref(self.location, self.dataset_name, None if dataset is None else dataset.fingerprint),
            architecture=Choice(
                self.architecture,
                complete_arguments("architecture", self.architecture, ARCHITECTURES, self.architecture_arguments),
            ),
            norm=Choice(self.norm, complete_arguments("norm", self.norm, NORMS, self.norm_arguments)),
            input=InputSpec(side, side, (0, 0, 0), (1, 1, 1)) if dataset is None else input_spec(dataset),
            recipe=complete_recipe(self.recipe).to_json(),
            seed=self.seed,
        )


def default_job(location: str, architecture: str, norm: str) -> Job:
    """The job that `python -m train` does for these three names: recipe, image size and arguments by the tables."""
    return Job(
        location,
        architecture,
        norm,
        recipe_for(location, architecture, norm),
        size=size_for(location, architecture),
        architecture_arguments=architecture_arguments_for(location, architecture),
    )


def dataset_ref(location: str, name: str | None, fingerprint: str | None) -> DatasetRef:
    """Which images a location names, however it is spelled; by default they are called as its last part.

    Raises:
        ValueError: the name is empty, too long for a card or not in one line.
    """
    kind, _, path = location.partition(":")
    folder = Path(path).expanduser().resolve() if path else None
    name = (kind if folder is None else folder.name or kind) if name is None else name
    if not (0 < len(name) <= 200 and name.isprintable()):
        raise ValueError(f"a data set's name is a text of 1 to 200 characters in one line; got {name!r}")
    return DatasetRef(name, location if folder is None else f"{kind}:{folder}", fingerprint)


def train_run(job: Job, *, overwrite: bool = False, device: str = "auto", quiet: bool = False) -> Run:
    """The finished run of a job, trained from where its last attempt stopped.

    Raises:
        FileExistsError: the run is there already and `overwrite` is false.
        RunBusy: another process is training it.
        FAILURES: the job cannot be done; the message says why.
    """
    device = pick_device(device)
    job.spec()  # what is wrong with the job is said before images are decoded
    dataset = _load(job, quiet)
    spec = job.spec(dataset)
    check_card(spec, dataset)
    folder = dataset_folder(job.out, spec.dataset.name)
    with _alone(folder, spec.name):
        runs, _ = list_runs(job.out)
        same = [run for run in runs if run.spec.same_but_images(spec)]
        check_images(spec.dataset, [run for run in runs if not (overwrite and run in same)])
        taken = [run.path for run in same] or [path for path in (folder / spec.name,) if path.exists()]
        if taken and not overwrite:
            raise FileExistsError(f"the run {taken[0]} exists; pass --overwrite to train it again")
        state = folder / f".{spec.name}.{dataset.fingerprint}.training"  # other images start anew
        solver = _solver(job, spec, dataset, device)
        if state.exists():
            solver.load(state)
        solver.train(state=state, quiet=quiet)
        run = _write(job.out, spec, dataset, solver, overwrite)
        _remove([path for path in taken if path != run.path])
        state.unlink(missing_ok=True)
    return run


def find_run(root: Path, spec: RunSpec) -> Run | None:
    """The readable run of a spec below a root, by its card: runs of schema 1 lie in folders of other names."""
    return next((run for run in list_runs(root)[0] if run.spec.same_but_images(spec)), None)


def check_images(wanted: DatasetRef, runs: Sequence[Run]) -> None:
    """Nothing. Raises ValueError when one of the runs is of other images that go by the same name."""
    for run in runs:
        there = run.spec.dataset
        if there.name == wanted.name and there.fingerprint not in (None, wanted.fingerprint):
            raise ValueError(
                f"the name {wanted.name!r} stands for other images here: wanted those of {wanted.location} "
                f"({wanted.fingerprint}), but {run.path} was trained on those of {there.location} "
                f"({there.fingerprint}); choose another name with --dataset-name, or move that run elsewhere"
            )


def check_card(spec: RunSpec, dataset: Dataset) -> None:
    """Nothing. Raises ValueError for what no card can hold, before a training and not after it."""
    card = Card(
        spec=spec,
        created="not yet",
        classes=dataset.classes,
        source=dataset.source,
        splits={},
        parameters=None,
        macs=None,
        seconds=None,
        best_epoch=None,
        versions={},
        hardware="not yet",
        metrics={"test": Metrics(0, 0, 0, 0, 0, 1)},
    )
    try:
        Card.from_json(json.loads(json.dumps(card.to_json())))
    except DamagedRun as error:
        raise ValueError(str(error).partition("; train the run again")[0]) from error


def _load(job: Job, quiet: bool) -> Dataset:
    return load_dataset(
        job.location,
        size=job.size,
        name=job.dataset_name,
        data_root=job.data_root,
        download=job.download,
        quiet=quiet,
    )


def _remove(folders: Sequence[Path]) -> None:
    """Removes run folders, each hidden at once, so that no half of one is ever listed."""
    for folder in folders:
        hidden = folder.with_name(f".replaced-{folder.name}")
        shutil.rmtree(hidden, ignore_errors=True)
        shutil.rmtree(folder.rename(hidden))


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Lets one process at a time train the run of that name; the lock goes with the process, however it ends.

    Raises RunBusy when another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{name}.lock"
    try:
        with FileLock(path, timeout=0):
            try:
                yield
            finally:
                with suppress(PermissionError):  # Windows deletes no open file
                    path.unlink(missing_ok=True)
    except Timeout as error:
        raise RunBusy(f"another process is training the run {folder / name}; wait for it, or stop it first") from error


def pick_device(name: str) -> str:
    """`cpu` or `cuda`; `auto` is CUDA where it is to be had. Raises ValueError for another name or no CUDA."""
    check_name("device", name, DEVICES)
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("this machine or this PyTorch has no CUDA; use the device cpu or auto")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def input_spec(dataset: Dataset) -> InputSpec:
    """The size of a data set's images, and mean and std per channel over its training images.

    A channel that is the same everywhere has no spread to divide by; its std is taken as one grey level.
    """
    height, width = dataset.input_size
    means, deviations = channel_statistics(dataset.splits["train"])
    red, green, blue = (round(mean, 6) for mean in means)
    std = tuple(round(max(deviation, 1 / 255), 6) for deviation in deviations)
    return InputSpec(height, width, (red, green, blue), (std[0], std[1], std[2]))


def _solver(job: Job, spec: RunSpec, dataset: Dataset, device: str) -> Solver:
    torch.manual_seed(job.seed)
    model = build_model(
        job.architecture,
        job.norm,
        classes=len(dataset.classes),
        input_size=(spec.input.height, spec.input.width),
        architecture_arguments=job.architecture_arguments,
        norm_arguments=job.norm_arguments,
    )
    train, val = dataset.splits["train"], dataset.splits["val"]
    return Solver(model, train, val, spec.input, job.recipe, seed=job.seed, device=device)


def _write(root: Path, spec: RunSpec, dataset: Dataset, solver: Solver, overwrite: bool) -> Run:
    """Measures the solver's best weights on every split, in full precision, and writes the run.

    A large model is stored and measured with its weights rounded to float16 where that changes next to nothing.
    """
    model = solver.model.float()
    weights, found = model.state_dict(), predict_splits(model, dataset, spec.input)
    if count_parameters(model) > ROUNDED_FROM:
        weights, found = rounded_if_harmless(model, dataset, spec.input, found)
    assert solver.best is not None  # the solver has trained at least one epoch
    card = Card(
        spec=spec,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        classes=dataset.classes,
        source=dataset.source,
        splits={split: len(part.labels) for split, part in dataset.splits.items()},
        parameters=count_parameters(model),
        macs=count_macs(model),
        seconds=round(solver.seconds, 3),
        best_epoch=solver.best.epoch,
        versions={library: version(library) for library in LIBRARIES},
        hardware=hardware_of(solver.device),
        metrics={split: compute_metrics(p.probabilities, p.labels) for split, p in found.items()},
    )
    stored = {split: found[split] for split in ("val", "test")}
    return write_run(root, card, weights, solver.history, stored, overwrite=overwrite)


def predict_splits(model: nn.Module, dataset: Dataset, spec: InputSpec) -> dict[str, Predictions]:
    """What a model says of every split of a data set."""
    return {
        split: Predictions(part.ids, part.labels.numpy(), _probabilities(model, part, spec))
        for split, part in dataset.splits.items()
    }


def _probabilities(model: nn.Module, split: Split, spec: InputSpec) -> np.ndarray:
    """Probabilities (N, K), a part of the images at a time: all of them may be more than memory holds."""
    parts = (torch.from_numpy(predict(model, images, spec)) for images in split.batches(256))
    return joined(parts, len(split.ids)).numpy()


def rounded_if_harmless(
    model: nn.Module, dataset: Dataset, spec: InputSpec, found: dict[str, Predictions]
) -> tuple[dict[str, Tensor], dict[str, Predictions]]:
    """The model's weights in float16 and what it says with them, or both as they were.

    They stay as they were where rounding changes the predicted class of more than one in a thousand of all images.
    Norm parameters, biases and running statistics (fewer than two dimensions) are never rounded.
    """
    exact = {key: value.clone() for key, value in model.state_dict().items()}
    rounded = {key: value.half() if value.ndim >= 2 else value for key, value in exact.items()}
    model.load_state_dict({key: value.to(exact[key].dtype) for key, value in rounded.items()})
    again = predict_splits(model, dataset, spec)
    changed = sum(int((again[split].outcomes.predicted != found[split].outcomes.predicted).sum()) for split in found)
    if changed > MOST_CHANGED * sum(len(part.ids) for part in found.values()):
        model.load_state_dict(exact)
        return exact, found
    return rounded, again
