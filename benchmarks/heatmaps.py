"""Grad-CAM by `explorer.heatmaps.gradcam` beside pytorch-grad-cam, torch-cam, captum and one forward pass.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.heatmaps

Every arm explains the same inputs with the same weights and ends with heatmaps (N, H, W) in [0, 1] of the inputs' size.
Each library works on its own copy of the model, so that its hooks slow nobody else down. Libraries that are not
installed are left out, and named.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

import torch
from torch import Tensor

from benchmarks.explainers import LIBRARIES, OURS, Explainer, explainers
from benchmarks.timing import median_ratio, print_provenance, print_table, take_turns, verdict
from explorer.heatmaps.gradcam import BATCH
from explorer.models import build_model
from explorer.models.staged import StagedModel

Seconds = dict[str, list[float]]
FORWARD = "forward pass"


def race(title: str, calls: Mapping[str, Callable[[], object]], images: Mapping[str, int], rounds: int) -> Seconds:
    """The seconds of each arm, printed as median milliseconds an image and as median ratio to ours."""
    seconds = take_turns(calls, rounds)
    rows = []
    for name, times in seconds.items():
        ratio = median_ratio(times, seconds[OURS]) * images[OURS] / images[name]
        rows.append((name, str(images[name]), f"{1000 * median(times) / images[name]:.3f}", f"{ratio:.2f}"))
    print(f"**{title}**\n")
    print_table(("", "images", "ms an image", "times ours"), rows)
    print()
    return seconds


def largest_difference(arms: dict[str, Explainer], inputs: Tensor, targets: Tensor) -> str:
    """How far each library's heatmaps are from ours, which shows that all compute the same thing."""
    wanted = arms[OURS].one_class(inputs, targets)
    found = {name: (arm.one_class(inputs, targets) - wanted).abs().max() for name, arm in arms.items() if name != OURS}
    return ", ".join(f"{name} {difference:.1g}" for name, difference in found.items()) or "no library to compare with"


def compare(model: StagedModel, arms: dict[str, Explainer], many: Tensor, targets: Tensor, options: Namespace) -> None:
    """Times and prints the four cases, then which aims are met."""

    @torch.no_grad()
    def forward(count: int) -> None:
        model(many[:count])

    def explain(name: str, count: int) -> None:
        for inputs, chosen in zip(many[:count].split(BATCH), targets[:count].split(BATCH), strict=True):
            arms[name].one_class(inputs, chosen)

    def race_one_class(title: str, count: int, rounds: int) -> Seconds:
        calls = {FORWARD: partial(forward, count), **{name: partial(explain, name, count) for name in arms}}
        return race(title, calls, dict.fromkeys(calls, count), rounds)

    race_one_class("One image, one class", 1, 10 * options.repeats)
    batch = race_one_class(f"{BATCH} images, one class each", BATCH, options.repeats)
    calls = {FORWARD: partial(forward, 1), **{name: partial(arm.all_classes, many[:1]) for name, arm in arms.items()}}
    every = race("One image, all classes", calls, dict.fromkeys(calls, 1), 10 * options.repeats)
    counts = {name: len(many) if name == OURS else min(options.sample, len(many)) for name in arms}
    calls = {name: partial(explain, name, count) for name, count in counts.items()}
    title = f"{len(many):,} images, one class each, {BATCH} at a time; the libraries on a sample of them"
    race(title, calls, counts, 3)
    print_aims(every, batch)


def print_aims(every: Seconds, batch: Seconds) -> None:
    """Prints which aims are met, from the times of all classes of one image and of one batch."""
    forwards = median_ratio(every[OURS], every[FORWARD])
    print(f"All classes of one image: {forwards:.2f} forward passes; aim 1.2 or less: {verdict(forwards <= 1.2)}")
    if "pytorch-grad-cam" in every:
        faster = median_ratio(every["pytorch-grad-cam"], every[OURS])
        print(f"The same, times faster than pytorch-grad-cam: {faster:.1f}; aim 30 or more: {verdict(faster >= 30)}")
    for name in [name for name in LIBRARIES if name in batch]:
        faster = median_ratio(batch[name], batch[OURS])
        print(f"{BATCH} images, times faster than {name}: {faster:.2f}; aim above 1: {verdict(faster > 1)}")


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks.heatmaps", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--architecture", default="resnet14")
    parser.add_argument("--norm", default="batch")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--size", type=int, default=32, help="side of the images in pixels")
    parser.add_argument("--many", type=int, default=10_000, help="images of the last case")
    parser.add_argument("--sample", type=int, default=512, help="of these, how many the libraries explain")
    parser.add_argument("--repeats", type=int, default=20, help="rounds; ten times as many for one image, 3 for many")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads for PyTorch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print_provenance("benchmarks.heatmaps")

    torch.manual_seed(0)
    size, classes = (options.size, options.size), options.classes
    model = build_model(options.architecture, options.norm, classes=classes, input_size=size).eval()
    arms = dict(explainers(model, classes))
    many, targets = torch.randn(options.many, 3, *size), torch.randint(classes, (options.many,))
    print(
        f"\n{options.architecture}, {options.norm}, {size[0]}x{size[1]}, {classes} classes, random weights and inputs."
    )
    print(f"Largest difference from our heatmaps: {largest_difference(arms, many[:BATCH], targets[:BATCH])}\n")
    compare(model, arms, many, targets, options)


if __name__ == "__main__":
    main()
