"""Heatmaps: where in an image a model finds what speaks for a class.

Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) is computed here without hooks: the activations of a stage are
detached, and only the rest of the model is differentiated with respect to them. Nothing of the model is written to,
so any number of threads may share it. The other methods are pytorch-grad-cam's, on a private copy of the model.

*Raw* maps are weighted sums of activations before the ReLU, at the stage's own resolution. They are linear in the
logits: the raw map of one class minus that of another is the raw map of their contrast.
"""

import copy
import threading
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional

from explorer.models.staged import StagedModel
from explorer.registry import check_name

BATCH = 64  # images explained at a time, so that thousands need no more memory than this many
FEW = 4  # images up to which all classes are cheaper as one large pass than as one pass per class
TINY = 1e-7  # pytorch-grad-cam's guard against dividing by 0; its value shows in maps whose maximum is near it


# Grad-CAM ----------------------------------------------------------------------------------------------------------


def heatmaps(model: StagedModel, inputs: Tensor, targets: Tensor, stage: str | None = None) -> Tensor:
    """Grad-CAM heatmaps (N, H, W) in [0, 1], float32, each on its own scale, of one class per image.

    Args:
        model: in evaluation mode; shared with other threads if need be.
        inputs: normalised images (N, 3, H, W).
        targets: the class to explain for each image, int64 (N,).
        stage: the stage to explain; by default the model's `cam_stage`.

    Raises:
        ValueError: unknown stage, training mode, or inputs or targets that do not fit the model.
    """
    return scale_each(raw_heatmaps(model, inputs, targets, stage), _size(inputs))


def heatmaps_all_classes(model: StagedModel, inputs: Tensor, stage: str | None = None) -> Tensor:
    """Grad-CAM heatmaps (N, K, H, W) in [0, 1], float32, each on its own scale, of all K classes.

    At the last stage before a pool-and-linear head this costs one forward pass; elsewhere one backward pass per class.
    Arguments and errors as for `heatmaps`.
    """
    return scale_each(raw_heatmaps_all_classes(model, inputs, stage), _size(inputs))


def raw_heatmaps(model: StagedModel, inputs: Tensor, targets: Tensor, stage: str | None = None) -> Tensor:
    """Raw Grad-CAM maps (N, h, w), float32, of one class per image. Arguments and errors as for `heatmaps`."""
    stage = _checked_stage(model, inputs, stage)
    _check_targets(targets, len(inputs))
    batches = zip(inputs.split(BATCH), targets.to(inputs.device).split(BATCH), strict=True)
    return torch.cat([_raw_of(model, _activations(model, batch, stage), chosen, stage) for batch, chosen in batches])


def raw_heatmaps_all_classes(model: StagedModel, inputs: Tensor, stage: str | None = None) -> Tensor:
    """Raw Grad-CAM maps (N, K, h, w), float32, of all K classes. Arguments and errors as for `heatmaps`."""
    stage = _checked_stage(model, inputs, stage)
    return torch.cat([_raw_of_all(model, _activations(model, batch, stage), stage) for batch in inputs.split(BATCH)])


def logits_and_raw_heatmaps(
    model: StagedModel, inputs: Tensor, target: int | None = None, stage: str | None = None
) -> tuple[Tensor, Tensor]:
    """The logits (K,) of one image (1, 3, H, W) and its raw map (h, w), from one forward pass to the stage.

    The map is that of the target or, without one, of the predicted class. Arguments and errors as for `heatmaps`.
    """
    stage, activations, logits = _logits(model, inputs, stage)
    targets = torch.tensor([int(logits.argmax()) if target is None else target], device=inputs.device)
    return logits, _raw_of(model, activations, targets, stage)[0]


def logits_and_raw_heatmaps_all_classes(
    model: StagedModel, inputs: Tensor, stage: str | None = None
) -> tuple[Tensor, Tensor]:
    """The logits (K,) of one image (1, 3, H, W) and the raw maps (K, h, w) of all classes, from one forward pass."""
    stage, activations, logits = _logits(model, inputs, stage)
    return logits, _raw_of_all(model, activations, stage)[0]


def _logits(model: StagedModel, inputs: Tensor, stage: str | None) -> tuple[str, Tensor, Tensor]:
    """The stage that is meant, its activations (1, C, h, w) and the logits (K,) they lead to."""
    if len(inputs) != 1:
        raise ValueError(f"expected one image (1, 3, H, W), got shape {tuple(inputs.shape)}; pass one at a time")
    stage = _checked_stage(model, inputs, stage)
    activations = _activations(model, inputs, stage)
    with torch.no_grad():
        return stage, activations, model.forward_from(activations.clone(), stage)[0]


