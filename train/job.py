"""One job: from what is asked for to a finished run folder. A job that was cut off goes on where it stopped."""

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from explorer.datasets import Dataset, Split, channel_statistics, load_dataset
from explorer.models import ARCHITECTURES, build_model
from explorer.models.layers import count_macs, count_parameters
from explorer.models.norms import NORMS
from explorer.predictions.metrics import compute_metrics
from explorer.registry import complete_arguments
from explorer.runs import (
    Card,
    Choice,
    DatasetCard,
    InputSpec,
    Predictions,
    Run,
    dataset_folder,
    predict,
    run_name,
    write_run,
)
from train.recipes import Recipe, architecture_arguments_for, recipe_for, size_for
from train.solver import Solver, check_recipe, joined

DEVICES = ("auto", "cpu", "cuda")
LARGE = 1_000_000  # parameters; from here up weights are stored as float16 if they can
MOST_CHANGED = 0.001  # of the predicted classes
LIBRARIES = ("torch", "torchvision", "pytorch-optimizer", "numpy", "pillow", "scikit-learn")


class RunBusy(Exception):
    """Another process is training the run; the message says which."""


@dataclass(frozen=True)
class Job:
    """A run to be: everything its card will say before it is trained, and where the files are."""

    dataset: str
    architecture: str
    norm: str
    recipe: Recipe
    seed: int = 0
    size: int | None = None
    architecture_arguments: Mapping[str, Any] = field(default_factory=dict)
    norm_arguments: Mapping[str, Any] = field(default_factory=dict)
    out: Path = Path("checkpoints")
    data_root: Path | None = None
    download: bool = False

    def choices(self) -> tuple[Choice, Choice]:
        """The architecture and the norm with all their arguments. Raises ValueError for unknown ones."""
        return (
            complete_choice("architecture", ARCHITECTURES, self.architecture, self.architecture_arguments),
            complete_choice("norm", NORMS, self.norm, self.norm_arguments),
        )


def default_job(dataset: str, architecture: str, norm: str) -> Job:
    """The job that `python -m train` does for these three names: recipe, image size and arguments by the tables."""
    return Job(
        dataset,
        architecture,
        norm,
        recipe_for(dataset, architecture, norm),
        size=size_for(dataset, architecture),
        architecture_arguments=architecture_arguments_for(dataset, architecture),
    )


def train_run(job: Job, *, overwrite: bool = False, device: str = "auto", quiet: bool = False) -> Run:
    """The finished run of a job, trained from where its last attempt stopped.

    Raises:
        FileExistsError: the run is there already and `overwrite` is false.
        RunBusy: another process is training it.
        ValueError, DatasetMissing, TrainingDiverged: the job cannot be done; the message says why.
    """
    architecture, norm = job.choices()
    check_recipe(job.recipe)
    if job.seed < 0:
        raise ValueError(f"the seed must be at least 0; got {job.seed}")
    device = pick_device(device)
    dataset = load_dataset(job.dataset, size=job.size, data_root=job.data_root, download=job.download, quiet=quiet)
    spec = input_spec(dataset)
    name = run_name(dataset.location, architecture, norm, spec, asdict(job.recipe), job.seed)
    folder = job.out / dataset_folder(dataset.location)
    with _alone(folder, name):
        if (folder / name).exists() and not overwrite:
            raise FileExistsError(f"the run {folder / name} exists; pass --overwrite to train it again")
        state = folder / f".{name}.{dataset.fingerprint}.training"  # other images start anew
        solver = _solver(job, dataset, spec, device)
        if state.exists():
            solver.load(state)
        solver.train(state=state, quiet=quiet)
        run = _write(job, architecture, norm, dataset, spec, solver, overwrite)
        state.unlink(missing_ok=True)
    return run


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


def complete_choice(
    kind: str, registry: Mapping[str, Callable[..., Any]], name: str, given: Mapping[str, Any]
) -> Choice:
    """The choice with every argument of the registry's factory, so that a card stays right when a default changes."""
    return Choice(name, complete_arguments(kind, name, registry, given))


def pick_device(name: str) -> str:
    """`cpu` or `cuda`; `auto` is CUDA where it is to be had. Raises ValueError for another name or no CUDA."""
    if name not in DEVICES:
        raise ValueError(f"unknown device {name!r}; expected one of: {', '.join(DEVICES)}")
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


def _solver(job: Job, dataset: Dataset, spec: InputSpec, device: str) -> Solver:
    torch.manual_seed(job.seed)
    model = build_model(
        job.architecture,
        job.norm,
        classes=len(dataset.classes),
        input_size=(spec.height, spec.width),
        architecture_arguments=job.architecture_arguments,
        norm_arguments=job.norm_arguments,
    )
    train, val = dataset.splits["train"], dataset.splits["val"]
    return Solver(model, train, val, spec, job.recipe, seed=job.seed, device=device)


def _write(
    job: Job, architecture: Choice, norm: Choice, dataset: Dataset, spec: InputSpec, solver: Solver, overwrite: bool
) -> Run:
    """Measures the solver's best weights on every split, in full precision, and writes the run.

    A large model is stored and measured with its weights rounded to float16 where that changes next to nothing.
    """
    model = solver.model.float()
    weights, found = model.state_dict(), predict_splits(model, dataset, spec)
    if count_parameters(model) > LARGE:
        weights, found = rounded_if_harmless(model, dataset, spec, found)
    assert solver.best is not None  # the solver has trained at least one epoch
    card = Card(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        dataset=DatasetCard(
            dataset.location, dataset.source, dataset.fingerprint, {k: len(v.labels) for k, v in dataset.splits.items()}
        ),
        architecture=architecture,
        norm=norm,
        classes=dataset.classes,
        input=spec,
        recipe=asdict(job.recipe),
        seed=job.seed,
        parameters=count_parameters(model),
        macs=count_macs(model),
        seconds=round(solver.seconds, 3),
        best_epoch=solver.best.epoch,
        versions={library: version(library) for library in LIBRARIES},
        hardware=hardware(solver.device),
        metrics={split: compute_metrics(p.probabilities, p.labels) for split, p in found.items()},
    )
    stored = {split: found[split] for split in ("val", "test")}
    return write_run(job.out, card, weights, solver.history, stored, overwrite=overwrite)


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
    changed = sum(int((again[split].predicted != found[split].predicted).sum()) for split in found)
    if changed > MOST_CHANGED * sum(len(part.ids) for part in found.values()):
        model.load_state_dict(exact)
        return exact, found
    return rounded, again


def hardware(device: torch.device) -> str:
    """The processor that trained, in words, with the number of threads on a CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    threads = torch.get_num_threads()
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {threads} {'thread' if threads == 1 else 'threads'}"
