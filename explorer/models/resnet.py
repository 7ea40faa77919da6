"""The ResNet of 6n + 2 layers for small images (He et al. 2016, arXiv 1512.03385, section 4.2)."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from explorer.models.staged import NormFactory, PoolLinear, StagedModel, initialise

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
            conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(OrderedDict(conv1=conv, norm1=norm(out_channels)))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.norm1(self.conv1(inputs)))
        return torch.relu(self.norm2(self.conv2(hidden)) + self.shortcut(inputs))


def stem(channels: int, norm: NormFactory, stride: int = 1) -> nn.Sequential:
    """3x3 conv, norm, ReLU: inputs (N, 3, H, W) to (N, channels, H/stride, W/stride)."""
    conv = nn.Conv2d(3, channels, 3, stride, padding=1, bias=False)
    return nn.Sequential(OrderedDict(conv1=conv, norm1=norm(channels), relu=nn.ReLU()))


def residual_stage(in_channels: int, out_channels: int, blocks: int, stride: int, norm: NormFactory) -> nn.Sequential:
    """A stage of basic blocks; the first changes the channels and the stride."""
    first = BasicBlock(in_channels, out_channels, stride, norm)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels, 1, norm) for _ in range(blocks - 1)))


def residual_model(stages: Mapping[str, nn.Module], head: nn.Module, input_size: tuple[int, int]) -> StagedModel:
    """A staged model of basic blocks, initialised."""
    model = StagedModel(stages, head, input_size)
    return initialise(model, [module.conv2 for module in model.modules() if isinstance(module, BasicBlock)])


def resnet(depth: int) -> Callable[..., StagedModel]:
    """The builder of the ResNet of `depth` = 6n + 2 layers: stem, three stages of n blocks, mean pool, linear.

    `stem_stride` 2 lets it see images of twice the side at the same cost. Raises ValueError for a stride below 1.
    """

    def build(norm: NormFactory, classes: int, input_size: tuple[int, int], *, stem_stride: int = 1) -> StagedModel:
        if stem_stride < 1:
            raise ValueError(f"resnet{depth} needs a stem_stride of at least 1; got {stem_stride}")
        blocks = (depth - 2) // 6
        stages = {
            "stem": stem(WIDTHS[0], norm, stem_stride),
            "stage1": residual_stage(WIDTHS[0], WIDTHS[0], blocks, 1, norm),
            "stage2": residual_stage(WIDTHS[0], WIDTHS[1], blocks, 2, norm),
            "stage3": residual_stage(WIDTHS[1], WIDTHS[2], blocks, 2, norm),
        }
        return residual_model(stages, PoolLinear(WIDTHS[2], classes), input_size)

    return build


RESNETS = {f"resnet{depth}": resnet(depth) for depth in DEPTHS}
