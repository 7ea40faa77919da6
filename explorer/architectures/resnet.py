"""The ResNet of 6n + 2 layers for small images (He et al. 2016, arXiv 1512.03385, section 4.2), as in the bird study."""

import torch
from torch import Tensor, nn

from explorer.architectures.staged import NormFactory, PoolLinear, StagedModel, initialise

WIDTHS = (16, 32, 64)
DEPTHS = tuple(range(8, 111, 6))  # 6n + 2 layers for n = 1 ... 18


class BasicBlock(nn.Module):
    """3x3 conv, norm, ReLU, 3x3 conv, norm, plus the shortcut, ReLU: (N, in, H, W) to (N, out, H/stride, W/stride).

    Where the shape changes the shortcut is a 1x1 conv and a norm. Convs have no bias: a norm would cancel it.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: NormFactory):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm1 = norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = norm(out_channels)
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential()
            self.shortcut.conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut.norm1 = norm(out_channels)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.norm1(self.conv1(inputs)))
        return torch.relu(self.norm2(self.conv2(hidden)) + self.shortcut(inputs))


def residual_stage(in_channels: int, out_channels: int, blocks: int, stride: int, norm: NormFactory) -> nn.Sequential:
    """A stage of basic blocks; the first changes the channels and the stride."""
    first = BasicBlock(in_channels, out_channels, stride, norm)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels, 1, norm) for _ in range(blocks - 1)))


def resnet(norm: NormFactory, classes: int, input_size: tuple[int, int], *, depth: int) -> StagedModel:
    """A ResNet of `depth` = 6n + 2 layers: stem, three stages of n blocks with 16, 32, 64 filters, mean pool, linear."""
    stem = nn.Sequential()
    stem.conv = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
    stem.norm1 = norm(WIDTHS[0])
    stem.relu = nn.ReLU()
    blocks, stages = (depth - 2) // 6, {"stem": stem}
    for number, width in enumerate(WIDTHS, start=1):
        previous, stride = (width, 1) if number == 1 else (width // 2, 2)
        stages[f"stage{number}"] = residual_stage(previous, width, blocks, stride, norm)
    return initialise(StagedModel(stages, PoolLinear(WIDTHS[-1], classes), input_size))
