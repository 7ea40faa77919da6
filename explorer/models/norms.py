"""The seven normalizations, each a factory `norm(channels)` for activations (N, C, H, W).

All but `none` standardise over some axes, (x - mean) / sqrt(variance + eps) with the biased variance, and end in one
affine per channel: `weight` and `bias` of shape (C,). They differ in the axes alone:

    batch, batch-scratch   (N, H, W)                  Ioffe and Szegedy 2015, arXiv 1502.03167
    instance               (H, W)                     Ulyanov et al. 2016, arXiv 1607.08022
    batch-instance         a gate between those two   Nam and Kim 2018, arXiv 1805.07925
    layer                  (C, H, W)                  Ba et al. 2016, arXiv 1607.06450
    group                  (C / groups, H, W)         Wu and He 2018, arXiv 1803.08494
"""

from collections.abc import Callable
from functools import partial
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from explorer.registry import complete_arguments

EPS = 1e-5
MOMENTUM = 0.1  # the share of the newest batch in the running statistics
DEFAULT_GROUPS = 4
PIXELS = (2, 3)  # the axes of one channel of one image
Pool = Callable[[Tensor], Tensor]  # (N, C) means over pixels to means over all that a norm averages: (N or 1, C)


def _over_images(means: Tensor) -> Tensor:
    return means.mean(0, keepdim=True)


def _over_group(means: Tensor, *, groups: int) -> Tensor:
    grouped = means.unflatten(1, (groups, -1))
    return grouped.mean(2, keepdim=True).expand_as(grouped).flatten(1)


def _over_nothing(means: Tensor) -> Tensor:
    return means


class _Standardise(torch.autograd.Function):
    """weight x^ + bias with x^ = (x - mean) / s, s = sqrt(variance + eps), and its gradients written out by hand.

    The norms differ only in what mean and variance are averaged over. With M that average, which is `pool` of the means
    of each image's channels, and g the gradient of the output (the chain rule of arXiv 1502.03167, section 3):

        d bias = sum(g)    d weight = sum(g x^)    d x = (weight g - M[weight g] - x^ M[weight g x^]) / s

    Autograd's own backward of the same forward takes twice the time. All sums are at least float32.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, pool: Pool, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        values = _at_least_float32(inputs)
        mean = pool(values.mean(PIXELS))
        centred = values - _per_image(mean)
        variance = pool(centred.square().mean(PIXELS))
        inverse = torch.rsqrt(variance + eps)
        ctx.save_for_backward(inputs, weight, mean, inverse)
        ctx.pool = pool
        outputs = torch.addcmul(_per_channel(bias), centred, _per_image(inverse * weight)).to(inputs.dtype)
        ctx.mark_non_differentiable(mean, variance)
        return outputs, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        inputs, weight, mean, inverse = ctx.saved_tensors
        gradient, centred = _at_least_float32(gradients[0]), inputs - _per_image(mean)
        to_bias = gradient.mean(PIXELS)  # (N, C)
        to_weight = (gradient * centred).mean(PIXELS) * inverse
        scale = inverse * weight
        offset = inverse * ctx.pool(to_bias * weight)
        slope = inverse.square() * ctx.pool(to_weight * weight)
        to_inputs = torch.addcmul(_per_image(-offset), gradient, _per_image(scale))
        to_inputs = to_inputs.addcmul_(centred, _per_image(-slope)).to(inputs.dtype)
        pixels = inputs.shape[2] * inputs.shape[3]
        return to_inputs, to_weight.sum(0) * pixels, to_bias.sum(0) * pixels, None, None


class BatchNormFromScratch(nn.Module):
    """Batch norm from the definition (algorithms 1 and 2 of arXiv 1502.03167), equal to `nn.BatchNorm2d`.

    In training it uses the batch's mean and biased variance and moves the running mean and the running unbiased
    variance towards them; in evaluation it uses the running ones. Statistics are float32 (float64 for float64 inputs)
    under autocast too; the result has the dtype of the input.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, eps: float = EPS, momentum: float = MOMENTUM):
        super().__init__()
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            scale = self.weight / torch.sqrt(self.running_var + self.eps)
            shift = self.bias - self.running_mean * scale
            return torch.addcmul(_per_channel(shift), inputs, _per_channel(scale)).to(inputs.dtype)
        count = inputs.numel() // inputs.shape[1]
        if count < 2:
            raise ValueError(
                f"batch norm needs more than one value per channel in training; got inputs {tuple(inputs.shape)}; "
                "use a larger batch or larger images"
            )
        outputs, mean, variance = _Standardise.apply(inputs, self.weight, self.bias, _over_images, self.eps)
        self._update_running(mean[0], variance[0] * (count / (count - 1)))
        return outputs

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}, momentum={self.momentum}"