def _raw_of(model: StagedModel, activations: Tensor, targets: Tensor, stage: str) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        weights = _linear_weights(model, activations, stage)
        if weights is None:
            weights = _weights_by_gradient(model, activations, targets.clone(), stage)
        else:
            _check_classes(targets, len(weights))
            weights = weights[targets]
        return torch.einsum("nc,nchw->nhw", weights, activations).float()


def _raw_of_all(model: StagedModel, activations: Tensor, stage: str) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        weights = _linear_weights(model, activations, stage)
        if weights is not None:
            return torch.einsum("kc,nchw->nkhw", weights, activations).float()
        of_all = _weights_of_few if len(activations) <= FEW else _weights_of_many
        return torch.einsum("nkc,nchw->nkhw", of_all(model, activations, stage), activations).float()


def _activations(model: StagedModel, inputs: Tensor, stage: str) -> Tensor:
    with torch.inference_mode():
        # A copy, since a first stage may work in place; with the channels last, convolutions take a sixth less time.
        found = model.forward_to(inputs.clone(memory_format=torch.channels_last), stage)
    with torch.inference_mode(False):
        return found.clone()  # an ordinary tensor, which can be differentiated by


def _linear_weights(model: StagedModel, activations: Tensor, stage: str) -> Tensor | None:
    """The mean gradient of every logit, (K, C), where it needs no differentiation, else None."""
    weights = getattr(model.head, "channel_weights", None)
    if weights is None or stage != model.stage_names[-1]:
        return None
    return weights.detach() / activations[0, 0].numel()  # the pool hands each pixel an equal share


def _weights_of_few(model: StagedModel, activations: Tensor, stage: str) -> Tensor:
    """The mean gradient of every logit, (N, K, C), from one pass back through K copies of each image."""
    with torch.no_grad():
        classes = model.forward_from(activations[:1].clone(), stage).shape[1]
    targets = torch.arange(classes, device=activations.device).repeat(len(activations))
    weights = _weights_by_gradient(model, activations.repeat_interleave(classes, dim=0), targets, stage)
    return weights.unflatten(0, (-1, classes))


def _weights_of_many(model: StagedModel, activations: Tensor, stage: str) -> Tensor:
    """The mean gradient of every logit, (N, K, C), from one pass back per class."""
    logits, leaf = _rest(model, activations, stage)
    return torch.stack([_mean_gradient(logit, leaf) for logit in logits.unbind(1)], dim=1)


def _weights_by_gradient(model: StagedModel, activations: Tensor, targets: Tensor, stage: str) -> Tensor:
    """The mean gradient of each image's target logit, (N, C)."""
    logits, leaf = _rest(model, activations, stage)
    _check_classes(targets, logits.shape[1])
    return _mean_gradient(logits.gather(1, targets[:, None])[:, 0], leaf)


def _rest(model: StagedModel, activations: Tensor, stage: str) -> tuple[Tensor, Tensor]:
    """The logits (N, K) and the leaf (N, C, h, w) they can be differentiated by."""
    leaf = activations.detach().requires_grad_()
    # The clone is what a next stage that works in place may overwrite.
    return model.forward_from(leaf.clone(), stage), leaf


def _mean_gradient(logit: Tensor, leaf: Tensor) -> Tensor:
    """The gradient of one logit per image, (N,), by the leaf, averaged over height and width: (N, C)."""
    # All images at once: in evaluation mode the logit of one does not depend on another.
    (gradient,) = torch.autograd.grad(logit, leaf, torch.ones_like(logit), retain_graph=True)
    return gradient.mean(dim=(2, 3))


# From raw maps to heatmaps -----------------------------------------------------------------------------------------


def scale_each(raw: Tensor, size: tuple[int, int]) -> Tensor:
    """Heatmaps (..., H, W) in [0, 1] from raw maps (..., h, w), each stretched to its own minimum and maximum.

    ReLU, scale, enlarge bilinearly, scale again, as pytorch-grad-cam does. A map that is not finite becomes 0.
    """
    maps = _positive(raw).flatten(0, -3)[None]  # as channels of one image, which is the faster way to enlarge them
    enlarged = functional.interpolate(_min_max(maps), size, mode="bilinear")
    return _min_max(enlarged).reshape(*raw.shape[:-2], *size)


