"""GRIDS: named sets of runs as plain data. `python -m train grid NAME` trains those that are missing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from explorer.models.norms import NORMS
from explorer.runs import DamagedRun, Run, dataset_folder, read_run
from train.job import FAILURES, Job, RunBusy, default_job, find_run, in_one_line, train_run

# What goes wrong with one run and says nothing about the next; memory that runs out is a RuntimeError of PyTorch.
FAILURES_OF_ONE = (*FAILURES, RuntimeError, MemoryError)
EVERY_NORM = tuple(NORMS)
NORMS_OF_COMPACT = ("batch", "group", "layer")


@dataclass(frozen=True)
class Line:
    """The runs of one architecture on one data set: every norm with every seed and batch size.

    No batch sizes leave the recipe's; another batch size changes nothing else of the recipe.
    """

    location: str
    architecture: str
    norms: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    batch_sizes: tuple[int, ...] = ()

    def jobs(self) -> list[Job]:
        """The jobs, by batch size, then seed, then norm."""
        return [job for size in self.batch_sizes or (None,) for seed in self.seeds for job in self._jobs(seed, size)]

    def _jobs(self, seed: int, batch_size: int | None) -> list[Job]:
        jobs = [replace(default_job(self.location, self.architecture, norm), seed=seed) for norm in self.norms]
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
        kinds = [[name for name in only if name in valid] for valid in ({j.architecture for j in jobs}, EVERY_NORM)]
        return [
            job
            for job in jobs
            if all(not kind or name in kind for kind, name in zip(kinds, (job.architecture, job.norm), strict=True))
        ]


GRIDS: dict[str, Grid] = {
    "elpv": Grid(
        "solar cells: seven norms on resnet14, then the other architectures",
        (
            Line("elpv", "resnet14", EVERY_NORM),
            Line("elpv", "compact", NORMS_OF_COMPACT),
            *(Line("elpv", name, ("batch",)) for name in ("tinyresnet", "vgg11", "convnet", "simplecnn")),
        ),
    ),
    "seeds": Grid(
        "solar cells: is a difference larger than chance?", (Line("elpv", "resnet14", EVERY_NORM, (0, 1, 2)),)
    ),
    "batch-size": Grid(
        "solar cells: what batch and group norm make of small and large batches",
        (Line("elpv", "resnet14", ("batch", "group"), batch_sizes=(8, 32, 128)),),
    ),
    "cifar10": Grid(
        "CIFAR-10: seven norms on resnet14, and five other architectures",
        (
            Line("cifar10", "compact", NORMS_OF_COMPACT),
            Line("cifar10", "tinyresnet", ("batch",)),
            Line("cifar10", "resnet14", EVERY_NORM),
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


def state_of(job: Job) -> State:
    """Where a job stands on disk: done, begun, waiting, or failed when its folder is damaged.

    Its data set is not opened. Raises ValueError for a job without a size.
    """
    if job.size is None:
        raise ValueError(f"the run of {describe(job)} has no size; add one for its data set to train/recipes.py")
    spec = job.spec()
    if run := find_run(job.out, spec):
        return State("done", _result(run))
    folder = dataset_folder(job.out, spec.dataset.name)
    if (folder / spec.name).exists():
        try:
            return State("done", _result(read_run(folder / spec.name)))  # another process has just finished it
        except DamagedRun as error:
            return State("failed", f"{folder / spec.name}: {error}")
    return State("begun" if any(folder.glob(f".{spec.name}.*.training")) else "waiting")


def train_grid(
    jobs: Sequence[Job],
    *,
    device: str = "auto",
    quiet: bool = False,
    train: Callable[..., Run] = train_run,
) -> Iterator[tuple[Job, State]]:
    """Each job with where it stands in the end. Trains what is missing in order, and goes on after a failure.

    Several processes may train one grid: each passes over what another is training.
    """
    for job in jobs:
        try:
            state = state_of(job)  # asked only now: another process may have finished it meanwhile
            if state.word in ("waiting", "begun"):
                state = _train(job, device, quiet, train)
        except FAILURES_OF_ONE as error:
            state = State("failed", in_one_line(error))
        yield job, state


def report(number: int, count: int, job: Job, state: State) -> str:
    """The line of state of one run."""
    return f"{number:>3}/{count} {state.word:<8} {describe(job):<48}  {state.detail}".rstrip()


def describe(job: Job) -> str:
    """A job in words that tell it from the others of its grid."""
    return f"{job.location} {job.architecture} {job.norm} seed {job.seed} batch size {job.recipe.batch_size}"


def _train(job: Job, device: str, quiet: bool, train: Callable[..., Run]) -> State:
    try:
        return State("trained", _result(train(job, device=device, quiet=quiet)))
    except RunBusy:
        return State("busy", "another process is training it")
    except FileExistsError:  # another process has finished it since it was found missing
        state = state_of(job)
        if state.word != "done":
            raise
        return state


def _result(run: Run) -> str:
    return f"test accuracy {run.card.test.accuracy:.2%}"
