"""Every architecture with every norm keeps the contract; parameter counts by formulas worked by hand."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from explorer.models import ARCHITECTURES, StagedModel, build_model
from explorer.models.compact import PoolConv
from explorer.models.norms import NORMS
from explorer.models.resnet import BasicBlock
from explorer.models.staged import PoolLinear

FAMILIES = ["resnet8", "resnet14", "compact", "vgg11", "convnet", "tinyresnet", "simplecnn"]
LINEAR_HEADS = ["resnet8", "compact", "vgg11", "tinyresnet"]
PER_CHANNEL = {"none": 0, "batch-instance": 3}  # learnable numbers of a norm; 2 for all others
CLASSES = 5


def build(architecture: str, norm: str = "batch", size: tuple[int, int] = (32, 32)) -> StagedModel:
    torch.manual_seed(0)
    return build_model(architecture, norm, classes=CLASSES, input_size=size)


def draw(size: tuple[int, int] = (32, 32), count: int = 2) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


def residual_blocks(before: int, width: int, blocks: int, norm: int) -> int:
    """Parameters of a residual stage: two 3x3 convs and two norms a block; 1x1 conv and norm where it widens."""
    shortcut = before * width + norm * width if before != width else 0
    convs = 9 * before * width + (2 * blocks - 1) * 9 * width * width
    return convs + 2 * blocks * norm * width + shortcut


def resnet_parameters(n: int, norm: int) -> int:
    stem, head = 27 * 16 + norm * 16, 64 * CLASSES + CLASSES
    return stem + sum(residual_blocks(*widths, n, norm) for widths in ((16, 16), (16, 32), (32, 64))) + head


def tinyresnet_parameters(norm: int) -> int:
    stages = residual_blocks(16, 16, 3, norm) + residual_blocks(16, 24, 2, norm) + residual_blocks(24, 28, 1, norm)
    return 27 * 16 + norm * 16 + stages + 28 * CLASSES + CLASSES


def compact_parameters(norm: int) -> int:
    """Stem C(3,16) C(16,32), two stages of 1x1, C(16,16), C(16,32), 3x3, 1x1 shortcut and a norm of 32, 1x1 head."""
    return 448 + 4640 + 2 * (528 + 2320 + 4640 + 9248 + 544) + norm * (48 + 2 * 80) + 32 * CLASSES + CLASSES


def vgg11_parameters(norm: int) -> int:
    widths = [3, 32, 64, 128, 128, 256, 256, 256, 256]
    convs = sum(9 * before * after for before, after in pairwise(widths))
    return convs + norm * sum(widths[1:]) + 256 * CLASSES + CLASSES


def convnet_parameters(norm: int) -> int:
    widths = [3, 32, 48, 64, 64, 128, 128]
    convs = sum(9 * before * after for before, after in pairwise(widths))
    head = (128 * 4 * 4 * 1280 + 1280) + (1280 * CLASSES + CLASSES)
    return convs + norm * sum(widths[1:]) + head


def simplecnn_parameters(norm: int) -> int:
    return (25 * 3 * 6 + 6) + (25 * 6 * 8 + 8) + norm * (6 + 8) + (512 * 32 + 32) + (32 * CLASSES + CLASSES)


FORMULAS = {
    "resnet8": lambda norm: resnet_parameters(1, norm),
    "resnet14": lambda norm: resnet_parameters(2, norm),
    "tinyresnet": tinyresnet_parameters,
    "compact": compact_parameters,
    "vgg11": vgg11_parameters,
    "convnet": convnet_parameters,
    "simplecnn": simplecnn_parameters,
}


def test_registry_lists_every_resnet_and_the_other_architectures() -> None:
    resnets = [f"resnet{6 * n + 2}" for n in range(1, 19)]
    assert list(ARCHITECTURES) == [*resnets, "compact", "vgg11", "convnet", "tinyresnet", "simplecnn"]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("architecture", FAMILIES)
def test_parameter_count_is_the_formulas(architecture: str, norm: str) -> None:
    count = sum(parameter.numel() for parameter in build(architecture, norm).parameters())
    assert count == FORMULAS[architecture](PER_CHANNEL.get(norm, 2))


@pytest.mark.parametrize(
    ("architecture", "norm", "parameters"),
    [
        ("resnet14", "batch", 175_258),
        ("resnet20", "batch", 272_474),  # about the 0.27 M of arXiv 1512.03385, table 6
        ("resnet110", "batch", 1_730_714),  # about the 1.7 M of the same table
        ("compact", "batch", 40_394),
        ("compact", "layer", 40_394),
        ("compact", "group", 40_394),
        ("tinyresnet", "batch", 48_346),
    ],
)
def test_parameter_counts_at_ten_classes(architecture: str, norm: str, parameters: int) -> None:
    model = build_model(architecture, norm, classes=10)
    assert sum(values.numel() for values in model.parameters()) == parameters


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("architecture", FAMILIES)
def test_gradients_reach_every_parameter(architecture: str, norm: str) -> None:
    model = build(architecture, norm)
    logits = model(draw(count=4))
    assert logits.shape == (4, CLASSES)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    dead = [name for name, values in model.named_parameters() if values.grad is None or not values.grad.abs().max() > 0]
    assert dead == []


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("architecture", FAMILIES)
def test_forward_is_each_stages_activations_through_the_rest(architecture: str, norm: str) -> None:
    model, inputs = build(architecture, norm).eval(), draw()
    with torch.no_grad():
        logits = model(inputs)
        for stage in model.stage_names:
            torch.testing.assert_close(model.forward_from(model.forward_to(inputs, stage), stage), logits)


@pytest.mark.parametrize("size", [(32, 32), (48, 48), (33, 47), (96, 96)])
@pytest.mark.parametrize("architecture", FAMILIES)
def test_any_size_gives_logits_and_a_map_of_at_least_four_by_four(architecture: str, size: tuple[int, int]) -> None:
    model, inputs = build(architecture, size=size).eval(), draw(size)
    with torch.no_grad():
        assert model(inputs).shape == (2, CLASSES)
        sides = {name: min(model.forward_to(inputs, name).shape[2:]) for name in model.stage_names}
    assert sides[model.cam_stage] >= 4
    later = model.stage_names[model.stage_names.index(model.cam_stage) + 1 :]
    assert all(sides[name] < 4 for name in later)
    assert model.input_size == size


@pytest.mark.parametrize("architecture", LINEAR_HEADS)
def test_channel_weights_are_the_gradient_of_a_linear_head(architecture: str) -> None:
    model = build(architecture).eval()
    activations = model.forward_to(draw(), model.stage_names[-1]).detach().requires_grad_()
    assert isinstance(model.head, PoolLinear | PoolConv)
    weights = model.head.channel_weights
    assert weights.shape == (CLASSES, activations.shape[1])
    (gradient,) = torch.autograd.grad(model.head(activations)[:, 2].sum(), activations)
    torch.testing.assert_close(gradient.sum((2, 3)), weights[2].expand(2, -1))


@pytest.mark.parametrize("norm", NORMS)
def test_norm_arguments_reach_every_norm_and_their_number_is_the_blocks(norm: str) -> None:
    arguments = {} if norm == "none" else {"eps": 0.25}
    model = build_model("resnet8", norm, classes=2, norm_arguments=arguments)
    found = [module.eps for module in model.modules() if hasattr(module, "eps")]
    assert found == ([] if norm == "none" else [0.25] * 9)  # the stem's, two a block, two shortcuts'


@pytest.mark.parametrize("architecture", ["resnet8", "resnet14", "vgg11", "convnet", "tinyresnet"])
def test_convs_of_these_have_no_bias_whatever_the_norm(architecture: str) -> None:
    for norm in ("none", "batch"):
        convs = [module for module in build(architecture, norm).modules() if isinstance(module, nn.Conv2d)]
        assert convs
        assert all(conv.bias is None for conv in convs)


def test_basic_block_is_its_definition() -> None:
    block = build("resnet14").stages["stage2"].get_submodule("0").eval()
    assert isinstance(block, BasicBlock)
    conv, norm = (block.shortcut.get_submodule(name) for name in ("conv1", "norm1"))
    inputs = torch.randn(2, 16, 8, 8)
    hidden = torch.relu(block.norm1(nn.functional.conv2d(inputs, block.conv1.weight, stride=2, padding=1)))
    residual = block.norm2(nn.functional.conv2d(hidden, block.conv2.weight, padding=1))
    shortcut = norm(nn.functional.conv2d(inputs, conv.get_parameter("weight"), stride=2))
    torch.testing.assert_close(block(inputs), torch.relu(residual + shortcut))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("architecture", FAMILIES)
def test_first_logits_are_small_enough_to_train_from(architecture: str, norm: str) -> None:
    with torch.no_grad():
        assert build(architecture, norm)(draw(count=8)).abs().max() < 20


@pytest.mark.parametrize("architecture", FAMILIES)
def test_learns_to_tell_colours_without_any_norm(architecture: str) -> None:
    model, labels = build(architecture, "none"), torch.arange(10) % 3
    inputs = 0.3 * draw(count=10) + torch.eye(3)[labels].view(10, 3, 1, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_last_conv_of_each_residual_branch_starts_smaller_by_the_root_of_their_number() -> None:
    block = build("resnet20").stages["stage3"].get_submodule("1")  # 9 blocks; both convs see 64 channels
    assert isinstance(block, BasicBlock)
    torch.testing.assert_close(
        block.conv1.weight.std() / block.conv2.weight.std(), torch.tensor(3.0), rtol=0.05, atol=0
    )


def test_architecture_arguments_change_the_model() -> None:
    narrow = build_model("vgg11", "none", classes=10, architecture_arguments={"width": 4})
    assert [narrow.forward_to(draw(), name).shape[1] for name in narrow.stage_names] == [4, 8, 16, 32, 32]
    wet = build_model("compact", "batch", classes=10, architecture_arguments={"dropout": 0.5})
    assert {module.p for module in wet.modules() if isinstance(module, nn.Dropout)} == {0.5}
    coarse = build_model("resnet8", "batch", classes=10, input_size=(64, 64), architecture_arguments={"stem_stride": 2})
    assert coarse.forward_to(draw((64, 64)), "stage3").shape == (2, 64, 8, 8)
    small = build_model("convnet", "none", classes=10, architecture_arguments={"hidden": 7})
    assert small.head.get_submodule("2").out_features == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "resnet9"}, r"unknown architecture 'resnet9'; expected one of: resnet8, .*simplecnn"),
        ({"norm": "grp"}, r"unknown norm 'grp'; expected one of: none, batch"),
        ({"architecture_arguments": {"depth": 2}}, r"'depth' of architecture 'resnet8'; expected one of: stem_stride"),
        ({"norm_arguments": {"groups": 2}}, r"'groups' of norm 'batch'; expected one of: eps, momentum"),
        ({"classes": 1}, r"at least 2 classes; got 1"),
        ({"input_size": (31, 64)}, r"at least 32 pixels each; got \(31, 64\)"),
        ({"architecture": "simplecnn", "architecture_arguments": {"width": 2}}, r"'simplecnn'; it takes no arguments"),
        ({"architecture_arguments": {"stem_stride": 0}}, r"stem_stride of at least 1; got 0"),
        ({"architecture": "vgg11", "architecture_arguments": {"width": 0}}, r"width of at least 1; got 0"),
        ({"architecture": "convnet", "architecture_arguments": {"hidden": 0}}, r"at least 1 hidden unit; got 0"),
    ],
)
def test_wrong_names_and_values_say_what_is_valid(changes: dict, message: str) -> None:
    arguments = {"architecture": "resnet8", "norm": "batch", "classes": 10} | changes
    with pytest.raises(ValueError, match=message):
        build_model(**arguments)


def test_unknown_stage_lists_the_stages() -> None:
    with pytest.raises(ValueError, match=r"unknown stage 'layer4'; expected one of: stem, stage1, stage2, stage3"):
        build("resnet8").forward_to(draw(), "layer4")
