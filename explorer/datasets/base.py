"""What a data set is: three splits of images with labels, and the fingerprint that tells two data sets apart."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

SPLITS = ("train", "val", "test")


class DatasetMissing(Exception):
    """The files of a data set are not there; the message says how to get them."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one split.

    Attributes:
        images: uint8 (N, 3, H, W), RGB.
        labels: int64 (N,), indices into the data set's classes.
        ids: one name per image, unique within the data set and the same on every machine.
        facts: one row per image, whatever else is known of it; may have no columns.
    """

    images: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    facts: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Dataset:
    """Splits train, val and test of one image classification data set.

    Attributes:
        name: what `load_dataset` was asked for.
        source: one sentence: where the images come from, version, licence.
        fingerprint: 16 hex digits over classes, ids, labels and pixels of all splits.
        problems: one line per file that was skipped, naming it.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    splits: dict[str, Split]
    fingerprint: str
    problems: tuple[str, ...] = ()

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of every image in pixels."""
        height, width = self.splits["train"].images.shape[-2:]
        return height, width


@dataclass(frozen=True)
class Request:
    """What to load: a data set's name, its image size (None: the data set's own), and where its files are."""

    name: str
    size: int | None
    data_root: Path
    cache_root: Path
    download: bool


Loader = Callable[[Request], Dataset]


def assemble(
    name: str,
    source: str,
    classes: Sequence[str],
    ids: Sequence[str],
    labels: np.ndarray,
    images: np.ndarray,
    members: Mapping[str, np.ndarray],
    facts: pd.DataFrame | None = None,
    problems: Sequence[str] = (),
) -> Dataset:
    """The data set whose splits are the rows of ids, labels (N,), images (N, 3, H, W) and facts that `members` lists.

    Raises ValueError when a split would have no image.
    """
    known = pd.DataFrame(index=range(len(ids))) if facts is None else facts
    everything, splits = torch.from_numpy(images), {}
    for split in SPLITS:
        rows = members[split]
        if not len(rows):
            raise ValueError(
                f"{name}: no image is left for the split {split!r}; a class needs three images to be in all of "
                f"{', '.join(SPLITS)}"
            )
        splits[split] = Split(
            images=everything.index_select(0, torch.from_numpy(rows)),  # numpy's own takes four times as long
            labels=torch.from_numpy(labels[rows].astype(np.int64)),
            ids=tuple(ids[int(row)] for row in rows),
            facts=known.iloc[rows].reset_index(drop=True),
        )
    return Dataset(name, source, tuple(classes), splits, fingerprint(classes, splits), tuple(problems))


def fingerprint(classes: Sequence[str], splits: Mapping[str, Split]) -> str:
    """16 hex digits of a SHA-256 over classes, ids, labels, image shapes and pixels of all splits."""
    digest = hashlib.sha256()
    for name in SPLITS:
        split = splits[name]
        header = [name, list(classes), list(split.ids), split.labels.tolist(), list(split.images.shape)]
        digest.update(json.dumps(header).encode())
        digest.update(split.images.numpy().data)
    return digest.hexdigest()[:16]
