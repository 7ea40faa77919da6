"""Recipes: how a run is trained, as plain data. Each states what it reached, on what, in how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """All that defines a training besides data set, architecture, norm and seed.

    `learning_rate` is the peak of the schedule; `weight_decay` is not applied to norm parameters and biases;
    `augmentations` are applied in order; `precision` is `bf16` (autocast) or `fp32`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    loss: str = "cross_entropy"
    loss_arguments: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "sgd"
    optimizer_arguments: Mapping[str, Any] = field(default_factory=lambda: {"momentum": 0.9, "nesterov": True})
    weight_decay: float = 5e-4
    scheduler: str = "one_cycle"
    scheduler_arguments: Mapping[str, Any] = field(default_factory=lambda: {"pct_start": 0.25})
    augmentations: tuple[str, ...] = ()
    precision: str = "bf16"


ELPV = Recipe(
    epochs=40,
    batch_size=32,
    learning_rate=0.05,
    loss_arguments={"label_smoothing": 0.05},
    augmentations=("flip_horizontal", "flip_vertical", "transpose", "shift"),
)
CIFAR10 = Recipe(
    epochs=20,
    batch_size=64,
    learning_rate=0.1,
    augmentations=("flip_horizontal", "shift"),
)
FOLDER = replace(CIFAR10, epochs=30, batch_size=32)


RECIPES = {"elpv": ELPV, "cifar10": CIFAR10}
# Solar cells are photographed sharply: twice the side, halved by the stem, costs the same and shows more.
ARCHITECTURE_ARGUMENTS = {("elpv", "resnet"): {"stem_stride": 2}}


def recipe_for(dataset: str) -> Recipe:
    """The recipe for a data set; the command line changes it field by field."""
    return RECIPES.get(dataset.partition(":")[0], FOLDER)


def architecture_arguments_for(dataset: str, architecture: str) -> dict[str, Any]:
    """The arguments an architecture (`resnet14` is of the family `resnet`) gets on a data set unless told otherwise."""
    return ARCHITECTURE_ARGUMENTS.get((dataset.partition(":")[0], architecture.rstrip("0123456789")), {})
