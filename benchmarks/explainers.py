"""Ways to make Grad-CAM heatmaps: ours and the libraries that a user would pick instead."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor

from explorer.heatmaps.gradcam import heatmaps, logits_and_raw_heatmaps_all_classes
from explorer.heatmaps.scaling import scale_each
from explorer.models.staged import StagedModel

OURS = "ours"
Explain = Callable[[Tensor, Tensor], Tensor]  # inputs (N, 3, H, W), targets (N,) -> heatmaps (N, H, W)


@dataclass(frozen=True)
class Explainer:
    """How a library explains one class per image, and all classes (N, K, H, W) of the images it is given."""

    one_class: Explain
    all_classes: Callable[[Tensor], Tensor]


def ours(model: StagedModel) -> Explainer:
    def all_classes(inputs: Tensor) -> Tensor:
        """Image by image, by the function that the app's dialog calls."""
        raw = [logits_and_raw_heatmaps_all_classes(model, one)[1] for one in inputs.split(1)]
        return scale_each(torch.stack(raw), (inputs.shape[2], inputs.shape[3]))

    return Explainer(lambda inputs, targets: heatmaps(model, inputs, targets), all_classes)


def by_pytorch_grad_cam(model: StagedModel, classes: int) -> Explainer:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    explainer = GradCAM(model, [model.stages[model.cam_stage]])

    def one_class(inputs: Tensor, targets: Tensor) -> Tensor:
        chosen = [ClassifierOutputTarget(int(target)) for target in targets]
        return torch.from_numpy(explainer(inputs, chosen))  # type: ignore[arg-type]  # its annotation is too narrow

    return Explainer(one_class, one_by_one(one_class, classes))


def by_torch_cam(model: StagedModel, classes: int) -> Explainer:
    from torchcam.methods import GradCAM  # pyright: ignore[reportMissingImports]

    explainer = GradCAM(model, model.stages[model.cam_stage])

    def one_class(inputs: Tensor, targets: Tensor) -> Tensor:
        logits = model(inputs)
        return scale_each(explainer(targets.tolist(), logits)[0], (inputs.shape[2], inputs.shape[3]))

    def all_classes(inputs: Tensor) -> Tensor:
        logits = model(inputs)  # one forward pass serves all classes
        maps = [explainer(target, logits, retain_graph=True)[0] for target in range(classes)]
        return scale_each(torch.stack(maps, dim=1), (inputs.shape[2], inputs.shape[3]))

    return Explainer(one_class, all_classes)


def by_captum(model: StagedModel, classes: int) -> Explainer:
    from captum.attr import LayerGradCam  # pyright: ignore[reportMissingImports]

    explainer = LayerGradCam(model, model.stages[model.cam_stage])

    def one_class(inputs: Tensor, targets: Tensor) -> Tensor:
        maps = explainer.attribute(inputs, target=targets, relu_attributions=True)
        return scale_each(maps[:, 0].detach(), (inputs.shape[2], inputs.shape[3]))  # type: ignore[index]

    return Explainer(one_class, one_by_one(one_class, classes))


def one_by_one(one_class: Explain, classes: int) -> Callable[[Tensor], Tensor]:
    """All classes by a library that explains one class per call."""
    return lambda inputs: torch.stack([one_class(inputs, torch.full((len(inputs),), k)) for k in range(classes)], dim=1)


LIBRARIES = {
    "pytorch-grad-cam": ("pytorch_grad_cam", by_pytorch_grad_cam),
    "torch-cam": ("torchcam", by_torch_cam),
    "captum": ("captum", by_captum),
}


def explainers(model: StagedModel, classes: int) -> Iterator[tuple[str, Explainer]]:
    """Ours and every library that is installed; the others are named."""
    yield OURS, ours(model)
    for name, (module, build) in LIBRARIES.items():
        if find_spec(module):
            yield name, build(copy.deepcopy(model), classes)
        else:
            print(f"Left out: {name} is not installed (pip install -r requirements-benchmarks.txt)")
