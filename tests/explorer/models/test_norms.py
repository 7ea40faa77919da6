"""Every norm against its definition and against PyTorch's layer, in float64, with C == H == W.

With equal sides a norm over the wrong axes still runs (`nn.LayerNorm(C)` on NCHW normalises the width), so only the
values can tell.
"""

import pytest
import torch
from torch import Tensor, nn

from explorer.models.norms import NORMS, norm_factory

SIDE, EPS = 4, 1e-5
GROUPS = 2
AXES = {"batch": (0, 2, 3), "batch-scratch": (0, 2, 3), "instance": (2, 3)}
LEARNED = [name for name in NORMS if name != "none"]
BY_HAND = ["batch-scratch", "instance", "batch-instance", "group"]  # their gradients in training are our own
RUNNING = ["batch", "batch-scratch", "batch-instance"]
PYTORCH = {
    "batch": lambda: nn.BatchNorm2d(SIDE),
    "batch-scratch": lambda: nn.BatchNorm2d(SIDE),
    "instance": lambda: nn.InstanceNorm2d(SIDE, affine=True),
    "layer": lambda: nn.LayerNorm([SIDE, SIDE, SIDE]),
    "group": lambda: nn.GroupNorm(GROUPS, SIDE),
}


def build(name: str) -> nn.Module:
    arguments = {"groups": GROUPS} if name == "group" else {}
    layer = norm_factory(name, **arguments)(SIDE).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.2, 0.8)
    return layer


