"""A first net of a course: two 5x5 convs and two linear layers, 512 -> 32 -> 10 at 32x32."""

from torch import nn

from explorer.models.staged import NormFactory, StagedModel, initialise

HIDDEN = 32


def simplecnn(norm: NormFactory, classes: int, input_size: tuple[int, int]) -> StagedModel:
    """Conv 3->6, norm, ReLU, pool, conv 6->8, norm, ReLU, pool, linear, ReLU, linear.

    Convs are 5x5 with padding 2 and have a bias, as the example has no norm; two 2x2 pools leave 8x8x8 = 512 values of
    a 32x32 input. The first linear layer grows with the input.
    """
    stages = {
        "stage1": nn.Sequential(_conv(3, 6), norm(6), nn.ReLU()),
        "stage2": nn.Sequential(nn.MaxPool2d(2), _conv(6, 8), norm(8), nn.ReLU()),
    }
    pooled = 8 * (input_size[0] // 4) * (input_size[1] // 4)
    head = nn.Sequential(
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(pooled, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes)
    )
    return initialise(StagedModel(stages, head, input_size))


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 5, padding=2)
