"""What a model holds and costs: its parameters, buffers and multiply-accumulates (MACs), layer by layer."""

import copy
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torchinfo
from torch import nn
from torchinfo.layer_info import LayerInfo

from explorer.models import StagedModel

BYTES = 4  # of a float32, in which models are kept and measured
COLUMNS = ("name", "kind", "output_shape", "formula", "parameters", "buffers", "macs")


def layer_table(model: StagedModel) -> pd.DataFrame:
    """One row per leaf layer in the order it runs, for one image of the model's input size; sums are the model's.

    Columns: `name` (dotted), `kind` (class), `output_shape` ("16 × 32 × 32", no batch axis), `formula` (its value is
    `parameters`), `parameters` (learnable numbers), `buffers` (numbers kept but not learned: running statistics),
    `macs`. Identities are left out. The model is not touched: a copy of it runs.
    """
    return pd.DataFrame([_row(name, info) for name, info in _leaves(model)], columns=list(COLUMNS))


@dataclass(frozen=True)
class MemorySizes:
    """What one image takes in memory on its way through a model, in MB (10^6 bytes) of float32."""

    input: float
    activations: float  # the outputs of all layers, which training keeps for the backward pass
    parameters: float

    @property
    def total(self) -> float:
        """All three together."""
        return self.input + self.activations + self.parameters


@dataclass(frozen=True)
class NormShare:
    """How many layers of a model are norms, the numbers they hold, and their share of all parameters."""

    layers: int
    parameters: int
    buffers: int
    of_all: float


def norm_share(table: pd.DataFrame) -> NormShare:
    """What the norms among the rows of a layer table hold: those with "norm" in the name of their class."""
    norms = np.array(["norm" in kind.lower() for kind in table["kind"]], dtype=bool)
    parameters, buffers = table["parameters"].to_numpy(), table["buffers"].to_numpy()
    held = int(parameters[norms].sum())
    return NormShare(int(norms.sum()), held, int(buffers[norms].sum()), held / max(int(parameters.sum()), 1))


def memory_sizes(model: StagedModel) -> MemorySizes:
    """The sizes of a model's input, of its layers' outputs and of its parameters, for one image of its input size."""
    outputs = sum(math.prod(info.output_size[1:]) for _, info in _leaves(model))
    counts = (3 * math.prod(model.input_size), outputs, count_parameters(model))
    return MemorySizes(*(count * BYTES / 1e6 for count in counts))


def count_parameters(model: nn.Module) -> int:
    """The number of learnable parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: StagedModel) -> int:
    """The multiply-accumulates of one image of the model's input size through its convs and linear layers."""
    return sum(layer_table(model)["macs"].tolist())


def parameter_formula(layer: nn.Module) -> str:
    """The parameter count of a leaf layer as products, "3*3*16*32 + 32"; "0" without parameters.

    A conv reads height*width*in*out + biases, a linear layer in*out + biases, a norm (vectors per channel)*channels.
    """
    shapes = [tuple(parameter.shape) for parameter in layer.parameters()]
    if not shapes:
        return "0"
    if len(set(shapes)) == 1 and len(shapes[0]) == 1:
        return f"{len(shapes)}*{shapes[0][0]}"
    return " + ".join("*".join(str(side) for side in reversed(shape)) for shape in shapes)


def _leaves(model: StagedModel) -> list[tuple[str, LayerInfo]]:
    """The layers without children, with their dotted names, in the order a copy of the model runs them."""
    twin = copy.deepcopy(model)
    names = {id(module): name for name, module in twin.named_modules()}
    inputs = torch.zeros(1, 3, *model.input_size, device=next(model.parameters()).device)
    summary = torchinfo.summary(twin, input_data=inputs, verbose=0, mode="eval")
    leaves = [info for info in summary.summary_list if info.is_leaf_layer and not isinstance(info.module, nn.Identity)]
    return [(names[id(info.module)], info) for info in leaves]


def _row(name: str, info: LayerInfo) -> tuple[str, str, str, str, int, int, int]:
    layer, output = info.module, info.output_size[1:]
    return (
        name,
        type(layer).__name__,
        " × ".join(str(side) for side in output),
        parameter_formula(layer),
        count_parameters(layer),
        sum(buffer.numel() for buffer in layer.buffers()),
        _layer_macs(layer, output),
    )


def _layer_macs(layer: nn.Module, output: list[int]) -> int:
    """Each weight is used once per output position. Biases, norms and activations multiply nothing worth counting."""
    if isinstance(layer, nn.Conv2d):
        return layer.weight.numel() * math.prod(output[1:])
    return layer.weight.numel() if isinstance(layer, nn.Linear) else 0
