"""A net of 40,394 parameters (at 10 classes, for batch, layer and group): convs, two of them beside a shortcut."""

import torch
from torch import Tensor, nn

from explorer.models.staged import NormFactory, StagedModel, initialise

NARROW, WIDE = 16, 32


class ConvNormReLU(nn.Module):
    """C(i,o): 3x3 conv with bias, norm, ReLU, dropout: (N, i, H, W) to (N, o, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, norm: NormFactory, dropout: float):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm1 = norm(out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.dropout(torch.relu(self.norm1(self.conv1(inputs))))


class ResidualStage(nn.Module):
    """1x1 conv to 16, 2x2 max pool, C(16,16), C(16,32), 3x3 conv plus a 1x1 conv shortcut, norm, ReLU, dropout.

    From (N, 32, H, W) to (N, 32, H/2, W/2).
    """

    def __init__(self, norm: NormFactory, dropout: float):
        super().__init__()
        self.narrow = nn.Conv2d(WIDE, NARROW, 1)
        self.pool = nn.MaxPool2d(2)
        self.first = ConvNormReLU(NARROW, NARROW, norm, dropout)
        self.second = ConvNormReLU(NARROW, WIDE, norm, dropout)
        self.conv1 = nn.Conv2d(WIDE, WIDE, 3, padding=1)
        self.shortcut = nn.Conv2d(NARROW, WIDE, 1)
        self.norm1 = norm(WIDE)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        narrow = self.pool(self.narrow(inputs))
        hidden = self.conv1(self.second(self.first(narrow))) + self.shortcut(narrow)
        return self.dropout(torch.relu(self.norm1(hidden)))


class PoolConv(nn.Sequential):
    """Logits (N, K) from activations (N, C, H, W): the mean over H and W, then a 1x1 conv; linear like `PoolLinear`."""

    def __init__(self, channels: int, classes: int):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, classes, 1), nn.Flatten())

    @property
    def channel_weights(self) -> Tensor:
        """The weight of each activation channel for each class, (K, C)."""
        return self[1].weight.flatten(1)  # type: ignore[operator, return-value]


def compact(norm: NormFactory, classes: int, input_size: tuple[int, int], *, dropout: float = 0.05) -> StagedModel:
    """C(3,16) C(16,32), two residual stages, mean pool, 1x1 conv. `dropout` is a fraction in [0, 1)."""
    stages = {
        "stem": nn.Sequential(ConvNormReLU(3, NARROW, norm, dropout), ConvNormReLU(NARROW, WIDE, norm, dropout)),
        "stage1": ResidualStage(norm, dropout),
        "stage2": ResidualStage(norm, dropout),
    }
    model = StagedModel(stages, PoolConv(WIDE, classes), input_size)
    return initialise(model, [module.conv1 for module in model.modules() if isinstance(module, ResidualStage)])
