"""A plain conv net with a large fully connected head: the most parameters and MACs of resnet14, vgg11 and itself."""

from torch import nn

from explorer.models.staged import NormFactory, StagedModel, initialise
from explorer.models.vgg import plain_stage

CHANNELS = ((3, 32, 48), (48, 64, 64), (64, 128, 128))
HEAD_MAP = 4  # pixels: the head sees a 4x4 map whatever the input size, so that its weights do not grow with it
HIDDEN = 1280


def convnet(
    norm: NormFactory, classes: int, input_size: tuple[int, int], *, hidden: int = HIDDEN, dropout: float = 0.3
) -> StagedModel:
    """Three stages of two convs without shortcuts, then a pool to 4x4, linear, ReLU, dropout, linear.

    `hidden` is the number of units between the linear layers, `dropout` a fraction in [0, 1). Raises ValueError for no
    hidden unit.
    """
    if hidden < 1:
        raise ValueError(f"convnet needs at least 1 hidden unit; got {hidden}")
    stages = {
        f"stage{number}": plain_stage(channels, norm, pool=number > 1) for number, channels in enumerate(CHANNELS, 1)
    }
    head = nn.Sequential(
        nn.AdaptiveMaxPool2d(HEAD_MAP),
        nn.Flatten(),
        nn.Linear(CHANNELS[-1][-1] * HEAD_MAP**2, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )
    return initialise(StagedModel(stages, head, input_size))
