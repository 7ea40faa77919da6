"""From a card and its weights to a model, and from a model to probabilities: what needs torch of a run."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from explorer.models import StagedModel, build_model
from explorer.runs.card import Card, DamagedRun
from explorer.runs.spec import InputSpec


def build_model_of(card: Card) -> StagedModel:
    """The untrained model a card describes. Raises ValueError for what this version does not know or cannot build."""
    spec = card.spec
    try:
        return build_model(
            spec.architecture.name,
            "none" if spec.norm is None else spec.norm.name,
            classes=len(card.classes),
            input_size=(spec.input.height, spec.input.width),
            architecture_arguments=spec.architecture.arguments,
            norm_arguments={} if spec.norm is None else spec.norm.arguments,
        )
    except (TypeError, RuntimeError, ArithmeticError, MemoryError) as error:  # layers of no, negative or endless size
        raise ValueError(str(error).partition("\n")[0] or type(error).__name__) from error


def load_model(folder: Path, card: Card) -> StagedModel:
    """The model of a run's folder in eval mode, in float32, its parameters without gradients.

    Raises:
        DamagedRun: the weights are not those of the model that the card describes.
    """
    name = folder.name
    try:
        with torch.device("meta"):  # nothing is allocated before it is known to fit, nor drawn to be replaced
            model = build_model_of(card)
    except ValueError as error:
        raise DamagedRun(f"{name}: this version cannot build its model ({error})") from error
    try:
        weights = load_file(folder / "weights.safetensors")
    except (SafetensorError, OSError, RuntimeError, ValueError, LookupError) as error:
        raise DamagedRun(f"{name}: weights.safetensors cannot be read ({error}); train the run again") from error
    if reason := _misfit(weights, model.state_dict()):
        raise DamagedRun(f"{name}: weights.safetensors does not fit card.json ({reason}); train the run again")
    model = model.to_empty(device="cpu")
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


def _misfit(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """The first tensor that is not as the model wants it, in words; empty where all are. Half precision is as good."""
    for key in (*wanted, *found):
        if key not in found or key not in wanted:
            return f"{key} is {'missing' if key in wanted else 'none of its tensors'}"
        shapes = [tuple(tensors[key].shape) for tensors in (found, wanted)]
        if shapes[0] != shapes[1]:
            return f"{key} is of shape {shapes[0]}, wanted {shapes[1]}"
        if found[key].is_floating_point() != wanted[key].is_floating_point() or found[key].is_complex():
            return f"{key} holds {found[key].dtype}, wanted {wanted[key].dtype}"
        if found[key].is_floating_point() and not found[key].float().isfinite().all():
            return f"{key} holds numbers that are not finite"
    return ""


def predict(
    model: nn.Module,
    images: Tensor,
    input: InputSpec,
    batch_size: int = 256,
    progress: Callable[[int, int], object] | None = None,
) -> np.ndarray:
    """Probabilities (N, K) float32 for uint8 images (N, 3, H, W), with the model in eval mode and full precision.

    `progress(done, total)` is called after each batch, in images.
    """
    device, training = next(model.parameters()).device, model.training
    model.eval()
    found, done = torch.empty(0), 0
    for batch in images.split(batch_size):
        with torch.no_grad():
            part = model(input.normalise(batch.to(device))).float().softmax(1).cpu()
        if not done:  # one room for all: small tensors kept between large ones would leave the memory in pieces
            found = part.new_empty((len(images), part.shape[1]))
        found[done : done + len(part)] = part
        done += len(part)
        if progress is not None:
            progress(done, len(images))
    model.train(training)
    return found.numpy()
