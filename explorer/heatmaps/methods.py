"""Ways to make heatmaps by name: Grad-CAM by the engine here, all others by pytorch-grad-cam on a copy of the model."""

import copy
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil

import torch
from torch import Tensor, nn

from explorer.heatmaps.checks import check_classes, check_targets, checked_stage, size_of
from explorer.heatmaps.gradcam import BATCH, activations_at, heatmaps
from explorer.models.staged import StagedModel
from explorer.registry import check_name


@dataclass(frozen=True)
class Method:
    """A way to make heatmaps.

    Attributes:
        title: its name as its authors write it.
        paper: where it was published.
        class_name: pytorch-grad-cam's class; None for `explorer.heatmaps.gradcam`.
        slow: it runs the model once for every few channels of the stage instead of once.
        by_class: its map depends on the target.
    """

    title: str
    paper: str
    class_name: str | None
    slow: bool = False
    by_class: bool = True


METHODS = {
    "gradcam": Method("Grad-CAM", "Selvaraju et al. 2017, arXiv 1610.02391", None),
    "gradcam++": Method("Grad-CAM++", "Chattopadhyay et al. 2018, arXiv 1710.11063", "GradCAMPlusPlus"),
    "hirescam": Method("HiResCAM", "Draelos and Carin 2020, arXiv 2011.08891", "HiResCAM"),
    "layercam": Method("LayerCAM", "Jiang et al. 2021, doi 10.1109/TIP.2021.3089943", "LayerCAM"),
    "xgradcam": Method("XGrad-CAM", "Fu et al. 2020, arXiv 2008.02312", "XGradCAM"),
    "eigencam": Method("Eigen-CAM", "Muhammad and Yeasin 2020, arXiv 2008.00299", "EigenCAM", by_class=False),
    "scorecam": Method("Score-CAM", "Wang et al. 2020, arXiv 1910.01279", "ScoreCAM", slow=True),
    "ablationcam": Method("Ablation-CAM", "Desai and Ramaswamy 2020, WACV", "AblationCAM", slow=True),
}

# One at a time: two slow methods side by side would only make each other, and every other session, slower.
_LIBRARY_LOCK = threading.Lock()
_CHANNELS_AT_A_TIME = 16


def heatmaps_by(
    method: str,
    model: StagedModel,
    inputs: Tensor,
    targets: Tensor,
    stage: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Heatmaps (N, H, W) in [0, 1], float32, each on its own scale, by one of METHODS.

    Args:
        method: a key of METHODS.
        progress: called now and then with the fraction that is done; worth having where the method is slow.

    Other arguments and errors as for `heatmaps`. The model is copied, so it stays as it is whatever happens.
    """
    check_name("method", method, METHODS)
    class_name = METHODS[method].class_name
    if class_name is None:
        return heatmaps(model, inputs, targets, stage)
    stage = checked_stage(model, inputs, stage)
    check_targets(targets, len(inputs))
    with _LIBRARY_LOCK, torch.inference_mode(False), torch.enable_grad():
        activations = activations_at(model, inputs, stage)
        check_classes(targets, model.forward_from(activations.clone(), stage).shape[1])
        if not activations.isfinite().all():
            return inputs.new_zeros(len(inputs), *size_of(inputs), dtype=torch.float32)
        steps = _expected_passes(method, len(inputs), activations.shape[1])
        marked = _Marked(model, stage, _reporter(steps, progress))
        return torch.cat([_by_library(class_name, marked, *one) for one in _portions(method, inputs, targets)])


class _Marked(nn.Module):
    """A private copy of a model whose stage ends in a layer of its own: the one pytorch-grad-cam hooks or replaces.

    In the shared model a hook would also see the passes of other threads, and Ablation-CAM would cut channels out of
    their results.
    """

    def __init__(self, model: StagedModel, stage: str, on_pass: Callable[[], None]):
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.mark = nn.Identity()
        self.stage = stage
        self.on_pass = on_pass

    def forward(self, inputs: Tensor) -> Tensor:
        activations = self.mark(self.model.forward_to(inputs, self.stage))
        logits = self.model.forward_from(activations.clone(), self.stage)
        self.on_pass()
        return logits


def _by_library(class_name: str, marked: _Marked, inputs: Tensor, targets: Tensor) -> Tensor:
    library = _library()
    arguments = {}
    if class_name == "AblationCAM":  # its default layer is shared by all its objects
        arguments = {"ablation_layer": library.AblationLayer(), "batch_size": _CHANNELS_AT_A_TIME}
    explainer = getattr(library, class_name)(marked, [marked.mark], **arguments)
    chosen = [library.ClassifierOutputTarget(int(target)) for target in targets]
    try:
        # The parameters need no gradient, so the inputs must, or there would be nothing to differentiate.
        maps = torch.from_numpy(explainer(inputs.detach().clone().requires_grad_(), chosen))
    finally:
        explainer.activations_and_grads.release()
    finite = maps.isfinite().all(dim=-1).all(dim=-1)[:, None, None]
    return torch.where(finite, maps, 0).to(inputs.device)


@cache
def _library() -> types.SimpleNamespace:
    """The parts of pytorch-grad-cam used here; importing it takes seconds, so it waits for its first use."""
    import pytorch_grad_cam
    from pytorch_grad_cam import ablation_cam, score_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    for module in (ablation_cam, score_cam):  # they draw progress bars on the server's stderr
        module.tqdm = types.SimpleNamespace(tqdm=iter)  # type: ignore[attr-defined]
    return types.SimpleNamespace(**vars(pytorch_grad_cam), ClassifierOutputTarget=ClassifierOutputTarget)


def _portions(method: str, inputs: Tensor, targets: Tensor) -> zip:
    at_a_time = 1 if METHODS[method].slow else BATCH  # slow ones hold a copy of the input per channel
    return zip(inputs.split(at_a_time), targets.split(at_a_time), strict=True)


def _expected_passes(method: str, images: int, channels: int) -> int:
    if not METHODS[method].slow:
        return ceil(images / BATCH)
    extra = 2 if method == "ablationcam" else 1  # passes for the activations and the logits
    return images * (extra + ceil(channels / _CHANNELS_AT_A_TIME))


def _reporter(steps: int, progress: Callable[[float], None] | None) -> Callable[[], None]:
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(min(1.0, done / steps))

    return report
