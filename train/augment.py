"""AUGMENTATIONS: name -> function of a whole batch. Images (N, 3, H, W) in, the same shape and dtype out.

Each draws what it needs from the generator it is given, so that a seed and an epoch fix every picture.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Augmentation = Callable[[Tensor, Generator], Tensor]


def flip_horizontal(images: Tensor, generator: Generator) -> Tensor:
    """Mirrors each image left to right with probability 1/2."""
    return torch.where(_coin(images, generator), images.flip(3), images)


def flip_vertical(images: Tensor, generator: Generator) -> Tensor:
    """Mirrors each image top to bottom with probability 1/2."""
    return torch.where(_coin(images, generator), images.flip(2), images)


def transpose(images: Tensor, generator: Generator) -> Tensor:
    """Swaps rows and columns of each square image with probability 1/2; with both flips, any quarter turn."""
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"transpose wants square images; got {tuple(images.shape)}. Leave it out of the augmentations")
    return torch.where(_coin(images, generator), images.transpose(2, 3), images)


def shift(images: Tensor, generator: Generator) -> Tensor:
    """Moves each image by up to 1/8 of its sides in both directions, mirroring the border (4 pixels at 32x32)."""
    return _shifted(images, 8, generator)


def shift_slightly(images: Tensor, generator: Generator) -> Tensor:
    """Like `shift`, by up to 1/16 of the sides: for models too small, or trainings too short, for more variety."""
    return _shifted(images, 16, generator)


def cutout(images: Tensor, generator: Generator) -> Tensor:
    """Blackens one square of a quarter of each side at a random place (DeVries and Taylor 2017, arXiv 1708.04552)."""
    n, _, height, width = images.shape
    inside = _within(height, n, images.device, generator).unsqueeze(2) & _within(
        width, n, images.device, generator
    ).unsqueeze(1)
    return images.masked_fill(inside.unsqueeze(1), 0)


def brightness(images: Tensor, generator: Generator) -> Tensor:
    """Multiplies each image by a factor drawn from 0.8 to 1.2."""
    factor = 0.8 + 0.4 * torch.rand(len(images), 1, 1, 1, generator=generator)
    return (images * factor.to(images.device)).clamp_(0, 255).to(images.dtype)


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip_horizontal": flip_horizontal,
    "flip_vertical": flip_vertical,
    "transpose": transpose,
    "shift": shift,
    "shift_slightly": shift_slightly,
    "cutout": cutout,
    "brightness": brightness,
}


def _coin(images: Tensor, generator: Generator) -> Tensor:
    heads = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return heads.to(images.device)


def _shifted(images: Tensor, share: int, generator: Generator) -> Tensor:
    """Each image moved by up to 1/share of its sides: every pixel is fetched from where it comes from."""
    n, channels, height, width = images.shape
    rows, columns = (_moved(side, side // share, n, generator) for side in (height, width))
    source = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).view(n, 1, height * width)
    return images.flatten(2).gather(2, source.expand(n, channels, -1).to(images.device)).view(images.shape)


def _moved(side: int, reach: int, n: int, generator: Generator) -> Tensor:
    """Which row each row comes from, (n, side): up to `reach` away, the same for all of an image, mirrored inwards."""
    source = (torch.arange(side) + torch.randint(0, 2 * reach + 1, (n, 1), generator=generator) - reach).abs()
    return torch.where(source < side, source, 2 * (side - 1) - source)


def _within(side: int, n: int, device: torch.device, generator: Generator) -> Tensor:
    """Which rows lie in a span of a quarter of the side around a random centre, (N, side) bool."""
    centre = torch.randint(0, side, (n, 1), generator=generator).to(device)
    offsets = torch.arange(side, device=device) - centre + side // 8
    return (offsets >= 0) & (offsets < side // 4)
