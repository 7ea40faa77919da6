"""The files of a bundle: heatmaps with everything needed to know later what they show.

For each image a folder `<number>-<name>` and in it, for each run,

- `<run>.overlay.png`: the heatmap over the image as the model eats it;
- `<run>.heatmap.npy`: the heatmap, float32 (H, W) in [0, 1];
- `<run>.raw.npy`: the raw map, float32 (h, w), before ReLU and scaling.

`manifest.json` says which image, model, class, stage and scale they belong to.
"""

import io
import json
import platform
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explorer.heatmaps.explanation import Explained, scaled
from explorer.heatmaps.methods import heatmaps_by
from explorer.images import overlay, png_bytes
from explorer.models.staged import StagedModel

BUNDLE_VERSION = 1
LIBRARIES = ("torch", "numpy", "pillow")
ENDINGS = {"overlay": ".overlay.png", "heatmap": ".heatmap.npy", "raw": ".raw.npy"}


@dataclass(frozen=True)
class Answer:
    """What one run says of one image: the parsed card.json of the run, the image (3, H, W) it was shown, its answer."""

    card: Mapping[str, Any]
    image: Tensor
    found: Explained


@dataclass(frozen=True)
class Subject:
    """One image and every run's answer; `sha256` is that of what `hashed` names."""

    name: str
    sha256: str
    hashed: str
    answers: Sequence[Answer]


def bundle_files(subjects: Sequence[Subject], *, scale: str, opacity: float, created: str) -> dict[str, bytes]:
    """Path within the bundle -> content, `manifest.json` last.

    Args:
        subjects: the images in order.
        scale: `own` or `shared`, see `explorer.heatmaps.explanation`.
        opacity: of the overlays, 0 to 1.
        created: the time, ISO 8601.

    Raises:
        ValueError: two answers to an image are of runs with the same name.
    """
    files: dict[str, bytes] = {}
    images = []
    for number, subject in enumerate(subjects, start=1):
        folder = f"{number}-{_safe(subject.name)}"
        heatmaps = scaled([answer.found for answer in subject.answers], scale)
        runs = []
        for answer, heatmap in zip(subject.answers, heatmaps, strict=True):
            contents = _contents(answer, heatmap, opacity)
            paths = {kind: f"{folder}/{answer.card['name']}{ENDINGS[kind]}" for kind in contents}
            if not files.keys().isdisjoint(paths.values()):
                raise ValueError(f"expected different runs, got {answer.card['name']} twice; pass each run once")
            files |= {paths[kind]: content for kind, content in contents.items()}
            runs.append(_facts(answer) | {"files": paths})
        images.append({"name": subject.name, "sha256": subject.sha256, "sha256_of": subject.hashed, "runs": runs})
    about = {"bundle_version": BUNDLE_VERSION, "created": created, "versions": library_versions()}
    drawn = {"method": "Grad-CAM", "scale": scale, "opacity": opacity}
    text = json.dumps(about | drawn | {"images": images}, indent=2, allow_nan=False, ensure_ascii=False)
    return files | {"manifest.json": (text + "\n").encode()}


def overlay_files(
    model: StagedModel,
    images: Tensor,
    inputs: Tensor,
    targets: np.ndarray,
    names: Sequence[str],
    method: str,
    stage: str | None,
    opacity: float,
) -> dict[str, bytes]:
    """File name -> PNG of each image under its heatmap, numbered in order.

    Args:
        model: in evaluation mode.
        images: uint8 (N, 3, H, W).
        inputs: the same, normalised.
        targets: the class to explain for each image, (N,).
        names: of the images, (N,).
        method: a key of METHODS.
        stage: the stage to explain, by default the model's.
        opacity: of the heatmaps, 0 to 1.
    """
    maps = heatmaps_by(method, model, inputs, torch.as_tensor(targets, dtype=torch.int64), stage)
    return {
        f"{number:04d}-{name.replace('/', '_')}.png": png_bytes(overlay(image, heat, opacity))
        for number, (name, image, heat) in enumerate(zip(names, images, maps, strict=True), start=1)
    }


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """A ZIP archive of the files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return packed.getvalue()


def library_versions() -> dict[str, str]:
    """Name -> version of Python and of the libraries that the figures depend on."""
    return {"python": platform.python_version(), **{library: version(library) for library in LIBRARIES}}


def _contents(answer: Answer, heatmap: Tensor, opacity: float) -> dict[str, bytes]:
    return {
        "overlay": png_bytes(overlay(answer.image, heatmap, opacity)),
        "heatmap": _npy_bytes(heatmap),
        "raw": _npy_bytes(answer.found.raw),
    }


def _facts(answer: Answer) -> dict[str, Any]:
    card, found = answer.card, answer.found
    classes = card["classes"]
    return {
        "run": card["name"],
        "schema_version": card["schema_version"],
        "dataset": card["dataset"]["name"],
        "fingerprint": card["dataset"]["fingerprint"],
        "architecture": card["architecture"],
        "norm": card["norm"],
        "seed": card["seed"],
        "stage": found.stage,
        "target": classes[found.target],
        "predicted": classes[found.predicted],
        "probabilities": {name: _finite(p) for name, p in zip(classes, found.probabilities, strict=True)},
        "raw_maximum": _finite(found.raw_maximum),
        "blank": found.blank,
    }


def _finite(number: float) -> float | None:
    """The number, or None where JSON has no word for it."""
    return float(number) if isfinite(number) else None


def _npy_bytes(values: Tensor) -> bytes:
    file = io.BytesIO()
    np.save(file, values.detach().cpu().float().numpy(), allow_pickle=False)
    return file.getvalue()


def _safe(name: str) -> str:
    """A folder name from a file name that nobody has checked: its stem in letters, digits, dots, dashes."""
    stem = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem = stem.rpartition(".")[0] or stem
    return re.sub(r"[^\w.-]+", "-", stem).strip(".-")[:60] or "image"
