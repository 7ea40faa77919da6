"""Heatmaps against pytorch-grad-cam, against the definition, and without a trace on the model."""

import copy
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from explorer.heatmaps.gradcam import heatmaps, heatmaps_all_classes, raw_heatmaps, raw_heatmaps_all_classes
from explorer.heatmaps.methods import METHODS, heatmaps_by
from explorer.heatmaps.scaling import explain_blank, peaks, scale_each
from explorer.models import ARCHITECTURES, build_model
from explorer.models.norms import NORMS
from explorer.models.staged import PoolLinear, StagedModel

CLASSES = 4


def block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU())


def linear_head() -> nn.Module:
    return PoolLinear(10, CLASSES)


def dense_head() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(10 * 6 * 5, 16), nn.Tanh(), nn.Linear(16, CLASSES))


HEADS = pytest.mark.parametrize("head", [linear_head, dense_head])


def tiny_model(head: Callable[[], nn.Module] = linear_head) -> StagedModel:
    torch.manual_seed(3)
    stages = {"first": block(3, 6), "second": block(6, 8, stride=2), "third": block(8, 10)}
    return scrambled(StagedModel(stages, head(), (12, 10)))


def scrambled(model: StagedModel) -> StagedModel:
    """The model in evaluation mode with every norm's statistics and affine away from their neutral start."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.ndim == 1 and tensor.is_floating_point():
                tensor.add_(torch.empty_like(tensor).uniform_(-0.3, 0.3, generator=generator))
    return model.eval()


def some_inputs(model: StagedModel, images: int = 3) -> torch.Tensor:
    return torch.randn(images, 3, *model.input_size, generator=torch.Generator().manual_seed(2))


def some_targets(images: int = 3) -> torch.Tensor:
    return torch.arange(images) % CLASSES


def library_maps(model, inputs, targets, stage, class_name="GradCAM"):
    """What pytorch-grad-cam's own hooks give, on a copy."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = copy.deepcopy(model)
    explainer = getattr(pytorch_grad_cam, class_name)(model, [model.stages[stage]])
    maps = explainer(inputs.clone(), [ClassifierOutputTarget(int(target)) for target in targets])
    explainer.activations_and_grads.release()
    return torch.from_numpy(maps)


def trace(model: StagedModel) -> dict:
    """Everything of a model that making a heatmap could leave behind."""
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [len(module._forward_hooks) + len(module._backward_hooks) for module in model.modules()],
        "modules": [id(module) for module in model.modules()],
        "learnable": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "state": {name: tensor.clone() for name, tensor in model.state_dict().items()},
    }


def assert_untouched(before: dict, model: StagedModel) -> None:
    after = trace(model)
    states = before.pop("state"), after.pop("state")
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0] | states[1])
    assert before == after


def is_deep(architecture: str) -> bool:
    """Whether it is a shallower one with more of the same blocks, so that testing it would only cost time."""
    depth = re.fullmatch(r"resnet(\d+)", architecture)
    return depth is not None and int(depth[1]) > 20


TESTED = [architecture for architecture in ARCHITECTURES if not is_deep(architecture)]


# Against pytorch-grad-cam ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("architecture", TESTED)
def test_equals_grad_cam_for_every_architecture_and_norm(architecture, norm):
    torch.manual_seed(0)
    # In float32 a unit within rounding of ReLU's corner may be on in our memory layout and off in the library's.
    model = scrambled(build_model(architecture, norm, classes=CLASSES)).double()
    inputs, targets = some_inputs(model, 1).double().expand(CLASSES, -1, -1, -1), torch.arange(CLASSES)
    at = model.stage_names.index(model.cam_stage)
    for stage in {model.cam_stage, model.stage_names[max(0, at - 1)]}:
        found = heatmaps(model, inputs, targets, stage)
        assert found.any()
        torch.testing.assert_close(found, library_maps(model, inputs, targets, stage), atol=1e-4, rtol=0)