class BatchInstanceNorm(BatchNormFromScratch):
    """`weight * (rho * BN(x) + (1 - rho) * IN(x)) + bias` with a learned gate `rho` in [0, 1] per channel.

    As in the paper's code, rho starts at 1 (pure batch norm) and is clipped itself, so that its gradient is alive at
    the bounds: a gate that a step pushed outside is put back on the bound when the next training forward starts. The
    weights of the two terms are folded into their affines, so the mix costs one addition. Source: arXiv 1805.07925.
    """

    def __init__(self, channels: int, eps: float = EPS, momentum: float = MOMENTUM):
        super().__init__(channels, eps, momentum)
        self.rho = nn.Parameter(torch.ones(channels))

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.rho.data.clamp_(0, 1)  # .data: a second forward before the backward of the first stays legal
            self.num_batches_tracked += 1
        # Through clamp in evaluation alone: on the bounds, where rho starts, some PyTorch versions give it no gradient.
        rho = self.rho if self.training else self.rho.clamp(0, 1)
        batch = functional.batch_norm(
            inputs,
            self.running_mean,
            self.running_var,
            self.weight * rho,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
        weight = self.weight * (1 - rho)
        return batch + _instance_norm(inputs, weight, torch.zeros_like(weight), self.eps, self.training)


class InstanceNorm2d(nn.InstanceNorm2d):
    """PyTorch's, but faster on channels_last activations."""

    def forward(self, input: Tensor) -> Tensor:
        return _instance_norm(input, self.weight, self.bias, self.eps, self.training)


class GroupNorm(nn.GroupNorm):
    """PyTorch's, but on the CPU trained by `_Standardise`, which is faster there on channels_last activations."""

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and input.is_cpu):
            return super().forward(input)
        pool = partial(_over_group, groups=self.num_groups)
        return _Standardise.apply(input, self.weight, self.bias, pool, self.eps)[0]


def _instance_norm(inputs: Tensor, weight: Tensor, bias: Tensor, eps: float, training: bool) -> Tensor:
    """Instance norm; raises ValueError in training for images of one pixel, as PyTorch's does.

    On the CPU it is trained by `_Standardise`. Else it is PyTorch's group norm with a group per channel, which, unlike
    PyTorch's instance norm, leaves activations channels_last.
    """
    if training and inputs.shape[2:].numel() < 2:
        raise ValueError(
            f"instance norm needs more than one pixel in training; got inputs {tuple(inputs.shape)}; use larger images"
        )
    if training and inputs.is_cpu:
        return _Standardise.apply(inputs, weight, bias, _over_nothing, eps)[0]
    return functional.group_norm(inputs, len(weight), weight, bias, eps)


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _per_channel(values: Tensor) -> Tensor:
    """A (C,) tensor in the shape that broadcasts over (N, C, H, W)."""
    return values.view(1, -1, 1, 1)


def _per_image(values: Tensor) -> Tensor:
    """A (N or 1, C) tensor in the shape that broadcasts over (N, C, H, W)."""
    return values[:, :, None, None]


def _none(channels: int) -> nn.Module:
    return nn.Identity()


def _batch(channels: int, *, eps: float = EPS, momentum: float = MOMENTUM) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=eps, momentum=momentum)


def _batch_scratch(channels: int, *, eps: float = EPS, momentum: float = MOMENTUM) -> nn.Module:
    return BatchNormFromScratch(channels, eps, momentum)


def _instance(channels: int, *, eps: float = EPS) -> nn.Module:
    return InstanceNorm2d(channels, eps=eps, affine=True)


def _batch_instance(channels: int, *, eps: float = EPS, momentum: float = MOMENTUM) -> nn.Module:
    return BatchInstanceNorm(channels, eps, momentum)


def _layer(channels: int, *, eps: float = EPS) -> nn.Module:
    """Layer norm over (C, H, W): one group. `nn.LayerNorm(C)` would normalise the width of NCHW activations."""
    return nn.GroupNorm(1, channels, eps=eps)


def _group(channels: int, *, groups: int = DEFAULT_GROUPS, eps: float = EPS) -> nn.Module:
    """Group norm with gcd(groups, channels) groups, so that it fits any width."""
    return GroupNorm(gcd(groups, channels), channels, eps=eps)


NORMS: dict[str, Callable[..., nn.Module]] = {
    "none": _none,
    "batch": _batch,
    "batch-scratch": _batch_scratch,
    "instance": _instance,
    "batch-instance": _batch_instance,
    "layer": _layer,
    "group": _group,
}


def norm_factory(name: str, **arguments: Any) -> Callable[[int], nn.Module]:
    """The factory `norm(channels)` of a norm by name, with its arguments (`eps`, `momentum`, `groups`) fixed.

    Raises ValueError for a name or an argument that does not exist, or fewer than one group.
    """
    complete = complete_arguments("norm", name, NORMS, arguments)
    if complete.get("groups", 1) < 1:
        raise ValueError(f"norm 'group' needs a whole number of groups of at least 1; got {complete['groups']}")
    return partial(NORMS[name], **complete)
