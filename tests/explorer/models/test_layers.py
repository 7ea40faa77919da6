"""The layer table against tables worked by hand, PyTorch's FLOP counter and the model's own parameters."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from explorer.models import ARCHITECTURES, StagedModel, build_model
from explorer.models.layers import (
    count_macs,
    count_parameters,
    layer_table,
    memory_sizes,
    norm_share,
    parameter_formula,
)
from explorer.models.norms import NORMS

ONE_OF_EACH = ["resnet8", "compact", "vgg11", "convnet", "tinyresnet", "simplecnn"]

# compact's layers at 32x32 and 10 classes: (kind, output, parameters, MACs); every conv has a bias.
STEM = [
    ("conv", "16 × 32 × 32", 3 * 3 * 3 * 16 + 16, 3 * 3 * 3 * 16 * 1024),  # 448
    ("norm", "16 × 32 × 32", 32, 0),
    ("conv", "32 × 32 × 32", 3 * 3 * 16 * 32 + 32, 3 * 3 * 16 * 32 * 1024),  # 4,640
    ("norm", "32 × 32 × 32", 64, 0),
    ("conv", "16 × 32 × 32", 1 * 1 * 32 * 16 + 16, 1 * 1 * 32 * 16 * 1024),  # 528
]
RESIDUAL1 = [
    ("conv", "16 × 16 × 16", 3 * 3 * 16 * 16 + 16, 3 * 3 * 16 * 16 * 256),  # 2,320
    ("norm", "16 × 16 × 16", 32, 0),
    ("conv", "32 × 16 × 16", 3 * 3 * 16 * 32 + 32, 3 * 3 * 16 * 32 * 256),  # 4,640
    ("norm", "32 × 16 × 16", 64, 0),
    ("conv", "32 × 16 × 16", 3 * 3 * 32 * 32 + 32, 3 * 3 * 32 * 32 * 256),  # 9,248
    ("conv", "32 × 16 × 16", 1 * 1 * 16 * 32 + 32, 1 * 1 * 16 * 32 * 256),  # 544, the shortcut
    ("norm", "32 × 16 × 16", 64, 0),
    ("conv", "16 × 16 × 16", 1 * 1 * 32 * 16 + 16, 1 * 1 * 32 * 16 * 256),  # 528
]
RESIDUAL2 = [
    ("conv", "16 × 8 × 8", 3 * 3 * 16 * 16 + 16, 3 * 3 * 16 * 16 * 64),  # 2,320
    ("norm", "16 × 8 × 8", 32, 0),
    ("conv", "32 × 8 × 8", 3 * 3 * 16 * 32 + 32, 3 * 3 * 16 * 32 * 64),  # 4,640
    ("norm", "32 × 8 × 8", 64, 0),
    ("conv", "32 × 8 × 8", 3 * 3 * 32 * 32 + 32, 3 * 3 * 32 * 32 * 64),  # 9,248
    ("conv", "32 × 8 × 8", 1 * 1 * 16 * 32 + 32, 1 * 1 * 16 * 32 * 64),  # 544, the shortcut
    ("norm", "32 × 8 × 8", 64, 0),
    ("conv", "10 × 1 × 1", 1 * 1 * 32 * 10 + 10, 1 * 1 * 32 * 10),  # 330, the head
]
COMPACT = STEM + RESIDUAL1 + RESIDUAL2


@pytest.mark.parametrize("norm", ["batch", "layer", "group"])
def test_compact_study_line_by_line(norm: str) -> None:
    table = layer_table(build_model("compact", norm, classes=10))
    learned = table[table["parameters"] > 0]
    kinds = ["conv" if kind == "Conv2d" else "norm" for kind in learned["kind"]]
    found = list(zip(kinds, learned["output_shape"], learned["parameters"], learned["macs"], strict=True))
    assert found == COMPACT
    assert sum(table["parameters"].tolist()) == 40_394
    assert sum(table["macs"].tolist()) == sum(line[3] for line in COMPACT)


def test_formulas_of_the_compact_stem() -> None:
    table = layer_table(build_model("compact", "batch", classes=10)).set_index("name")
    assert table.loc["stages.stem.0.conv1", "formula"] == "3*3*3*16 + 16"
    assert table.loc["stages.stem.1.norm1", "formula"] == "2*32"
    assert table.loc["stages.stage1.pool", "formula"] == "0"
    assert table.loc["stages.stem.1.norm1", "buffers"] == 2 * 32 + 1  # mean, variance, number of batches


@pytest.mark.parametrize(
    ("layer", "formula"),
    [
        (nn.Linear(512, 32), "512*32 + 32"),
        (nn.Linear(512, 32, bias=False), "512*32"),
        (nn.Conv2d(4, 8, (3, 5), groups=2), "5*3*2*8 + 8"),
        (NORMS["batch-instance"](16), "3*16"),
        (NORMS["group"](16), "2*16"),
        (nn.ReLU(), "0"),
    ],
)
def test_formula_of_a_layer(layer: nn.Module, formula: str) -> None:
    assert parameter_formula(layer) == formula


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("architecture", ONE_OF_EACH)
def test_table_adds_up_to_the_model_and_its_formulas_to_the_table(architecture: str, norm: str) -> None:
    model = build_model(architecture, norm, classes=3)
    table = layer_table(model)
    parameters = sum(values.numel() for values in model.parameters())
    assert sum(table["parameters"].tolist()) == count_parameters(model) == parameters
    assert sum(table["buffers"].tolist()) == sum(values.numel() for values in model.buffers())
    assert [_value(formula) for formula in table["formula"]] == table["parameters"].tolist()
    leaves = {name for name, module in model.named_modules() if not list(module.children())}
    identities = {name for name, module in model.named_modules() if isinstance(module, nn.Identity)}
    assert table["name"].is_unique
    assert set(table["name"]) == leaves - identities


@pytest.mark.parametrize("size", [(32, 32), (40, 56)])
@pytest.mark.parametrize("architecture", ONE_OF_EACH)
def test_macs_are_half_of_pytorchs_flops(architecture: str, size: tuple[int, int]) -> None:
    model = build_model(architecture, "batch", classes=10, input_size=size).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *size))
    assert count_macs(model) == counter.get_total_flops() // 2


def test_sizes_in_memory_are_four_bytes_a_number() -> None:
    model = build_model("simplecnn", "none", classes=10)
    sizes = memory_sizes(model)
    outputs = 6 * 32 * 32 * 2 + 6 * 16 * 16 + 8 * 16 * 16 * 2 + 8 * 8 * 8 + 512 + 32 * 2 + 10
    assert sizes.input == pytest.approx(3 * 32 * 32 * 4e-6)
    assert sizes.activations == pytest.approx(outputs * 4e-6)
    assert sizes.parameters == pytest.approx(count_parameters(model) * 4e-6)
    assert sizes.total == pytest.approx(sizes.input + sizes.activations + sizes.parameters)


@pytest.mark.parametrize("norm", NORMS)
def test_what_norms_hold_is_what_a_model_without_lacks(norm: str) -> None:
    with_norm, without = (build_model("resnet8", name, classes=3) for name in (norm, "none"))
    share = norm_share(layer_table(with_norm))
    assert share.parameters == count_parameters(with_norm) - count_parameters(without)
    assert share.buffers == sum(values.numel() for values in with_norm.buffers())
    assert share.layers == (0 if norm == "none" else sum(".norm" in name for name, _ in without.named_modules()))
    assert share.of_all == pytest.approx(share.parameters / count_parameters(with_norm))


def test_no_layers_hold_nothing() -> None:
    share = norm_share(layer_table(build_model("resnet8", "batch", classes=3)).head(0))
    assert (share.layers, share.parameters, share.buffers, share.of_all) == (0, 0, 0, 0)


def test_table_follows_the_order_of_the_forward_pass() -> None:
    names = layer_table(build_model("resnet8", "batch", classes=2))["name"].tolist()
    assert names[:4] == ["stages.stem.conv1", "stages.stem.norm1", "stages.stem.relu", "stages.stage1.0.conv1"]
    assert names[-1] == "head.2"


def test_model_is_left_as_it_was() -> None:
    model = build_model("tinyresnet", "batch", classes=4).train()
    before = copy.deepcopy(model.state_dict())
    layer_table(model)
    assert model.training
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())


def test_convnet_is_the_largest_of_study_a_and_stays_small_enough_to_keep() -> None:
    counts = {name: (count_parameters(model), count_macs(model)) for name, model in _study_a().items()}
    assert counts["convnet"][0] > counts["vgg11"][0] > counts["resnet14"][0]
    assert counts["convnet"][1] > counts["vgg11"][1] > counts["resnet14"][1]
    assert counts["convnet"][0] < 4_000_000


def test_every_registered_architecture_is_in_a_family_tested_here() -> None:
    assert {name for name in ARCHITECTURES if not name.startswith("resnet")} | {"resnet8"} == set(ONE_OF_EACH)


def _study_a() -> dict[str, StagedModel]:
    return {name: build_model(name, "batch", classes=10) for name in ("resnet14", "vgg11", "convnet")}


def _value(formula: str) -> int:
    """The value of a sum of products of whole numbers."""
    total = 0
    for term in formula.split(" + "):
        product = 1
        for factor in term.split("*"):
            product *= int(factor)
        total += product
    return total
