"""What a model says of one image and where it looks: one computation for the app and the command line.

Takes models and tensors; scales are `own`, each map stretched to its own maximum, and `shared`, one scale for the maps
of several models on the same image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from explorer.heatmaps.gradcam import logits_and_raw_heatmaps, logits_and_raw_heatmaps_all_classes
from explorer.heatmaps.scaling import explain_blank, peaks, scale_each, scale_together
from explorer.models.staged import StagedModel
from explorer.registry import check_name

SCALES = ("own", "shared")


@dataclass(frozen=True)
class Explained:
    """What one model says of one image, and what in the image speaks for a target class.

    Attributes:
        probabilities: of each class, (K,) float32.
        target: the class whose map this is.
        stage: the stage the map was taken at.
        raw: the raw map (h, w) at the stage's own resolution.
        size: height and width in pixels of what the model eats.
    """

    probabilities: np.ndarray
    target: int
    stage: str
    raw: Tensor
    size: tuple[int, int]

    @property
    def predicted(self) -> int:
        """The likeliest class."""
        return int(self.probabilities.argmax())

    @property
    def raw_maximum(self) -> float:
        """The strongest evidence anywhere in the map, 0 if there is none: what the own scale hides."""
        return float(peaks(self.raw))

    @property
    def blank(self) -> str | None:
        """Why the map shows nothing, None if it shows something."""
        return explain_blank(self.raw)


def explain(model: StagedModel, inputs: Tensor, target: int | None = None, stage: str | None = None) -> Explained:
    """What a model says of one normalised image (1, 3, H, W), with the map of a class or else of the predicted one.

    Raises:
        ValueError: more or fewer images than one, an unknown class or stage, or whatever else `heatmaps` refuses.
    """
    logits, raw = logits_and_raw_heatmaps(model, inputs, target, stage)
    probabilities = logits.float().softmax(0).numpy()
    shown = int(probabilities.argmax()) if target is None else target
    return Explained(probabilities, shown, stage or model.cam_stage, raw, (int(inputs.shape[2]), int(inputs.shape[3])))


def explain_against(model: StagedModel, inputs: Tensor, true: int, stage: str | None = None) -> dict[str, Explained]:
    """What a model says of one normalised image (1, 3, H, W) whose true class is known, from three sides.

    `predicted` and `true` are what speaks for those classes; `contrast`, only where they differ, is what speaks for the
    predicted rather than the true one: the map of the difference of their logits.
    """
    logits, raw = logits_and_raw_heatmaps_all_classes(model, inputs, stage)  # (K,), (K, h, w)
    probabilities = logits.float().softmax(0).numpy()
    stage, seen = stage or model.cam_stage, int(probabilities.argmax())
    sides = {"predicted": (seen, raw[seen]), "true": (true, raw[true])}
    if seen != true:
        sides["contrast"] = (seen, raw[seen] - raw[true])
    size = int(inputs.shape[2]), int(inputs.shape[3])
    return {side: Explained(probabilities, target, stage, shown, size) for side, (target, shown) in sides.items()}


def scaled(found: Sequence[Explained], scale: str) -> list[Tensor]:
    """Heatmaps (H, W) in [0, 1] of several models' maps of the same image.

    On the `own` scale each has the size its model eats; on the `shared` one all have the largest of these sizes.
    """
    check_name("scale", scale, SCALES)
    if scale == "own":
        return [scale_each(one.raw[None], one.size)[0] for one in found]
    largest = max(one.size[0] for one in found), max(one.size[1] for one in found)
    return [maps[0] for maps in scale_together([one.raw[None] for one in found], largest)]
