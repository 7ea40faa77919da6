"""The contract every architecture keeps: named stages in order, then a head."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from explorer.registry import check_name

NormFactory = Callable[[int], nn.Module]

SMALLEST_MAP = 4  # a heatmap coarser than 4x4 says nothing about where


class PoolLinear(nn.Sequential):
    """Logits (N, K) from activations (N, C, H, W): the mean over H and W, then one linear layer.

    Because it is linear in the activations, the Grad-CAM weights of every class are the rows of `channel_weights`
    (Zhou et al. 2016, arXiv 1512.04150; Selvaraju et al. 2017, arXiv 1610.02391, section 3.1).
    """

    def __init__(self, channels: int, classes: int):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))

    @property
    def channel_weights(self) -> Tensor:
        """The weight of each activation channel for each class, (K, C)."""
        return self[2].weight  # type: ignore[return-value]


class StagedModel(nn.Module):
    """A classifier from inputs (N, 3, H, W) to logits (N, K) that runs its `stages` in order and then its `head`.

    Attributes:
        stages: name -> module, each NCHW to NCHW.
        head: the last stage's activations -> logits.
        input_size: (height, width) in pixels the model was built for.
        cam_stage: the stage a heatmap explains by default: the last whose map is at least 4x4.
    """

    def __init__(self, stages: Mapping[str, nn.Module], head: nn.Module, input_size: tuple[int, int]):
        super().__init__()
        self.stages = nn.ModuleDict(stages)
        self.head = head
        self.input_size = input_size
        self.cam_stage = self._last_map_stage()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.forward_from(self.forward_to(inputs, self.stage_names[-1]), self.stage_names[-1])

    @property
    def stage_names(self) -> list[str]:
        return list(self.stages)

    def forward_to(self, inputs: Tensor, stage: str) -> Tensor:
        """The activations (N, C, h, w) that `stage` gives for inputs (N, 3, H, W)."""
        for name in self._up_to(stage):
            inputs = self.stages[name](inputs)
        return inputs

    def forward_from(self, activations: Tensor, stage: str) -> Tensor:
        """The logits (N, K) that the rest of the model gives for the activations of `stage`."""
        for name in self.stage_names[len(self._up_to(stage)) :]:
            activations = self.stages[name](activations)
        return self.head(activations)

    def _up_to(self, stage: str) -> list[str]:
        check_name("stage", stage, self.stage_names)
        return self.stage_names[: self.stage_names.index(stage) + 1]

    @torch.no_grad()
    def _last_map_stage(self) -> str:
        training = self.training
        self.eval()
        activations, found = torch.zeros(1, 3, *self.input_size), self.stage_names[0]
        for name, module in self.stages.items():
            activations = module(activations)
            if min(activations.shape[-2:]) >= SMALLEST_MAP:
                found = name
        self.train(training)
        return found


def initialise(model: StagedModel, branch_ends: Sequence[nn.Conv2d] = ()) -> StagedModel:
    """The same model with convs drawn so that ReLUs keep the size of activations, and conv biases at zero.

    `branch_ends` are the last convs of the residual branches; they start smaller by the root of their number, so that
    the sum of all branches stays as large as the shortcut. That lets deep models train without any norm, and a norm
    after the conv takes the factor out again (He et al. 2015, arXiv 1502.01852; Zhang et al. 2019, arXiv 1901.09321).
    Linear layers keep PyTorch's draw, which is smaller, so that the first logits are small.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        for conv in branch_ends:
            conv.weight /= len(branch_ends) ** 0.5
    return model
