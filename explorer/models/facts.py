"""Facts about norms, each with a check.

A check computes both sides of an equation on a small random tensor in float64 and says how far apart they are. The
proofs are in the tests of the norms' mathematics.
"""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor, nn
from torch.nn import functional

from explorer.models.norms import EPS, norm_factory

AXES = (0, 2, 3)  # what batch norm averages over
CHANNELS = 6
SHAPE = (4, CHANNELS, 5, 5)
SAME = 1e-9  # below it two float64 results differ by rounding alone


@dataclass(frozen=True)
class Check:
    """Two sides of a fact and the largest difference between them; `equal` says whether they should be equal."""

    words: str
    difference: float
    equal: bool = True

    @property
    def holds(self) -> bool:
        """Whether what was found is as it should be."""
        return isfinite(self.difference) and (self.difference < SAME) == self.equal


def check_own_batch_norm(seed: int) -> list[Check]:
    """Batch norm written from the definition against PyTorch's: outputs, and gradients of the input."""
    sides = [_output_and_gradient(norm_factory(name)(CHANNELS), seed) for name in ("batch-scratch", "batch")]
    words = ("output of `batch-scratch` and of PyTorch's `BatchNorm2d`", "gradient of the input by these two")
    return [Check(text, _apart(*pair)) for text, pair in zip(words, zip(*sides, strict=True), strict=True)]


def check_gradients(seed: int) -> list[Check]:
    """Batch norm's gradients by hand, with respect to variance, mean and input, against autograd's."""
    x, g = _draw(seed).requires_grad_(), _draw(seed + 1)
    mean = x.mean(AXES, keepdim=True)
    variance = (x - mean).square().mean(AXES, keepdim=True)
    output = (x - mean) / torch.sqrt(variance + EPS)
    found = torch.autograd.grad((output * g).sum(), (variance, mean, x))
    with torch.no_grad():
        by_hand = _gradients_by_hand(x, mean, variance, g)
    return [
        Check(f"gradient of the {name} by hand and by autograd", _apart(ours, theirs))
        for name, ours, theirs in zip(("variance", "mean", "input"), by_hand, found, strict=True)
    ]


def _gradients_by_hand(x: Tensor, mean: Tensor, variance: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The formulas on the page; `g` is the gradient of the standardised values."""
    m, inverse = x.numel() // x.shape[1], (variance + EPS) ** -0.5
    to_variance = -0.5 * inverse**3 * (g * (x - mean)).sum(AXES, keepdim=True)
    to_mean = -inverse * g.sum(AXES, keepdim=True) - to_variance * 2 / m * (x - mean).sum(AXES, keepdim=True)
    return to_variance, to_mean, g * inverse + to_variance * 2 / m * (x - mean) + to_mean / m


def check_bias(seed: int) -> list[Check]:
    """What a bias per channel before a norm changes: nothing where each channel has its own mean, else something."""
    x, bias = _draw(seed), _draw(seed + 1)[0, :, 0, 0].view(1, -1, 1, 1)
    checks = []
    for name in ("batch", "instance", "batch-instance", "layer", "group"):
        layer = norm_factory(name, **({"groups": 2} if name == "group" else {}))(CHANNELS).double()
        own_mean = name not in ("layer", "group")
        checks.append(Check(f"`{name}` norm of x and of x + b", _apart(layer(x), layer(x + bias)), equal=own_mean))
    return checks


def check_groups(seed: int) -> list[Check]:
    """Group norm at its two ends against layer norm and instance norm, both PyTorch's functions."""
    x = _draw(seed)
    one, each = (norm_factory("group", groups=groups)(CHANNELS).double() for groups in (1, CHANNELS))
    return [
        Check("group norm with 1 group and layer norm", _apart(one(x), functional.layer_norm(x, SHAPE[1:], eps=EPS))),
        Check(f"group norm with {CHANNELS} groups and instance norm", _apart(each(x), functional.instance_norm(x))),
    ]


def check_gate(seed: int) -> list[Check]:
    """Batch-instance norm with its gate at 1 and at 0 against batch norm and instance norm."""
    x, checks = _draw(seed), []
    for rho, name in ((1.0, "batch"), (0.0, "instance")):
        gated, plain = (norm_factory(kind)(CHANNELS).double() for kind in ("batch-instance", name))
        nn.init.constant_(gated.get_parameter("rho"), rho)
        checks.append(Check(f"batch-instance norm at ρ = {rho:.0f} and {name} norm", _apart(gated(x), plain(x))))
    return checks


def _output_and_gradient(layer: nn.Module, seed: int) -> tuple[Tensor, Tensor]:
    x = _draw(seed).requires_grad_()
    output = layer.double()(x)
    return output.detach(), torch.autograd.grad((output * _draw(seed + 1)).sum(), x)[0]


def _draw(seed: int) -> Tensor:
    return 1 + 2 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _apart(left: Tensor, right: Tensor) -> float:
    return (left - right).abs().max().item()