def scale_together(raws: Sequence[Tensor], size: tuple[int, int]) -> list[Tensor]:
    """Heatmaps (N, H, W) in [0, 1] from the raw maps (N, h, w) of several runs, on one scale per image.

    1 is the hottest pixel that any of the runs has in that image and 0 is no evidence, so a map that is ten times
    weaker looks ten times weaker. The runs' own resolutions may differ. A map that is not finite becomes 0.
    """
    enlarged = [functional.interpolate(_positive(raw)[:, None], size, mode="bilinear")[:, 0] for raw in raws]
    hottest = torch.stack([maps.amax(dim=(1, 2)) for maps in enlarged]).amax(dim=0)
    # Dividing by 1 where nothing is hot keeps those maps at 0.
    return [maps / torch.where(hottest > 0, hottest, 1)[:, None, None] for maps in enlarged]


def peaks(raw: Tensor) -> Tensor:
    """The raw maximum (...) after the ReLU of raw maps (..., h, w): what min-max scaling hides."""
    return raw.clamp(min=0).amax(dim=(-2, -1))


def explain_blank(raw: Tensor) -> str | None:
    """Why one raw map (h, w) shows nothing, and what to try; None if it shows something."""
    if raw.ndim != 2:
        raise ValueError(f"expected one raw map (h, w), got shape {tuple(raw.shape)}; pass one at a time")
    if not raw.isfinite().all():
        return "The map is not finite: the activations or gradients overflowed. Check whether training diverged."
    if raw.numel() == 1:
        return "This stage's map is a single value (1x1), so it cannot say where. Try an earlier stage."
    if not raw.any():
        return "The gradient is 0 everywhere: the logit is saturated or its units are dead. Try an earlier stage."
    if raw.max() <= 0:
        return (
            "Nothing in the image speaks for this class: the map is negative before the ReLU. Try the predicted class."
        )
    if raw.max() - raw.min() <= 1e-5 * raw.max():
        return "The map has the same value everywhere, so it points nowhere. Try an earlier stage."
    return None


def _positive(raw: Tensor) -> Tensor:
    finite = raw.isfinite().all(dim=-1).all(dim=-1)[..., None, None]
    return torch.where(finite, raw.float(), 0).clamp(min=0)


def _min_max(maps: Tensor) -> Tensor:
    from_zero = maps - maps.amin(dim=(-2, -1), keepdim=True)
    return from_zero / (from_zero.amax(dim=(-2, -1), keepdim=True) + TINY)


# Other methods -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A way to make heatmaps.

    Attributes:
        title: its name as its authors write it.
        paper: where it was published.
        class_name: pytorch-grad-cam's class; None for the engine above.
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
    stage = _checked_stage(model, inputs, stage)
    _check_targets(targets, len(inputs))
    with _LIBRARY_LOCK, torch.inference_mode(False), torch.enable_grad():
        activations = _activations(model, inputs, stage)
        _check_classes(targets, model.forward_from(activations.clone(), stage).shape[1])
        if not activations.isfinite().all():
            return inputs.new_zeros(len(inputs), *_size(inputs), dtype=torch.float32)
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


# Checks ------------------------------------------------------------------------------------------------------------


def _size(inputs: Tensor) -> tuple[int, int]:
    return inputs.shape[-2], inputs.shape[-1]


def _checked_stage(model: StagedModel, inputs: Tensor, stage: str | None) -> str:
    if any(module.training for module in model.modules()):
        raise ValueError("expected a model in evaluation mode, got one in training mode; call model.eval() first")
    if inputs.ndim != 4 or not len(inputs) or inputs.shape[1] != 3 or _size(inputs) != tuple(model.input_size):
        wanted = "(N, 3, {}, {}) with N of at least 1".format(*model.input_size)
        raise ValueError(f"expected inputs {wanted}, got {tuple(inputs.shape)}; resize the images to the model's size")
    if not inputs.is_floating_point():
        raise ValueError(f"expected normalised inputs of a float type, got {inputs.dtype}; normalise the images first")
    if not inputs.isfinite().all():
        raise ValueError("expected finite inputs, got NaN or infinity; check the mean and std used to normalise them")
    if stage is not None:
        check_name("stage", stage, model.stage_names)
    return stage or model.cam_stage


def _check_targets(targets: Tensor, images: int) -> None:
    if targets.dtype != torch.int64 or targets.shape != (images,):
        came = f"{targets.dtype} of shape {tuple(targets.shape)}"
        raise ValueError(f"expected targets int64 of shape ({images},), got {came}; pass one class index per image")


def _check_classes(targets: Tensor, classes: int) -> None:
    if targets.min() < 0 or targets.max() >= classes:
        least, most = int(targets.min()), int(targets.max())
        came = f"{least} to {most}" if least < most else str(least)
        raise ValueError(f"expected targets from 0 to {classes - 1}, got {came}; pass indices of the model's classes")
