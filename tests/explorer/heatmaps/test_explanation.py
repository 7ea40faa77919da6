"""One image whose true class is known: the three sides of an answer against gradients taken by hand."""

import pytest
import torch
from torch import Tensor

from explorer.heatmaps.explanation import explain_against
from explorer.models import StagedModel, build_model


@pytest.fixture
def model() -> StagedModel:
    torch.manual_seed(1)
    return build_model("resnet8", "group", classes=3).eval()


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def map_of(model: StagedModel, inputs: Tensor, stage: str, logit: tuple[float, float, float]) -> Tensor:
    """The Grad-CAM map before the ReLU of a weighted sum of logits, from its gradient."""
    activations = model.forward_to(inputs, stage).detach().requires_grad_()
    chosen = (model.forward_from(activations, stage) * torch.tensor(logit)).sum()
    (gradient,) = torch.autograd.grad(chosen, activations)
    return (gradient.mean((2, 3), keepdim=True) * activations).sum(1)[0].detach()


@pytest.mark.parametrize("stage", ["stage2", "stage3"])
def test_the_three_sides_are_the_maps_of_their_logits(model: StagedModel, inputs: Tensor, stage: str) -> None:
    seen = int(model(inputs).argmax())
    true = (seen + 1) % 3
    sides = explain_against(model, inputs, true, stage)
    one_hot = torch.eye(3)
    wanted = {"predicted": one_hot[seen], "true": one_hot[true], "contrast": one_hot[seen] - one_hot[true]}
    assert sides.keys() == wanted.keys()
    for side, logit in wanted.items():
        expected = map_of(model, inputs, stage, tuple(logit.tolist()))
        torch.testing.assert_close(sides[side].raw, expected, rtol=1e-4, atol=1e-6)
        assert sides[side].stage == stage
    assert (sides["predicted"].target, sides["true"].target, sides["contrast"].target) == (seen, true, seen)


def test_a_right_answer_has_no_contrast(model: StagedModel, inputs: Tensor) -> None:
    seen = int(model(inputs).argmax())
    sides = explain_against(model, inputs, seen)
    assert sides.keys() == {"predicted", "true"}
    assert torch.equal(sides["predicted"].raw, sides["true"].raw)
    assert sides["true"].stage == model.cam_stage
