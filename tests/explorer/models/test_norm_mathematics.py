"""The mathematics of the norms, worked by hand and held against autograd."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from explorer.models.norms import norm_factory

CHANNELS, EPS = 6, 1e-5
AXES = (0, 2, 3)


def draw(seed: int = 0, shape: tuple[int, ...] = (5, CHANNELS, 4, 3)) -> Tensor:
    return 1 + 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def column(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)


def with_affine(name: str, **arguments: float) -> nn.Module:
    layer = norm_factory(name, **arguments)(CHANNELS).double()
    with torch.no_grad():
        layer.get_parameter("weight").copy_(torch.linspace(0.5, 1.5, CHANNELS))
        layer.get_parameter("bias").copy_(torch.linspace(-1, 1, CHANNELS))
    return layer


def test_gradients_of_batch_norm_by_hand_are_autograds() -> None:
    """The chain rule of arXiv 1502.03167, section 3: through the output to the variance, the mean, and the input.

    y = weight x^ + bias, x^ = (x - mean) / sqrt(variance + eps), m values per channel, g = dl/dy:
        dl/dx^       = g weight
        dl/dvariance = -1/2 sum(dl/dx^ (x - mean)) (variance + eps)^(-3/2)
        dl/dmean     = -sum(dl/dx^) / sqrt(variance + eps) + dl/dvariance (-2/m) sum(x - mean)
        dl/dx        = dl/dx^ / sqrt(variance + eps) + dl/dvariance 2 (x - mean) / m + dl/dmean / m
    """
    x, g, weight, bias = draw().requires_grad_(), draw(1), column(draw(2, (CHANNELS,))), column(draw(3, (CHANNELS,)))
    mean = x.mean(AXES, keepdim=True)
    mean.retain_grad()
    variance = (x - mean).square().mean(AXES, keepdim=True)
    variance.retain_grad()
    y = weight * (x - mean) / torch.sqrt(variance + EPS) + bias
    (y * g).sum().backward()

    with torch.no_grad():
        m, centred = x.numel() // CHANNELS, x - mean
        to_standard = g * weight
        to_variance = -0.5 * (to_standard * centred).sum(AXES, keepdim=True) * (variance + EPS) ** -1.5
        to_mean = -to_standard.sum(AXES, keepdim=True) / torch.sqrt(variance + EPS)
        to_mean += to_variance * -2 / m * centred.sum(AXES, keepdim=True)
        to_x = to_standard / torch.sqrt(variance + EPS) + to_variance * 2 * centred / m + to_mean / m
    torch.testing.assert_close(variance.grad, to_variance)
    torch.testing.assert_close(mean.grad, to_mean)
    torch.testing.assert_close(x.grad, to_x)

    layer = norm_factory("batch-scratch")(CHANNELS).double()
    with torch.no_grad():
        layer.get_parameter("weight").copy_(weight.flatten())
    (ours,) = torch.autograd.grad((layer(x) * g).sum(), x)
    torch.testing.assert_close(ours, to_x)


def test_gradient_of_batch_norm_has_no_mean_and_no_share_of_its_output() -> None:
    """Shifting or scaling a channel leaves the output alone, so the gradient is orthogonal to both directions."""
    x = draw().requires_grad_()
    layer = with_affine("batch-scratch", eps=0.0)
    (gradient,) = torch.autograd.grad((layer(x) * draw(1)).sum(), x)
    zeros = torch.zeros(CHANNELS, dtype=torch.float64)
    torch.testing.assert_close(gradient.sum(AXES), zeros, rtol=0, atol=1e-12)
    torch.testing.assert_close((gradient * x).sum(AXES), zeros, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["batch", "batch-scratch", "instance", "batch-instance"])
def test_bias_before_a_norm_is_redundant(name: str) -> None:
    """A norm with its own mean per channel subtracts the bias again: same output, and no gradient for the bias."""
    x, kernel, bias = draw(shape=(4, 3, 6, 6)), draw(1, (CHANNELS, 3, 3, 3)), draw(2, (CHANNELS,)).requires_grad_()
    layer = with_affine(name)
    with_bias = layer(functional.conv2d(x, kernel, bias))
    torch.testing.assert_close(with_bias, layer(functional.conv2d(x, kernel)))
    (gradient,) = torch.autograd.grad((with_bias * draw(3, tuple(with_bias.shape))).sum(), bias)
    torch.testing.assert_close(gradient, torch.zeros_like(bias), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "groups"), [("layer", 1), ("group", 2)])
def test_bias_before_a_norm_of_several_channels_is_not_redundant(name: str, groups: int) -> None:
    """Layer and group norm subtract one mean from several channels: only a bias common to a group cancels."""
    x, layer = draw(), with_affine(name, **({"groups": groups} if name == "group" else {}))
    common = torch.arange(groups, dtype=torch.float64).repeat_interleave(CHANNELS // groups)
    torch.testing.assert_close(layer(x + column(common)), layer(x))
    single = torch.eye(CHANNELS, dtype=torch.float64)[0]
    assert (layer(x + column(single)) - layer(x)).abs().max() > 0.1


@pytest.mark.parametrize(("other", "groups"), [("layer", 1), ("instance", CHANNELS)])
def test_group_norm_spans_layer_norm_to_instance_norm(other: str, groups: int) -> None:
    x = draw()
    torch.testing.assert_close(with_affine("group", groups=groups)(x), with_affine(other)(x))


@pytest.mark.parametrize(("rho", "other"), [(0.0, "instance"), (1.0, "batch")])
@pytest.mark.parametrize("training", [True, False])
def test_batch_instance_norm_spans_instance_norm_to_batch_norm(rho: float, other: str, training: bool) -> None:
    mixed, pure = with_affine("batch-instance"), with_affine(other)
    mixed.get_parameter("rho").data.fill_(rho)
    for layer in (mixed, pure):
        layer(draw(1))
        layer.train(training)
    torch.testing.assert_close(mixed(draw()), pure(draw()))


def test_batch_instance_norm_is_linear_in_its_gate() -> None:
    x, layer = draw(), with_affine("batch-instance")
    outputs = []
    for rho in (0.0, 0.25, 1.0):
        layer.get_parameter("rho").data.fill_(rho)
        outputs.append(layer(x))
    torch.testing.assert_close(outputs[1], 0.75 * outputs[0] + 0.25 * outputs[2])


def test_axes_of_the_mean_that_each_norm_removes() -> None:
    """Without the affine, the mean over a norm's axes is zero, and over the other norms' axes it is not."""
    x = draw() + draw(4, (5, CHANNELS, 1, 1))
    axes = {"batch": (0, 2, 3), "instance": (2, 3), "layer": (1, 2, 3)}
    outputs = {name: norm_factory(name)(CHANNELS).double()(x) for name in axes}
    zero_mean = {(name, over): outputs[name].mean(axes[over]).abs().max() < 1e-10 for name in axes for over in axes}
    expected = {(name, over): name == over or name == "instance" for name in axes for over in axes}
    assert zero_mean == expected  # zero over every (H, W) is zero over every union of them
