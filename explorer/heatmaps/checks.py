"""What a model, its inputs and targets must be like to be explained, said where they are not."""

import torch
from torch import Tensor

from explorer.models.staged import StagedModel
from explorer.registry import check_name


def size_of(inputs: Tensor) -> tuple[int, int]:
    """Height and width of inputs (N, 3, H, W)."""
    return inputs.shape[-2], inputs.shape[-1]


def checked_stage(model: StagedModel, inputs: Tensor, stage: str | None) -> str:
    """The stage that is meant, the model's own `cam_stage` where none is given.

    Raises:
        ValueError: training mode, an unknown stage, or inputs that are not normalised images (N, 3, H, W) of the
            model's size with N of at least 1.
    """
    if any(module.training for module in model.modules()):
        raise ValueError("expected a model in evaluation mode, got one in training mode; call model.eval() first")
    if inputs.ndim != 4 or not len(inputs) or inputs.shape[1] != 3 or size_of(inputs) != tuple(model.input_size):
        wanted = "(N, 3, {}, {}) with N of at least 1".format(*model.input_size)
        raise ValueError(f"expected inputs {wanted}, got {tuple(inputs.shape)}; resize the images to the model's size")
    if not inputs.is_floating_point():
        raise ValueError(f"expected normalised inputs of a float type, got {inputs.dtype}; normalise the images first")
    if not inputs.isfinite().all():
        raise ValueError("expected finite inputs, got NaN or infinity; check the mean and std used to normalise them")
    if stage is not None:
        check_name("stage", stage, model.stage_names)
    return stage or model.cam_stage


def check_targets(targets: Tensor, images: int) -> None:
    """Nothing. Raises ValueError unless targets are one class index per image, int64 (N,)."""
    if targets.dtype != torch.int64 or targets.shape != (images,):
        came = f"{targets.dtype} of shape {tuple(targets.shape)}"
        raise ValueError(f"expected targets int64 of shape ({images},), got {came}; pass one class index per image")


def check_classes(targets: Tensor, classes: int) -> None:
    """Nothing. Raises ValueError unless every target is one of so many classes."""
    if targets.min() < 0 or targets.max() >= classes:
        least, most = int(targets.min()), int(targets.max())
        came = f"{least} to {most}" if least < most else str(least)
        raise ValueError(f"expected targets from 0 to {classes - 1}, got {came}; pass indices of the model's classes")