@HEADS
@pytest.mark.parametrize("stage", ["first", "second", "third"])
def test_equals_grad_cam_at_every_stage(stage, head):
    model = tiny_model(head)
    inputs, targets = some_inputs(model, 2 * CLASSES), some_targets(2 * CLASSES)
    found = heatmaps(model, inputs, targets, stage)
    assert (found.dtype, tuple(found.shape)) == (torch.float32, (2 * CLASSES, 12, 10))
    assert found.min() >= 0
    assert 0.99 < found.max() <= 1
    torch.testing.assert_close(found, library_maps(model, inputs, targets, stage), atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_methods_equal_the_library_used_directly(method):
    model = tiny_model()
    inputs, targets = some_inputs(model, 2), some_targets(2)
    found = heatmaps_by(method, model, inputs, targets, "second")
    wanted = library_maps(model, inputs, targets, "second", METHODS[method].class_name or "GradCAM")
    assert (found.dtype, tuple(found.shape)) == (torch.float32, (2, 12, 10))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_a_stage_that_works_in_place_changes_nothing():
    torch.manual_seed(0)
    stages = {"conv": nn.Conv2d(3, 4, 3, padding=1), "relu": nn.ReLU(inplace=True)}
    model = StagedModel(stages, PoolLinear(4, CLASSES), (6, 6)).eval()
    inputs, targets = some_inputs(model), some_targets()
    kept = inputs.clone()
    found = heatmaps(model, inputs, targets, "conv")
    model.stages["relu"] = nn.ReLU().eval()
    torch.testing.assert_close(found, heatmaps(model, inputs, targets, "conv"), atol=0, rtol=0)
    assert torch.equal(inputs, kept)


# Against the definition --------------------------------------------------------------------------------------------


def test_raw_maps_by_hand():
    """Activations are the inputs, so the raw map is the sum of the channels times their weights over the area."""
    model = StagedModel({"same": nn.Identity()}, PoolLinear(3, 2), (2, 2)).eval()
    with torch.no_grad():
        model.head.get_parameter("2.weight").copy_(torch.tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 4.0]]))
    inputs = torch.tensor([[[[1.0, 2], [3, 4]], [[0.0, 1], [0, 1]], [[2.0, 0], [0, 0]]]])
    wanted = torch.tensor([[[1.0, 4], [3, 6]], [[8.0, -1], [0, -1]]]) / 4
    torch.testing.assert_close(raw_heatmaps_all_classes(model, inputs), wanted[None])
    torch.testing.assert_close(raw_heatmaps(model, inputs, torch.tensor([1])), wanted[1:])
    assert peaks(wanted).tolist() == [1.5, 2.0]
    at_own_size = scale_each(wanted, (2, 2))
    torch.testing.assert_close(at_own_size[0], torch.tensor([[0, 0.6], [0.4, 1]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(at_own_size[1], torch.tensor([[1.0, 0], [0, 0]]), atol=1e-5, rtol=0)


@HEADS
@pytest.mark.parametrize("stage", [None, "second"])
@pytest.mark.parametrize("images", [1, 3, 7])
def test_all_classes_are_each_class(images, stage, head):
    model = tiny_model(head)
    inputs = some_inputs(model, images)
    together = heatmaps_all_classes(model, inputs, stage)
    assert tuple(together.shape) == (images, CLASSES, 12, 10)
    for target in range(CLASSES):
        alone = heatmaps(model, inputs, torch.full((images,), target), stage)
        torch.testing.assert_close(together[:, target], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("stage", ["first", "third"])
def test_a_batch_is_its_images_one_by_one(stage):
    model = tiny_model()
    inputs, targets = some_inputs(model, 70), some_targets(70)  # more than are explained at a time
    together = heatmaps(model, inputs, targets, stage)
    alone = [heatmaps(model, inputs[i : i + 1], targets[i : i + 1], stage) for i in range(70)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


def test_contrast_of_two_classes_is_the_difference_of_their_raw_maps():
    """The gradient of a difference of logits is the difference of the gradients."""
    model = tiny_model(dense_head)
    inputs = some_inputs(model, 1)
    activations = model.forward_to(inputs, "second").detach().requires_grad_()
    logits = model.forward_from(activations, "second")
    (gradient,) = torch.autograd.grad(logits[0, 2] - logits[0, 0], activations)
    wanted = (gradient.mean((2, 3), keepdim=True) * activations.detach()).sum(1)
    found = raw_heatmaps_all_classes(model, inputs, "second")
    torch.testing.assert_close(found[:, 2] - found[:, 0], wanted)


# Nothing is left behind --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [False, True], ids=["learnable", "frozen"])
@pytest.mark.parametrize("method", METHODS)
def test_methods_leave_the_model_as_it_was(method, frozen):
    model = tiny_model().requires_grad_(not frozen)
    next(model.parameters()).grad = torch.ones(6, 3, 3, 3)
    before = trace(model)
    first = heatmaps_by(method, model, some_inputs(model, 2), some_targets(2), "second")
    assert first.any()
    assert_untouched(before, model)


class Breaking(nn.Module):
    """Fails at its n-th pass, as a device out of memory would."""

    def __init__(self, at: int):
        super().__init__()
        self.left = at

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("out of memory")
        return activations


@pytest.mark.parametrize("method", METHODS)
def test_methods_leave_the_model_as_it_was_after_a_failure(method):
    model = tiny_model(lambda: nn.Sequential(Breaking(10**6), linear_head()))
    breaking = model.head.get_submodule("0")
    assert isinstance(breaking, Breaking)
    breaking.left = 1 if method == "gradcam" else 2  # the second pass is inside the library
    before = trace(model)
    with pytest.raises(RuntimeError, match="out of memory"):
        heatmaps_by(method, model, some_inputs(model, 2), some_targets(2), "second")
    assert_untouched(before, model)
    breaking.left = 10**6
    assert heatmaps_by(method, model, some_inputs(model, 2), some_targets(2), "second").any()


@pytest.mark.parametrize("stage", ["second", "third"])
def test_the_caller_s_grad_mode_does_not_matter(stage):
    model = tiny_model()
    wanted = heatmaps(model, some_inputs(model), some_targets(), stage)
    with torch.inference_mode():
        inputs = some_inputs(model)
        assert torch.equal(heatmaps(model, inputs, some_targets(), stage), wanted)
        assert heatmaps_by("layercam", model, inputs, some_targets(), stage).any()
    with torch.no_grad():
        found = heatmaps(model, some_inputs(model), some_targets(), stage)
    assert torch.equal(found, wanted)
    assert not found.requires_grad
    assert not heatmaps_all_classes(model, some_inputs(model), stage).requires_grad


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.class_name])
def test_progress_ends_at_one(method, capfd):
    told: list[float] = []
    model = tiny_model()
    heatmaps_by(method, model, some_inputs(model), some_targets(), "third", told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) == len(set(told))
    assert len(told) >= (6 if METHODS[method].slow else 1)
    assert capfd.readouterr() == ("", "")


def test_a_method_without_classes_gives_one_map_for_all():
    model = tiny_model()
    inputs = some_inputs(model)
    for name, method in METHODS.items():
        maps = [heatmaps_by(name, model, inputs, torch.full((3,), target), "second") for target in (0, 1)]
        assert np.allclose(*maps, atol=1e-6) != method.by_class


# Refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage": "fourth"}, "unknown stage 'fourth'; expected one of: first, second, third"),
        ({"inputs": torch.zeros(3, 12, 10)}, r"expected inputs \(N, 3, 12, 10\)"),
        ({"inputs": torch.zeros(3, 3, 8, 8)}, r"got \(3, 3, 8, 8\)"),
        ({"inputs": torch.zeros(0, 3, 12, 10)}, "N of at least 1"),
        ({"inputs": torch.zeros(3, 3, 12, 10, dtype=torch.uint8)}, "got torch.uint8; normalise"),
        ({"inputs": torch.full((3, 3, 12, 10), float("nan"))}, "got NaN or infinity"),
        ({"targets": torch.tensor([0, 1])}, r"expected targets int64 of shape \(3,\), got torch.int64 of shape \(2,\)"),
        ({"targets": torch.zeros(3)}, "got torch.float32"),
        ({"targets": torch.tensor([0, 1, 4])}, "expected targets from 0 to 3, got 0 to 4"),
        ({"targets": torch.tensor([-1, 1, 2])}, "expected targets from 0 to 3, got -1 to 2"),
    ],
)
@pytest.mark.parametrize("method", ["gradcam", "layercam"])
@HEADS
def test_refuses_what_does_not_fit(method, head, change, message):
    model = tiny_model(head)
    arguments = {"inputs": some_inputs(model), "targets": some_targets(), "stage": None} | change
    with pytest.raises(ValueError, match=message):
        heatmaps_by(method, model, **arguments)


def test_refuses_an_unknown_method():
    model = tiny_model()
    with pytest.raises(ValueError, match="unknown method 'gradcamm'; expected one of: gradcam, gradcam"):
        heatmaps_by("gradcamm", model, some_inputs(model), some_targets())


def test_refuses_training_mode():
    model = tiny_model()
    model.stages["second"].train()
    with pytest.raises(ValueError, match=r"got one in training mode; call model\.eval"):
        heatmaps(model, some_inputs(model), some_targets())


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_diverged_gives_blank_maps(method):
    model = tiny_model()
    with torch.no_grad():
        next(model.stages["first"].parameters()).fill_(float("nan"))
    assert not heatmaps_by(method, model, some_inputs(model), some_targets()).any()
    assert "not finite" in str(explain_blank(raw_heatmaps(model, some_inputs(model), some_targets())[0]))
