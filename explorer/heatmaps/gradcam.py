"""Grad-CAM: where in an image a model finds what speaks for a class (Selvaraju et al. 2017, arXiv 1610.02391).

It is computed without hooks: the activations of a stage are detached, and only the rest of the model is differentiated
with respect to them. Nothing of the model is written to, so any number of threads may share it.

*Raw* maps are weighted sums of activations before the ReLU, at the stage's own resolution. They are linear in the
logits: the raw map of one class minus that of another is the raw map of their contrast.
"""

import torch
from torch import Tensor

from explorer.heatmaps.checks import check_classes, check_targets, checked_stage, size_of
from explorer.heatmaps.scaling import scale_each
from explorer.models.staged import StagedModel

BATCH = 64  # images explained at a time, so that thousands need no more memory than this many
ONE_PASS_IMAGES = 4  # images up to which all classes are cheaper as one large pass than as one pass per class


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
    return scale_each(raw_heatmaps(model, inputs, targets, stage), size_of(inputs))


def heatmaps_all_classes(model: StagedModel, inputs: Tensor, stage: str | None = None) -> Tensor:
    """Grad-CAM heatmaps (N, K, H, W) in [0, 1], float32, each on its own scale, of all K classes.

    At the last stage before a pool-and-linear head this costs one forward pass; elsewhere one backward pass per class.
    Arguments and errors as for `heatmaps`.
    """
    return scale_each(raw_heatmaps_all_classes(model, inputs, stage), size_of(inputs))


def raw_heatmaps(model: StagedModel, inputs: Tensor, targets: Tensor, stage: str | None = None) -> Tensor:
    """Raw Grad-CAM maps (N, h, w), float32, of one class per image. Arguments and errors as for `heatmaps`."""
    stage = checked_stage(model, inputs, stage)
    check_targets(targets, len(inputs))
    batches = zip(inputs.split(BATCH), targets.to(inputs.device).split(BATCH), strict=True)
    return torch.cat([_raw_of(model, activations_at(model, batch, stage), chosen, stage) for batch, chosen in batches])


def raw_heatmaps_all_classes(model: StagedModel, inputs: Tensor, stage: str | None = None) -> Tensor:
    """Raw Grad-CAM maps (N, K, h, w), float32, of all K classes. Arguments and errors as for `heatmaps`."""
    stage = checked_stage(model, inputs, stage)
    return torch.cat([_raw_of_all(model, activations_at(model, batch, stage), stage) for batch in inputs.split(BATCH)])


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
    stage = checked_stage(model, inputs, stage)
    activations = activations_at(model, inputs, stage)
    with torch.no_grad():
        return stage, activations, model.forward_from(activations.clone(), stage)[0]


def _raw_of(model: StagedModel, activations: Tensor, targets: Tensor, stage: str) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        weights = _linear_weights(model, activations, stage)
        if weights is None:
            weights = _weights_by_gradient(model, activations, targets.clone(), stage)
        else:
            check_classes(targets, len(weights))
            weights = weights[targets]
        return torch.einsum("nc,nchw->nhw", weights, activations).float()


def _raw_of_all(model: StagedModel, activations: Tensor, stage: str) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        weights = _linear_weights(model, activations, stage)
        if weights is not None:
            return torch.einsum("kc,nchw->nkhw", weights, activations).float()
        of_all = _weights_of_few if len(activations) <= ONE_PASS_IMAGES else _weights_of_many
        return torch.einsum("nkc,nchw->nkhw", of_all(model, activations, stage), activations).float()


def activations_at(model: StagedModel, inputs: Tensor, stage: str) -> Tensor:
    """The activations (N, C, h, w) that a stage gives out, detached; with inputs and a stage that fit the model."""
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
    check_classes(targets, logits.shape[1])
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
