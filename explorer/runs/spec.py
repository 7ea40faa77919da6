"""What defines a run: data set, architecture, norm, input, recipe and seed, with every argument spelled out."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch takes seconds to import, and tables and charts need none of it
    from torch import Tensor

TRAINED, IMPORTED = "trained", "imported"


@dataclass(frozen=True)
class Choice:
    """A name from a registry with all the arguments it was called with."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """The name and, in brackets, the arguments."""
        details = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.name} ({details})" if details else self.name


@dataclass(frozen=True)
class DatasetRef:
    """Which images a run was trained on.

    Attributes:
        name: what the data set is called; runs of one name are compared.
        location: what `load_dataset` takes, such as `elpv` or `folder:/photographs`.
        fingerprint: 16 hex digits over classes, splits, labels and files; None where it is not known.
    """

    name: str
    location: str
    fingerprint: str | None = None


@dataclass(frozen=True)
class InputSpec:
    """The model's input: height and width in pixels, mean and std per channel of images scaled to [0, 1]."""

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def normalise(self, images: "Tensor") -> "Tensor":
        """Inputs (N, 3, H, W), float32, standardised per channel, from uint8 images (N, 3, H, W).

        Raises:
            ValueError: images of another type or size.
        """
        import torch

        if images.dtype != torch.uint8 or images.shape[1:] != (3, self.height, self.width):
            raise ValueError(
                f"wanted uint8 images (N, 3, {self.height}, {self.width}); got {images.dtype} {tuple(images.shape)}"
            )
        mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) * 255 for v in (self.mean, self.std))
        return images.float().sub_(mean).div_(std)


@dataclass(frozen=True)
class RunSpec:
    """All that defines a run; two runs of one spec differ in nothing but the machine.

    Attributes:
        dataset: the images.
        architecture: with every argument.
        norm: with every argument; None for a model that does not say.
        input: size and normalisation.
        recipe: how it was trained, every argument spelled out; None for a model trained elsewhere.
        seed: of the first weights and of the order of the images; None where it is not known.
        origin: TRAINED here or IMPORTED.
    """

    dataset: DatasetRef
    architecture: Choice
    norm: Choice | None
    input: InputSpec
    recipe: Mapping[str, Any] | None
    seed: int | None
    origin: str = TRAINED

    @property
    def name(self) -> str:
        """The folder name of the run: readable first, then six hex digits over all that defines it.

        The images are told apart by the name of their data set alone, so the name is known before they are read.
        """
        recipe = None if self.recipe is None else dict(self.recipe)
        norm = None if self.norm is None else asdict(self.norm)
        size = [self.input.height, self.input.width]
        parts = [self.dataset.name, asdict(self.architecture), norm, size, recipe, self.seed, self.origin]
        defining = _as_written(parts)
        digest = hashlib.sha256(json.dumps(defining, sort_keys=True).encode()).hexdigest()[:6]
        words = [self.architecture.name, *([self.norm.name] if self.norm else [])]
        words += [] if self.seed is None else [f"seed{self.seed}"]
        return f"{safe_name('-'.join(words))}-{digest}"

    def same_but_images(self, other: "RunSpec") -> bool:
        """Whether the two define the same run, be it that the files of its data set lie elsewhere or changed."""
        return self._without_images() == other._without_images()

    def _without_images(self) -> "RunSpec":
        size = InputSpec(self.input.height, self.input.width, (0, 0, 0), (1, 1, 1))
        recipe = None if self.recipe is None else _as_written(self.recipe)
        return replace(self, dataset=DatasetRef(self.dataset.name, ""), input=size, recipe=recipe)


def safe_name(text: str) -> str:
    """The text as a name of a file or folder: letters, digits, dots and dashes, at most 80 bytes of them."""
    short = re.sub(r"[^\w.-]+", "-", text).strip(".-").encode()[:80].decode(errors="ignore")
    return short.strip(".-") or "unnamed"


def _as_written(value: Any) -> Any:
    """The value as JSON writes it, and the same for equal numbers: 1, 1.0 and true."""
    if isinstance(value, Mapping):
        return {key: _as_written(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_written(one) for one in value]
    return int(value) if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()) else value
