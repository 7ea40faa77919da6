"""Images a second of the solver's training loop beside a plain torchvision DataLoader loop.

    python -m benchmarks.training                 # resnet14 at 32x32, as on CIFAR-10
    python -m benchmarks.training --setup elpv    # resnet14 with stem stride 2 at 128x128, as on ELPV

Both train the same model on the same images in batches of the same size on the CPU. Ours: images in one tensor,
augmentations of whole batches, bf16 autocast, channels_last, memory kept as `python -m train` keeps it. Plain: PIL
images made from an array in memory, as torchvision's CIFAR10 does (no file is read or decoded), torchvision's
transforms one image at a time, fp32; workers outlive the epoch. Each plain loop has a process of its own, whose memory
is managed as it comes, and waits there while the others have their turn.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.timing import median_ratio, print_provenance, print_table, stopwatch, take_turns, verdict
from explorer.datasets import Split
from explorer.models import build_model
from explorer.models.staged import StagedModel
from explorer.runs import InputSpec
from train.memory import keep_freed_memory
from train.recipes import Recipe, architecture_arguments_for, recipe_for, size_for
from train.solver import Solver

ARCHITECTURE, NORM, BATCH_SIZE = "resnet14", "batch", 64
CLASSES = {"cifar10": 10, "elpv": 4}
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
WORKERS = (0, 2)
RATIO_AIM, OTHER_AIM = 2.5, 0.05
AUGMENTATIONS: dict[str, Callable[[int], list[Any]]] = {  # the recipes' augmentations as torchvision has them
    "cifar10": lambda side: [
        transforms.RandomHorizontalFlip(),
        transforms.RandomCrop(side, padding=side // 8, padding_mode="reflect"),
    ],
    "elpv": lambda side: [
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
        transforms.RandomApply([transforms.RandomRotation((90, 90))], p=0.5),
    ],
}


class PlainImages(Dataset):
    """Images as torchvision's data sets give them: one at a time, through PIL."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor]):
        self.pixels = split.images.permute(0, 2, 3, 1).contiguous().numpy()  # (N, H, W, 3)
        self.labels, self.transform = split.labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def made_up_images(count: int, side: int, classes: int) -> Split:
    """A split of seeded noise: how fast images are trained on does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    return Split(images, torch.arange(count) % classes, tuple(map(str, range(count))), pd.DataFrame(index=range(count)))


def new_model(setup: str, side: int) -> StagedModel:
    """The model that every arm trains."""
    arguments = architecture_arguments_for(setup, ARCHITECTURE)
    return build_model(
        ARCHITECTURE, NORM, classes=CLASSES[setup], input_size=(side, side), architecture_arguments=arguments
    )


def our_epoch(setup: str, split: Split, side: int, recipe: Recipe) -> tuple[Solver, Callable[[], None]]:
    """The solver, and what trains it for one epoch. Validating its 8 images and keeping the best weights is counted."""
    val = replace(split, images=split.images[:8], labels=split.labels[:8])
    solver = Solver(new_model(setup, side), split, val, InputSpec(side, side, MEAN, STD), recipe)
    return solver, partial(solver.train, 1, quiet=True)


def plain_epoch(setup: str, split: Split, side: int, recipe: Recipe, workers: int) -> Callable[[], None]:
    """What trains one epoch as the tutorials do, with the optimizer and schedule of the recipe."""
    standardise = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    images = PlainImages(split, transforms.Compose([*AUGMENTATIONS[setup](side), *standardise]))
    loader = DataLoader(images, recipe.batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    model, loss = new_model(setup, side).train(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, **recipe.optimizer_arguments
    )
    steps = recipe.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps + 1)

    def epoch() -> None:
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss(model(inputs), labels).backward()
            optimizer.step()
            schedule.step()

    return epoch


@contextmanager
def elsewhere(threads: int, setup: str, count: int, side: int, recipe: Recipe, workers: int) -> Iterator[Callable]:
    """What has a process of its own train a plain epoch, and returns when that is done."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve_plain_epochs, args=(there, threads, setup, count, side, recipe, workers))
    process.start()
    there.close()  # so that recv fails rather than waits should the process die

    def epoch() -> None:
        here.send(True)
        here.recv()

    try:
        yield epoch
    finally:
        here.send(False)
        process.join()


def _serve_plain_epochs(
    asked: Connection, threads: int, setup: str, count: int, side: int, recipe: Recipe, workers: int
) -> None:
    torch.set_num_threads(threads)
    epoch = plain_epoch(setup, made_up_images(count, side, CLASSES[setup]), side, recipe, workers)
    while asked.recv():
        epoch()
        asked.send(None)


def share_of_the_rest(solver: Solver, epoch: Callable[[], None], repeats: int) -> float:
    """The median share of an epoch that is none of forward pass, loss, backward pass and optimizer step."""
    parts = ((solver.model, "forward"), (solver.loss, "forward"), (Tensor, "backward"), (solver.optimizer, "step"))
    shares = []
    for _ in range(repeats):
        start = time.perf_counter()
        with stopwatch(*parts) as spent:
            epoch()
        shares.append(1 - sum(spent) / (time.perf_counter() - start))
    return median(shares)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--setup", choices=CLASSES, default="cifar10", help="image size, model and augmentations of")
    parser.add_argument("--batches", type=int, default=40, help=f"batches of {BATCH_SIZE} images an epoch")
    parser.add_argument("--repeats", type=int, default=7, help="counted epochs of each arm")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads for PyTorch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print_provenance("benchmarks.training")
    print()

    setup, count = options.setup, options.batches * BATCH_SIZE
    side = size_for(setup, ARCHITECTURE) or 32
    split = made_up_images(count, side, CLASSES[setup])
    recipe = replace(
        recipe_for(setup, ARCHITECTURE),
        batch_size=BATCH_SIZE,
        epochs=2 * options.repeats + 1,  # one not counted, then with and without the stopwatch
        optimizer="sgd",  # the loops are compared, not the optimizers
        optimizer_arguments={"momentum": 0.9, "nesterov": True},
        learning_rate=1e-4,  # noise teaches nothing, and with so little the weights stay finite
    )
    keep_freed_memory()
    solver, ours = our_epoch(setup, split, side, recipe)
    names = {f"plain, {workers} workers": workers for workers in WORKERS}
    with ExitStack() as stack:
        plain = {
            name: stack.enter_context(elsewhere(options.threads, setup, count, side, recipe, workers))
            for name, workers in names.items()
        }
        seconds = take_turns({"ours": ours, **plain}, options.repeats)
    print_table(
        ("loop", "images / s", "ours is faster by", f"aim {RATIO_AIM}"),
        [("ours", f"{count / median(seconds['ours']):.0f}", "", "")]
        + [
            (name, f"{count / median(seconds[name]):.0f}", f"{ratio:.2f}", verdict(ratio >= RATIO_AIM))
            for name in plain
            for ratio in [median_ratio(seconds[name], seconds["ours"])]
        ],
    )
    rest = share_of_the_rest(solver, ours, options.repeats)
    print(
        f"\n{ARCHITECTURE}, {NORM}, {side}x{side}, {count} images of noise, for the plain loop as PIL images in memory."
    )
    aim = f"aim < {OTHER_AIM:.0%}: {verdict(rest < OTHER_AIM)}"
    print(f"Of our loop's time, not forward pass, loss, backward pass or optimizer step: {rest:.1%} ({aim})")


if __name__ == "__main__":
    main()
