"""The registry of architectures: name -> builder(norm, classes, input_size, **arguments) of a `StagedModel`."""

from collections.abc import Callable, Mapping
from typing import Any

from explorer.models.compact import compact
from explorer.models.convnet import convnet
from explorer.models.norms import norm_factory
from explorer.models.resnet import RESNETS
from explorer.models.simplecnn import simplecnn
from explorer.models.staged import NormFactory, PoolLinear, StagedModel
from explorer.models.tinyresnet import tinyresnet
from explorer.models.vgg import vgg11
from explorer.registry import complete_arguments

__all__ = ["ARCHITECTURES", "SMALLEST_INPUT", "NormFactory", "PoolLinear", "StagedModel", "build_model"]

SMALLEST_INPUT = 32  # pixels; every architecture takes any height and width from here up

ARCHITECTURES: dict[str, Callable[..., StagedModel]] = {
    **RESNETS,
    "compact": compact,
    "vgg11": vgg11,
    "convnet": convnet,
    "tinyresnet": tinyresnet,
    "simplecnn": simplecnn,
}


def build_model(
    architecture: str,
    norm: str,
    *,
    classes: int,
    input_size: tuple[int, int] = (32, 32),
    architecture_arguments: Mapping[str, Any] | None = None,
    norm_arguments: Mapping[str, Any] | None = None,
) -> StagedModel:
    """A new model, in training mode: inputs (N, 3, height, width) to logits (N, classes).

    Raises ValueError for unknown names or arguments, fewer than two classes, or an input side below 32 pixels.
    """
    arguments = complete_arguments("architecture", architecture, ARCHITECTURES, architecture_arguments or {})
    _check_shape(classes, input_size)
    factory = norm_factory(norm, **(norm_arguments or {}))
    return ARCHITECTURES[architecture](factory, classes, (input_size[0], input_size[1]), **arguments)


def _check_shape(classes: int, input_size: tuple[int, int]) -> None:
    if classes < 2:
        raise ValueError(f"a classifier needs at least 2 classes; got {classes}")
    if len(input_size) != 2 or min(input_size) < SMALLEST_INPUT:
        raise ValueError(
            f"input_size must be (height, width) of at least {SMALLEST_INPUT} pixels each; got {tuple(input_size)}; "
            "resize the images"
        )
