"""GRIDS: named sets of runs as plain data. `python -m train grid NAME` trains those that are missing."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from explorer.datasets import DatasetMissing
from explorer.models.norms import NORMS
from explorer.runs import DamagedRun, InputSpec, Run, dataset_folder, read_run, run_name
from train.job import Job, RunBusy, default_job, train_run
from train.solver import TrainingDiverged

# What can go wrong with one run and says nothing about the next; memory that runs out is a RuntimeError of torch.
FAILURES = (ValueError, RuntimeError, OSError, DatasetMissing, TrainingDiverged)
ALL = tuple(NORMS)
OF_THE_COMPACT_STUDY = ("batch", "group", "layer")


@dataclass(frozen=True)
class Line:
    """The runs of one architecture on one data set: every norm with every seed and batch size.

    No batch sizes leave the recipe's; another batch size changes nothing else of the recipe.
    """

    dataset: str
    architecture: str
    norms: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    batch_sizes: tuple[int, ...] = ()

    def jobs(self) -> list[Job]:
        return [job for size in self.batch_sizes or (None,) for seed in self.seeds for job in self._jobs(seed, size)]

    def _jobs(self, seed: int, batch_size: int | None) -> list[Job]:
        jobs = [replace(default_job(self.dataset, self.architecture, norm), seed=seed) for norm in self.norms]
        if batch_size is None:
            return jobs
        return [replace(job, recipe=replace(job.recipe, batch_size=batch_size)) for job in jobs]


@dataclass(frozen=True)
class Grid:
    """Lines of runs in the order they are trained, and what they are for."""

    purpose: str
    lines: tuple[Line, ...]

    def jobs(self, only: Sequence[str] = ()) -> list[Job]:
        """The jobs in order; with `only`, those whose architecture or norm it names. Raises ValueError for no match."""
        jobs = [job for line in self.lines for job in line.jobs()]
        names = {name for job in jobs for name in (job.architecture, job.norm)}
        if unknown := [name for name in only if name not in names]:
            raise ValueError(f"no run of the grid has {unknown[0]!r}; expected some of: {', '.join(sorted(names))}")
        kinds = [[name for name in only if name in valid] for valid in ({j.architecture for j in jobs}, ALL)]
        return [
            job
            for job in jobs
            if all(not kind or name in kind for kind, name in zip(kinds, (job.architecture, job.norm), strict=True))
        ]


GRIDS: dict[str, Grid] = {
    "elpv": Grid(
        "solar cells: seven norms on resnet14, then the other architectures",
        (
            Line("elpv", "resnet14", ALL),
            Line("elpv", "compact", OF_THE_COMPACT_STUDY),
            *(Line("elpv", name, ("batch",)) for name in ("tinyresnet", "vgg11", "convnet", "simplecnn")),
        ),
    ),
    "seeds": Grid("solar cells: is a difference larger than chance?", (Line("elpv", "resnet14", ALL, (0, 1, 2)),)),
    "batch-size": Grid(
        "solar cells: what batch and group norm make of small and large batches",
        (Line("elpv", "resnet14", ("batch", "group"), batch_sizes=(8, 32, 128)),),
    ),
    "cifar10": Grid(
        "CIFAR-10: the studies' architectures and seven norms on resnet14",
        (
            Line("cifar10", "compact", OF_THE_COMPACT_STUDY),
            Line("cifar10", "tinyresnet", ("batch",)),
            Line("cifar10", "resnet14", ALL),
            *(Line("cifar10", name, ("batch",)) for name in ("vgg11", "convnet", "simplecnn")),
        ),
    ),
}


@dataclass(frozen=True)
class State:
    """Where a job stands, and what there is to say.

    The word is `waiting`, `begun`, `busy` (another process trains it), `done`, `trained` (just now) or `failed`.
    """

    word: str
    detail: str = ""


def run_folder(job: Job) -> Path:
    """Where the finished run of a job lies, found without opening its data set. The job's size must be set."""
    if job.size is None:
        raise ValueError(f"the run of {describe(job)} has no size; add one for its data set to train/recipes.py")
    architecture, norm = job.choices()
    spec = InputSpec(job.size, job.size, (0, 0, 0), (1, 1, 1))  # a run's name holds the size alone
    name = run_name(job.dataset, architecture, norm, spec, asdict(job.recipe), job.seed)
    return job.out / dataset_folder(job.dataset) / name


def state_of(job: Job) -> State:
    """Where a job stands on disk: done, begun, waiting, or failed when its folder is damaged."""
    folder = run_folder(job)
    if folder.exists():
        try:
            return State("done", _result(read_run(folder)))
        except DamagedRun as error:
            return State("failed", f"{folder}: {error}")
    return State("begun" if any(folder.parent.glob(f".{folder.name}.*.training")) else "waiting")


def train_grid(
    jobs: Sequence[Job],
    *,
    device: str = "auto",
    quiet: bool = False,
    train: Callable[..., Run] = train_run,
    say: Callable[[str], object] = print,
) -> list[Job]:
    """The jobs that failed. Trains what is missing in order, saying one line per run, and goes on after a failure.

    Several processes may train one grid: each passes over what another is training.
    """
    failed = []
    for number, job in enumerate(jobs, start=1):
        state = state_of(job)  # asked only now: another process may have finished it meanwhile
        if state.word in ("waiting", "begun"):
            state = _train(job, device, quiet, train)
        say(report(number, len(jobs), job, state))
        if state.word == "failed":
            failed.append(job)
    return failed


def report(number: int, count: int, job: Job, state: State) -> str:
    """The line of state of one run."""
    return f"{number:>3}/{count} {state.word:<8} {describe(job):<48}  {state.detail}".rstrip()


def describe(job: Job) -> str:
    """A job in words that tell it from the others of its grid."""
    return f"{job.dataset} {job.architecture} {job.norm} seed {job.seed} batch size {job.recipe.batch_size}"


def _train(job: Job, device: str, quiet: bool, train: Callable[..., Run]) -> State:
    try:
        return State("trained", _result(train(job, device=device, quiet=quiet)))
    except RunBusy:
        return State("busy", "another process is training it")
    except FileExistsError:  # another process has finished it since it was found missing
        return state_of(job)
    except FAILURES as error:
        return State("failed", " ".join(str(error).split()) or type(error).__name__)


def _result(run: Run) -> str:
    return f"test accuracy {run.card.metrics['test'].accuracy:.2%}"
