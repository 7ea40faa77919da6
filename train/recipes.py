"""Recipes: how a run is trained, as plain data. Each states what it reached, on what, in how long."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Recipe:
    """All that defines a training besides data set, architecture, norm and seed.

    `learning_rate` is the peak of the schedule; `weight_decay` is not applied to norm parameters and biases;
    `clip_norm` is the most that the gradient of all parameters together may measure (None: anything), without which a
    model without norms leaves the ground at learning rates the others need; `augmentations` are applied in order;
    `precision` is `bf16` (autocast) or `fp32`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    loss: str = "cross_entropy"
    loss_arguments: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "sgd"
    optimizer_arguments: Mapping[str, Any] = field(default_factory=lambda: {"momentum": 0.9, "nesterov": True})
    weight_decay: float = 5e-4
    clip_norm: float | None = None
    scheduler: str = "one_cycle"
    scheduler_arguments: Mapping[str, Any] = field(default_factory=lambda: {"pct_start": 0.25})
    augmentations: tuple[str, ...] = ()
    precision: str = "bf16"

    def to_json(self) -> dict[str, Any]:
        """The fields as a card holds them: tuples are lists."""
        return json.loads(json.dumps(asdict(self)))


# What was tried and why it was dropped: docs/experiments.md. Hardware below: one thread of an AMD EPYC core, other work
# beside it; accuracies are of the test images, of seed 0 unless a spread is given (mean ± std over seeds 0 to 2).

# python -m train grid elpv --only compact (also tinyresnet, vgg11, convnet): 384 s for compact with batch norm
# compact batch 86.3, layer 83.1, group 82.3 %; vgg11 86.1 %; tinyresnet 83.5 %; convnet 81.9 %
ELPV = Recipe(
    epochs=40,
    batch_size=32,
    learning_rate=0.1,
    clip_norm=1.0,
    augmentations=("flip_horizontal", "flip_vertical", "transpose"),  # any flip or quarter turn; cells are centred
)

# python -m train grid cifar10 --only vgg11: 1,946 s, batch 86.2 %
CIFAR10 = Recipe(
    epochs=20,
    batch_size=64,
    learning_rate=0.1,
    clip_norm=5.0,
    augmentations=("flip_horizontal", "shift"),
)
FOLDER = replace(CIFAR10, epochs=30, batch_size=32)
# Models of less than 50,000 parameters fit too little, not too much: less variety.
SMALL = replace(CIFAR10, augmentations=("flip_horizontal", "shift_slightly"))
MUON: dict[str, Any] = {"optimizer": "muon", "optimizer_arguments": {}}
# python -m train grid cifar10 --only resnet14: 1,954 s for batch norm; batch 86.7, batch-instance 86.7,
# batch-scratch 86.3, layer 85.9, group 85.6, instance 84.9, none 83.4 % (at its own learning rate, below)
RESNET = replace(CIFAR10, **MUON, learning_rate=0.05, weight_decay=0.01)


# By data set, by data set and family of architectures where that differs (`resnet14` is of the family `resnet`), or by
# these and a norm.
RECIPES: dict[str | tuple[str, ...], Recipe] = {
    "elpv": ELPV,
    # python -m train grid seeds: 314 (none) to 656 s (batch-instance); instance 86.5 ± 0.2, batch-instance 86.1 ± 0.6,
    # group 86.0 ± 1.1, layer 85.5 ± 1.0, batch 85.0 ± 0.6, batch-scratch 84.7 ± 0.2, none 84.6 ± 1.7 %
    ("elpv", "resnet"): replace(
        ELPV, **MUON, learning_rate=0.02, weight_decay=0.1, augmentations=(*ELPV.augmentations, "brightness")
    ),
    # python -m train grid elpv --only simplecnn: 99 s, batch 81.4 %
    # no shortcut, few channels: large steps kill its ReLUs
    ("elpv", "simplecnn"): replace(ELPV, learning_rate=0.02),
    "cifar10": CIFAR10,
    ("cifar10", "resnet"): RESNET,
    ("cifar10", "resnet", "none"): replace(RESNET, learning_rate=0.01),  # at 0.05 it diverges
    # python -m train grid cifar10 --only compact: 853 s for batch norm; batch 82.8, layer 82.2, group 81.9 %
    ("cifar10", "compact"): replace(SMALL, **MUON, batch_size=32, learning_rate=0.05, weight_decay=0.01),
    # python -m train grid cifar10 --only tinyresnet: 4,576 s, batch 83.2 %
    ("cifar10", "tinyresnet"): replace(SMALL, epochs=50),
    # python -m train grid cifar10 --only convnet: 518 s, batch 81.4 %
    ("cifar10", "convnet"): replace(CIFAR10, epochs=5, learning_rate=0.05),
    # python -m train grid cifar10 --only simplecnn: 78 s, batch 63.2 %
    # 5 epochs of plain momentum, as the assignment it comes from says; so few have no use for shifted images
    ("cifar10", "simplecnn"): replace(
        CIFAR10,
        epochs=5,
        batch_size=128,
        learning_rate=0.05,
        optimizer_arguments={"momentum": 0.9},
        augmentations=("flip_horizontal",),
    ),
}
ARCHITECTURE_ARGUMENTS = {
    # Solar cells are photographed sharply: at twice the side and half the resolution from the stem on, costs are equal.
    ("elpv", "resnet"): {"stem_stride": 2},
    ("cifar10", "compact"): {"dropout": 0.0},  # so small a model fits too little, not too much
}
# Pixels: the other architectures have no stride in their stem, so at 128 pixels they would cost four times as much.
SIZES: dict[str | tuple[str, ...], int] = {"elpv": 64, ("elpv", "resnet"): 128, "cifar10": 32}


def recipe_for(dataset: str, architecture: str = "", norm: str = "") -> Recipe:
    """The recipe for an architecture and norm on a data set; the command line changes it field by field."""
    return _look_up(RECIPES, dataset, architecture, norm) or FOLDER


def architecture_arguments_for(dataset: str, architecture: str) -> dict[str, Any]:
    """The arguments an architecture gets on a data set unless told otherwise."""
    return _look_up(ARCHITECTURE_ARGUMENTS, dataset, architecture) or {}


def size_for(dataset: str, architecture: str) -> int | None:
    """The side in pixels of the images an architecture gets on a data set; None leaves it to the data set."""
    return _look_up(SIZES, dataset, architecture)


def _look_up(table: Mapping[Any, Value], dataset: str, architecture: str, norm: str = "") -> Value | None:
    """The entry for data set, family and norm, or else for data set and family, or else for the data set, or None."""
    kind, family = dataset.partition(":")[0], architecture.rstrip("0123456789")
    return table.get((kind, family, norm), table.get((kind, family), table.get(kind)))
