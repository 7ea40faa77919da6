"""VGG11 for small images (Simonyan and Zisserman 2015, arXiv 1409.1556, configuration A), scaled by its width."""

from itertools import pairwise

from torch import nn

from explorer.models.staged import NormFactory, PoolLinear, StagedModel, initialise

WIDTH = 32  # of the first conv; 64 in the paper
STAGES = ((1,), (2,), (4, 4), (8, 8), (8, 8))  # channels of each conv, in first widths; a max pool between stages


def plain_stage(channels: tuple[int, ...], norm: NormFactory, *, pool: bool) -> nn.Sequential:
    """A 2x2 max pool if asked, then a 3x3 conv, norm, ReLU from each of `channels` to the next."""
    stage = nn.Sequential()
    if pool:
        stage.add_module("pool", nn.MaxPool2d(2))
    for number, (before, after) in enumerate(pairwise(channels), start=1):
        stage.add_module(f"conv{number}", nn.Conv2d(before, after, 3, padding=1, bias=False))
        stage.add_module(f"norm{number}", norm(after))
        stage.add_module(f"relu{number}", nn.ReLU())
    return stage


def vgg11(norm: NormFactory, classes: int, input_size: tuple[int, int], *, width: int = WIDTH) -> StagedModel:
    """VGG11 with `width` channels in its first conv and 8 times as many in the last, and one linear layer as head.

    The mean pool of the head takes the place of the fifth max pool, so that the last map is 2x2 and not 1x1 at 32x32.
    Raises ValueError for a width below 1.
    """
    if width < 1:
        raise ValueError(f"vgg11 needs a width of at least 1; got {width}")
    stages, before = {}, 3
    for number, factors in enumerate(STAGES, start=1):
        channels = tuple(factor * width for factor in factors)
        stages[f"stage{number}"] = plain_stage((before, *channels), norm, pool=number > 1)
        before = channels[-1]
    return initialise(StagedModel(stages, PoolLinear(before, classes), input_size))
