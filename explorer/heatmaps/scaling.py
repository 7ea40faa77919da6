"""From raw maps to heatmaps: float32 in [0, 1] at the size of the model's input.

A raw map is a weighted sum of activations before the ReLU, at its stage's own resolution.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

LEAST_RANGE = 1e-7  # pytorch-grad-cam's guard against dividing by 0; its value shows in maps whose maximum is near it


def scale_each(raw: Tensor, size: tuple[int, int]) -> Tensor:
    """Heatmaps (..., H, W) in [0, 1] from raw maps (..., h, w), each stretched to its own minimum and maximum.

    ReLU, scale, enlarge bilinearly, scale again, as pytorch-grad-cam does. A map that is not finite becomes 0.
    """
    maps = _positive(raw).flatten(0, -3)[None]  # as channels of one image, which is the faster way to enlarge them
    enlarged = functional.interpolate(_min_max(maps), size, mode="bilinear")
    return _min_max(enlarged).reshape(*raw.shape[:-2], *size)


def scale_together(raws: Sequence[Tensor], size: tuple[int, int]) -> list[Tensor]:
    """Heatmaps (N, H, W) in [0, 1] from the raw maps (N, h, w) of several runs, on one scale per image.

    1 is the hottest pixel that any of the runs has in that image and 0 is no evidence, so a map that is ten times
    weaker looks ten times weaker. The runs' own resolutions may differ. A map that is not finite becomes 0.
    """
    enlarged = [functional.interpolate(_positive(raw)[:, None], size, mode="bilinear")[:, 0] for raw in raws]
    hottest = torch.stack([maps.amax(dim=(1, 2)) for maps in enlarged]).amax(dim=0)
    # Dividing by 1 where nothing is hot keeps those maps at 0.
    return [maps / torch.where(hottest > 0, hottest, 1)[:, None, None] for maps in enlarged]


def peaks(raw: Tensor) -> Tensor:
    """The raw maximum (...) after the ReLU of raw maps (..., h, w): what min-max scaling hides."""
    return raw.clamp(min=0).amax(dim=(-2, -1))


def explain_blank(raw: Tensor) -> str | None:
    """Why one raw map (h, w) shows nothing, and what to try; None if it shows something."""
    if raw.ndim != 2:
        raise ValueError(f"expected one raw map (h, w), got shape {tuple(raw.shape)}; pass one at a time")
    if not raw.isfinite().all():
        return "The map is not finite: the activations or gradients overflowed. Check whether training diverged."
    if raw.numel() == 1:
        return "This stage's map is a single value (1x1), so it cannot say where. Try an earlier stage."
    if not raw.any():
        return "The gradient is 0 everywhere: the logit is saturated or its units are dead. Try an earlier stage."
    if raw.max() <= 0:
        return (
            "Nothing in the image speaks for this class: the map is negative before the ReLU. Try the predicted class."
        )
    if raw.max() - raw.min() <= 1e-5 * raw.max():
        return "The map has the same value everywhere, so it points nowhere. Try an earlier stage."
    return None


def _positive(raw: Tensor) -> Tensor:
    finite = raw.isfinite().all(dim=-1).all(dim=-1)[..., None, None]
    return torch.where(finite, raw.float(), 0).clamp(min=0)


def _min_max(maps: Tensor) -> Tensor:
    from_zero = maps - maps.amin(dim=(-2, -1), keepdim=True)
    return from_zero / (from_zero.amax(dim=(-2, -1), keepdim=True) + LEAST_RANGE)