def draw(seed: int = 0) -> Tensor:
    return 3 + 2 * torch.randn(5, SIDE, SIDE, SIDE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def standardised(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    mean = x.mean(axes, keepdim=True)
    return (x - mean) / torch.sqrt(((x - mean) ** 2).mean(axes, keepdim=True) + EPS)


def definition(name: str, layer: nn.Module, x: Tensor) -> Tensor:
    """The norm in training, from its formula."""
    if name in AXES:
        normalised = standardised(x, AXES[name])
    elif name == "layer":
        normalised = standardised(x, (1, 2, 3))
    elif name == "group":
        normalised = standardised(x.view(5, GROUPS, SIDE // GROUPS, SIDE, SIDE), (2, 3, 4)).view_as(x)
    else:
        rho = layer.get_parameter("rho").view(1, -1, 1, 1)
        normalised = rho * standardised(x, (0, 2, 3)) + (1 - rho) * standardised(x, (2, 3))
    weight, bias = (layer.get_parameter(parameter).view(1, -1, 1, 1) for parameter in ("weight", "bias"))
    return normalised * weight + bias


def gradients(outputs: Tensor, layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Of a fixed weighted sum of the outputs: for the input, then for every parameter."""
    weights = torch.linspace(-1, 2, outputs.numel(), dtype=torch.float64).view_as(outputs).sin()
    return list(torch.autograd.grad((outputs * weights).sum(), [x, *layer.parameters()]))


def test_registry_has_the_seven_norms_in_their_order() -> None:
    assert list(NORMS) == ["none", "batch", "batch-scratch", "instance", "batch-instance", "layer", "group"]


def test_none_changes_nothing() -> None:
    layer, x = build("none"), draw()
    assert torch.equal(layer(x), x)
    assert not list(layer.parameters())


@pytest.mark.parametrize("name", LEARNED)
def test_training_output_and_gradients_are_the_definitions(name: str) -> None:
    layer, x = build(name), draw().requires_grad_()
    outputs, expected = layer(x), definition(name, layer, x)
    torch.testing.assert_close(outputs, expected)
    for ours, theirs in zip(gradients(outputs, layer, x), gradients(expected, layer, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", RUNNING)
def test_evaluation_uses_the_running_statistics(name: str) -> None:
    layer = build(name)
    mean, variance = torch.zeros(SIDE, dtype=torch.float64), torch.ones(SIDE, dtype=torch.float64)
    for seed in (1, 2):
        x = draw(seed)
        layer(x)
        mean = 0.9 * mean + 0.1 * x.mean((0, 2, 3))
        variance = 0.9 * variance + 0.1 * x.var((0, 2, 3), correction=1)
    torch.testing.assert_close(layer.running_mean, mean)
    torch.testing.assert_close(layer.running_var, variance)
    assert layer.num_batches_tracked == 2

    layer.eval()
    x, column = draw(3), (1, SIDE, 1, 1)
    normalised = (x - mean.view(column)) / torch.sqrt(variance.view(column) + EPS)
    if name == "batch-instance":
        rho = layer.get_parameter("rho").view(column)
        normalised = rho * normalised + (1 - rho) * standardised(x, (2, 3))
    weight, bias = (layer.get_parameter(parameter).view(column) for parameter in ("weight", "bias"))
    torch.testing.assert_close(layer(x), normalised * weight + bias)
    assert layer.num_batches_tracked == 2


@pytest.mark.parametrize("name", ["none", "instance", "layer", "group"])
def test_norms_without_batch_statistics_are_the_same_in_evaluation(name: str) -> None:
    layer, x = build(name), draw()
    trained = layer(x)
    torch.testing.assert_close(layer.eval()(x), trained)
    torch.testing.assert_close(layer(x[:1]), trained[:1])
    assert not list(layer.buffers())


@pytest.mark.parametrize("name", PYTORCH)
def test_equal_to_pytorchs_layer_over_three_training_steps_and_in_evaluation(name: str) -> None:
    ours, theirs = build(name), PYTORCH[name]().double()
    with torch.no_grad():
        for parameter in ("weight", "bias"):
            values = getattr(ours, parameter)
            if name == "layer":  # PyTorch's affine is per element; ours is per channel
                values = values.view(-1, 1, 1).expand(SIDE, SIDE, SIDE)
            getattr(theirs, parameter).copy_(values)
    for seed in range(3):
        x = draw(seed).requires_grad_()
        torch.testing.assert_close(ours(x), theirs(x))
    for mode in (True, False):
        x = draw(9).requires_grad_()
        found = gradients(ours.train(mode)(x), ours, x)
        expected = gradients(theirs.train(mode)(x), theirs, x)
        torch.testing.assert_close(found[0], expected[0])
        for mine, other in zip(found[1:], expected[1:], strict=True):
            torch.testing.assert_close(mine, other.sum((1, 2)) if name == "layer" else other)
    for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_by_hand_agree_with_finite_differences(name: str, training: bool) -> None:
    layer = build(name)
    layer(draw(1))
    layer.train(training)
    inputs = draw().requires_grad_(), layer.get_parameter("weight"), layer.get_parameter("bias")
    assert torch.autograd.gradcheck(lambda x, _w, _b: layer(x), inputs)


@pytest.mark.parametrize("name", LEARNED)
def test_affine_is_one_weight_and_one_bias_per_channel(name: str) -> None:
    shapes = {parameter: tuple(values.shape) for parameter, values in norm_factory(name)(12).named_parameters()}
    gate = {"rho": (12,)} if name == "batch-instance" else {}
    assert shapes == {"weight": (12,), "bias": (12,)} | gate


@pytest.mark.parametrize("name", NORMS)
def test_bfloat16_channels_last_under_autocast_keeps_the_dtype_and_the_values(name: str) -> None:
    layer = norm_factory(name)(16)
    x = (2 + 3 * torch.randn(4, 16, 8, 8, generator=torch.Generator().manual_seed(0))).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = layer(x.contiguous(memory_format=torch.channels_last))
    assert outputs.dtype == torch.bfloat16
    torch.testing.assert_close(outputs.float(), layer(x.float()), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("name", BY_HAND)
def test_norms_by_hand_keep_channels_last(name: str) -> None:
    x = torch.randn(2, 16, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    outputs = norm_factory(name)(16)(x)
    assert outputs.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(outputs.square().sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", BY_HAND)
def test_norms_by_hand_survive_a_mean_far_larger_than_the_deviation(name: str) -> None:
    x = 1000 + torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = norm_factory(name)(4)(x)
    axes = (0, 2, 3) if name.startswith("batch") else (2, 3)  # groups are of one channel; the gate starts at batch
    variances = outputs.var(axes, correction=0)
    torch.testing.assert_close(variances, torch.ones_like(variances), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", ["instance", "batch-instance"])
def test_instance_norm_refuses_images_of_one_pixel(name: str) -> None:
    with pytest.raises(ValueError, match=r"more than one pixel in training; got inputs \(2, 4, 1, 1\)"):
        norm_factory(name)(4)(torch.ones(2, 4, 1, 1))


def test_scratch_refuses_one_value_per_channel_in_training_only() -> None:
    layer, x = norm_factory("batch-scratch")(4), torch.ones(1, 4, 1, 1)
    with pytest.raises(ValueError, match="more than one value per channel"):
        layer(x)
    assert torch.isfinite(layer.eval()(x)).all()


def test_gate_is_clipped_and_recovers_from_outside_the_bounds() -> None:
    layer, x = norm_factory("batch-instance")(SIDE).double(), draw()
    rho = layer.get_parameter("rho")
    rho.data.copy_(torch.tensor([-0.5, 0.0, 1.0, 1.5]))
    inside = layer(x)
    assert rho.tolist() == [0.0, 0.0, 1.0, 1.0]
    inside.square().mul(draw(1)).sum().backward()
    assert rho.grad is not None
    assert (rho.grad != 0).all()


def test_gate_outside_the_bounds_is_used_clipped_in_evaluation() -> None:
    layer, x = norm_factory("batch-instance")(SIDE).double().eval(), draw()
    on_the_bound = layer(x)
    layer.get_parameter("rho").data.fill_(7)
    torch.testing.assert_close(layer(x), on_the_bound)


def test_gate_allows_two_forwards_before_the_backward() -> None:
    layer = norm_factory("batch-instance")(SIDE).double()
    (layer(draw(0)).square().sum() + layer(draw(1)).square().sum()).backward()
    assert layer.get_parameter("rho").grad is not None


@pytest.mark.parametrize(("groups", "channels", "used"), [(4, 16, 4), (4, 6, 2), (4, 7, 1), (32, 48, 16)])
def test_group_falls_back_to_a_divisor_of_the_channels(groups: int, channels: int, used: int) -> None:
    assert norm_factory("group", groups=groups)(channels).num_groups == used


@pytest.mark.parametrize("name", RUNNING)
def test_momentum_and_eps_reach_the_layer(name: str) -> None:
    layer = norm_factory(name, momentum=0.5, eps=0.1)(SIDE)
    layer(torch.ones(2, SIDE, 2, 2))
    assert (layer.momentum, layer.eps) == (0.5, 0.1)
    torch.testing.assert_close(layer.running_mean, torch.full((SIDE,), 0.5))


def test_unknown_names_list_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown norm 'grp'; expected one of: none, batch, .*group"):
        norm_factory("grp")
    with pytest.raises(ValueError, match=r"unknown argument 'group' of norm 'group'; expected one of: groups, eps"):
        norm_factory("group", group=4)
    with pytest.raises(ValueError, match=r"norm 'none'; it takes no arguments"):
        norm_factory("none", eps=1e-5)


@pytest.mark.parametrize("groups", [0, -1, 2.5, "4"])
def test_impossible_numbers_of_groups_are_refused(groups: object) -> None:
    with pytest.raises(ValueError, match="whole number"):
        norm_factory("group", groups=groups)
