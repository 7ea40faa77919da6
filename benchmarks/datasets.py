"""Time and memory of a data set that is large: opening it, noticing changed files, and training on it.

    python -m benchmarks.datasets                    # 100,000 pictures of 128x128, 5.4 GB of disk for some minutes
    python -m benchmarks.datasets --count 10000

The pictures are made up, small JPEG files in two class folders below a folder that is deleted afterwards. Each figure
comes from a process of its own. Resident memory is the most that the system counted (VmHWM), everything included,
PyTorch, the model, its inputs and the optimizer too. What these take is shown by a process that has only imported what
training imports, and by one that trains the same model on few pictures.
"""

import argparse
import io
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.timing import print_provenance, print_table, verdict
from explorer.datasets import load_dataset, stamp
from train.job import input_spec, predict_splits
from train.memory import keep_freed_memory
from train.recipes import Recipe
from train.solver import Solver

CLASSES = ("dark", "light")
KINDS = 100  # different pictures; every file has bytes of its own
FEW = 1000
IMPORTS, OPENING, STAMP = "imports alone", "opening from the cache", "stamp: have files changed?"
TRAINING, TRAINING_FEW = "statistics, one epoch, predictions", f"the same with {FEW:,} pictures"
AIMS = {OPENING: 1.0, STAMP: 1.0}  # seconds
MEMORY_AIM = 1000  # MB beside the model
TRAINED = Recipe(epochs=1, batch_size=64, learning_rate=1e-3, precision="fp32")


@dataclass(frozen=True)
class Measured:
    """What one process took: seconds of the call, how many of them it computed, and the most memory resident in MB."""

    seconds: float
    busy: float
    resident: float


def write_pictures(root: Path, count: int, side: int) -> None:
    """Writes smooth JPEG pictures into two class folders, as many in each."""
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(KINDS)]
    pictures = [jpeg(picture.resize((side, side))) for picture in small]
    for name in CLASSES:
        (root / name).mkdir(parents=True)
    for number in range(count):
        path = root / CLASSES[number % len(CLASSES)] / f"{number:06}.jpg"
        path.write_bytes(pictures[number % KINDS] + b"%d" % number)  # what follows a picture's end is not read


def jpeg(picture: Image.Image) -> bytes:
    """A JPEG file."""
    file = io.BytesIO()
    picture.save(file, format="JPEG")
    return file.getvalue()


def elsewhere(call: Callable[[], object]) -> Measured:
    """What a call takes in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, call).result()


def _measure(call: Callable[[], object]) -> Measured:
    torch.set_num_threads(1)
    start, busy = time.perf_counter(), time.process_time()
    call()
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    lines = Path("/proc/self/status").read_text().splitlines()
    return Measured(seconds, busy, next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")))


def nothing() -> None:
    """What a process does that has only imported."""


def train_one_epoch(location: str, side: int, cache_root: Path) -> None:
    """What training does with images, with a model of next to nothing: statistics, one epoch, predictions of all."""
    keep_freed_memory()
    dataset = load_dataset(location, size=side, cache_root=cache_root)
    spec = input_spec(dataset)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, len(CLASSES)))
    solver = Solver(model, dataset.splits["train"], dataset.splits["val"], spec, TRAINED)
    solver.train(quiet=True)
    predict_splits(solver.model, dataset, spec)


def measure_all(folder: Path, count: int, side: int) -> dict[str, Measured]:
    """What each step takes, with pictures and cache in the folder."""
    many, few, cache = folder / "many", folder / "few", folder / "cache"
    write_pictures(many, count, side)
    write_pictures(few, FEW, side)
    time.sleep(3)  # files that were written just now are not taken for settled
    load = partial(load_dataset, f"folder:{many}", size=side, cache_root=cache)
    steps = {
        IMPORTS: nothing,
        "first opening: hashing and decoding": load,
        OPENING: load,
        STAMP: partial(stamp, f"folder:{many}", cache_root=cache),
        TRAINING: partial(train_one_epoch, f"folder:{many}", side, cache),
        TRAINING_FEW: partial(train_one_epoch, f"folder:{few}", side, cache),
    }
    return {name: elsewhere(call) for name, call in steps.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.datasets", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="pictures")
    parser.add_argument("--side", type=int, default=128, help="height and width of pictures and images")
    parser.add_argument("--folder", type=Path, help="where there is room (default: the system's temporary folder)")
    options = parser.parse_args()
    print_provenance("benchmarks.datasets")
    with TemporaryDirectory(dir=options.folder) as folder:
        measured = measure_all(Path(folder), options.count, options.side)
    rows = []
    for name, found in measured.items():
        aim = f"{verdict(found.seconds < AIMS[name])}, aim < {AIMS[name]:g} s" if name in AIMS else ""
        rows.append((name, f"{found.seconds:.2f}", f"{found.busy:.2f}", f"{found.resident:.0f}", aim))
    print(f"\n{options.count:,} JPEG files of {options.side}x{options.side} in {len(CLASSES)} classes.\n")
    print_table(("step", "seconds", "of processor", "resident MB", "aim"), rows)
    total = measured[TRAINING].resident
    model = measured[TRAINING_FEW].resident - measured[IMPORTS].resident
    print(
        f"\nTraining took {total:.0f} MB in all (aim < {MEMORY_AIM} MB: {verdict(total < MEMORY_AIM)}). Model, inputs "
        f"and optimizer take {model:.0f} of them (by the few pictures), all else {total - model:.0f} "
        f"(aim < {MEMORY_AIM}: {verdict(total - model < MEMORY_AIM)})."
    )


if __name__ == "__main__":
    main()
