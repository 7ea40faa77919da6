"""One job: from what is asked for to a finished run folder. A job that was cut off goes on where it stopped."""

import inspect
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from explorer.architectures import ARCHITECTURES, build_model
from explorer.capacity import count_macs, count_parameters
from explorer.datasets import Dataset, load_dataset
from explorer.metrics import compute_metrics
from explorer.norms import NORMS, check_name
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
from train.solver import Solver

LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "scikit-learn")


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
        recipe_for(dataset, architecture),
        size=size_for(dataset, architecture),
        architecture_arguments=architecture_arguments_for(dataset, architecture),
    )


def train_run(job: Job, *, overwrite: bool = False, device: str = "auto", quiet: bool = False) -> Run:
    """The finished run of a job, trained from where its last attempt stopped.

    Raises:
        FileExistsError: the run is there already and `overwrite` is false.
        ValueError, DatasetMissing, TrainingDiverged: the job cannot be done; the message says why.
    """
    architecture, norm = job.choices()
    dataset = load_dataset(job.dataset, size=job.size, data_root=job.data_root, download=job.download)
    spec = input_spec(dataset)
    name = run_name(dataset.name, architecture, norm, spec, asdict(job.recipe), job.seed)
    folder = job.out / dataset_folder(dataset.name)
    if (folder / name).exists() and not overwrite:
        raise FileExistsError(f"the run {folder / name} exists; pass --overwrite to train it again")
    state = folder / f".{name}.training"
    solver = _solver(job, dataset, spec, "cuda" if device == "auto" and torch.cuda.is_available() else device)
    if state.exists():
        solver.load(state)
    solver.train(state=state, quiet=quiet)
    run = _write(job, architecture, norm, dataset, spec, solver, overwrite)
    state.unlink(missing_ok=True)
    return run


def complete_choice(
    kind: str, registry: Mapping[str, Callable[..., Any]], name: str, given: Mapping[str, Any]
) -> Choice:
    """The choice with every argument of the registry's factory, so that a card stays right when a default changes."""
    check_name(kind, name, registry, given)
    parameters = inspect.signature(registry[name]).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return Choice(name, defaults | dict(given))


def input_spec(dataset: Dataset) -> InputSpec:
    """The size of a data set's images, and mean and std per channel over its training images."""
    images = dataset.splits["train"].images
    height, width = dataset.input_size
    channels = [images[:, channel].double() / 255 for channel in range(3)]
    mean = (round(c.mean().item(), 6) for c in channels)
    std = (round(c.std().item(), 6) for c in channels)
    return InputSpec(height, width, tuple(mean), tuple(std))


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
    return Solver(model, train, val, spec, job.recipe, seed=job.seed, device="cpu" if device == "auto" else device)


def _write(
    job: Job, architecture: Choice, norm: Choice, dataset: Dataset, spec: InputSpec, solver: Solver, overwrite: bool
) -> Run:
    """Measures the solver's best weights on every split, in full precision, and writes the run."""
    model = solver.model.float()
    found = {
        split: Predictions(part.ids, part.labels.numpy(), predict(model, part.images, spec))
        for split, part in dataset.splits.items()
    }
    assert solver.best is not None  # the solver has trained at least one epoch
    card = Card(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        dataset=DatasetCard(
            dataset.name, dataset.source, dataset.fingerprint, {k: len(v.labels) for k, v in dataset.splits.items()}
        ),
        architecture=architecture,
        norm=norm,
        classes=dataset.classes,
        input=spec,
        recipe=asdict(job.recipe),
        seed=job.seed,
        parameters=count_parameters(model),
        macs=count_macs(model),
        seconds=round(solver.seconds, 1),
        best_epoch=solver.best.epoch,
        versions={library: version(library) for library in LIBRARIES},
        hardware=hardware(solver.device),
        metrics={split: compute_metrics(p.probabilities, p.labels) for split, p in found.items()},
    )
    stored = {split: found[split] for split in ("val", "test")}
    weights = {key: value.cpu() for key, value in model.state_dict().items()}
    return write_run(job.out, card, weights, solver.history, stored, overwrite=overwrite)


def hardware(device: torch.device) -> str:
    """The processor that trained, in words, with the number of threads on a CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
