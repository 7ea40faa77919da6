"""A residual net of at most 50,000 learnable parameters (at 10 classes with batch norm)."""

from explorer.models.resnet import residual_model, residual_stage, stem
from explorer.models.staged import NormFactory, PoolLinear, StagedModel

WIDTHS = (16, 24, 28)
BLOCKS = (3, 2, 1)


def tinyresnet(norm: NormFactory, classes: int, input_size: tuple[int, int]) -> StagedModel:
    """A ResNet whose parameters sit where they are used most often: deep at full resolution, one block at the end."""
    stages = {"stem": stem(WIDTHS[0], norm)}
    before = WIDTHS[0]
    for number, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True), start=1):
        stages[f"stage{number}"] = residual_stage(before, width, blocks, 1 if number == 1 else 2, norm)
        before = width
    return residual_model(stages, PoolLinear(before, classes), input_size)
