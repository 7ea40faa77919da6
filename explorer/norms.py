"""The seven normalizations, each a factory `norm(channels)` for activations (N, C, H, W).

All but `none` standardise over some axes, (x - mean) / sqrt(variance + eps) with the biased variance, and end in one
affine per channel: `weight` and `bias` of shape (C,). They differ in the axes alone:

    batch, batch-scratch   (N, H, W)                  Ioffe and Szegedy 2015, arXiv 1502.03167
    instance               (H, W)                     Ulyanov et al. 2016, arXiv 1607.08022
    batch-instance         a gate between those two   Nam and Kim 2018, arXiv 1805.07925
    layer                  (C, H, W)                  Ba et al. 2016, arXiv 1607.06450
    group                  (C / groups, H, W)         Wu and He 2018, arXiv 1803.08494
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-5
MOMENTUM = 0.1  # the share of the newest batch in the running statistics
DEFAULT_GROUPS = 4
AXES = (0, 2, 3)  # of NCHW activations: all but the channels


class _Standardise(torch.autograd.Function):
    """Batch norm of one batch, with its gradients written out by hand (the chain rule of arXiv 1502.03167, section 3).

    With c = x - mean, x^ = c / sqrt(variance + eps), y = weight x^ + bias, g the gradient of y, and E the mean over
    (N, H, W):

        d bias = sum(g)    d weight = sum(g x^)    d x = weight / sqrt(variance + eps) (g - E[g] - x^ E[g x^])

    Autograd's own backward of the same forward takes twice the time. All sums are at least float32.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        centred = _at_least_float32(inputs)
        mean = centred.mean(AXES, keepdim=True)
        centred = centred - mean
        variance = centred.square().mean(AXES, keepdim=True)
        inverse = torch.rsqrt(variance + eps)
        ctx.save_for_backward(inputs, weight, mean, inverse)
        outputs = centred.mul_(inverse * _per_channel(weight)).add_(_per_channel(bias)).to(inputs.dtype)
        ctx.mark_non_differentiable(mean, variance)
        return outputs, mean.flatten(), variance.flatten()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        inputs, weight, mean, inverse = ctx.saved_tensors
        gradient = _at_least_float32(gradients[0])
        standard = (inputs - mean).mul_(inverse)
        count = inputs.numel() // inputs.shape[1]
        bias_gradient = gradient.sum(AXES)
        weight_gradient = (gradient * standard).sum(AXES)
        inner = gradient - _per_channel(bias_gradient / count)
        inner.addcmul_(standard, _per_channel(weight_gradient / -count))
        inputs_gradient = inner.mul_(inverse * _per_channel(weight)).to(inputs.dtype)
        return inputs_gradient, weight_gradient, bias_gradient, None


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
        outputs, mean, variance = _Standardise.apply(inputs, self.weight, self.bias, self.eps)
        self._update_running(mean, variance * (count / (count - 1)))
        return outputs

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}, momentum={self.momentum}"


class BatchInstanceNorm(nn.Module):
    """`weight * (rho * BN(x) + (1 - rho) * IN(x)) + bias` with a learned gate `rho` in [0, 1] per channel.

    As in the paper's code, rho starts at 1 (pure batch norm) and is clipped itself, so that its gradient is alive at
    the bounds: a gate that a step pushed outside is put back on the bound when the next training forward starts. The
    weights of the two terms are folded into their affines, so the mix costs one addition. Source: arXiv 1805.07925.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, eps: float = EPS, momentum: float = MOMENTUM):
        super().__init__()
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.rho = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

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
        instance = functional.instance_norm(inputs, weight=self.weight * (1 - rho), eps=self.eps)
        return batch + instance

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}, momentum={self.momentum}"


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _per_channel(values: Tensor) -> Tensor:
    """A (C,) tensor in the shape that broadcasts over (N, C, H, W)."""
    return values.view(1, -1, 1, 1)


def _none(channels: int) -> nn.Module:
    return nn.Identity()


def _batch(channels: int, *, eps: float = EPS, momentum: float = MOMENTUM) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=eps, momentum=momentum)


def _batch_scratch(channels: int, *, eps: float = EPS, momentum: float = MOMENTUM) -> nn.Module:
    return BatchNormFromScratch(channels, eps, momentum)


def _instance(channels: int, *, eps: float = EPS) -> nn.Module:
    return nn.InstanceNorm2d(channels, eps=eps, affine=True)


def _batch_instance(channels: int, *, eps: float = EPS, momentum: float = MOMENTUM) -> nn.Module:
    return BatchInstanceNorm(channels, eps, momentum)


def _layer(channels: int, *, eps: float = EPS) -> nn.Module:
    """Layer norm over (C, H, W): one group. `nn.LayerNorm(C)` would normalise the width of NCHW activations."""
    return nn.GroupNorm(1, channels, eps=eps)


def _group(channels: int, *, groups: int = DEFAULT_GROUPS, eps: float = EPS) -> nn.Module:
    """Group norm with gcd(groups, channels) groups, so that it fits any width."""
    return nn.GroupNorm(gcd(groups, channels), channels, eps=eps)


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
    check_name("norm", name, NORMS, arguments)
    groups = arguments.get("groups", DEFAULT_GROUPS)
    if not isinstance(groups, int) or groups < 1:
        raise ValueError(f"norm 'group' needs a whole number of groups of at least 1; got {groups!r}")
    return partial(NORMS[name], **arguments)


def check_name(kind: str, name: str, registry: Mapping[str, Callable[..., Any]], arguments: Iterable[str]) -> None:
    """Nothing; raises ValueError unless `name` is in the registry and its factory has these keyword-only arguments."""
    if name not in registry:
        raise ValueError(f"unknown {kind} {name!r}; expected one of: {', '.join(registry)}")
    parameters = inspect.signature(registry[name]).parameters.values()
    valid = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for argument in arguments:
        if argument not in valid:
            expected = f"expected one of: {', '.join(valid)}" if valid else "it takes no arguments"
            raise ValueError(f"unknown argument {argument!r} of {kind} {name!r}; {expected}")
