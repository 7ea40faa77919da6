"""What a data set is: three splits of images with labels, and the fingerprint that tells two data sets apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from explorer.datasets.mapping import MappedFile

SPLITS = ("train", "val", "test")


class DatasetMissing(Exception):
    """The files of a data set are not there; the message says how to get them."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images of one split.

    Attributes:
        images: uint8 (N, 3, H, W), RGB; read from disk when looked at. Who looks at many uses `take` or `batches`.
        labels: int64 (N,), indices into the data set's classes.
        ids: one name per image, unique within the data set and the same on every machine.
        facts: one row per image, whatever else is known of it; may have no columns.
        file: what the images are mapped from; None where they lie in memory.
    """

    images: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    facts: pd.DataFrame
    file: MappedFile | None = None

    def take(self, rows: Sequence[int] | Tensor) -> Tensor:
        """A copy of the images of these row numbers, uint8 (len(rows), 3, H, W), in their order.

        However many are taken one after the other, no more of the data set than one copy is in memory.
        """
        chosen = torch.as_tensor(rows, dtype=torch.int64)
        if self.file is not None and self.file.holds(self.images):
            return self.file.read(self.images, chosen.tolist())
        return self.images[chosen]

    def batches(self, size: int) -> Iterator[Tensor]:
        """Copies of all images in order, `size` of them at a time, with as little in memory as `take`."""
        for start in range(0, len(self.images), size):
            yield self.take(range(start, min(start + size, len(self.images))))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Splits train, val and test of one image classification data set.

    Attributes:
        name: what people call it: short, without `/` and control characters.
        source: one sentence: where the images come from, version, licence.
        fingerprint: 16 hex digits over classes, splits, ids, labels and the bytes of the files of all images. Neither
            the size of the images nor the place of the files is in it.
        location: where it is: `elpv`, `cifar10` or `folder:` and an absolute path, the same however it was spelled;
            empty where it was made in memory.
        stamp: what `explorer.datasets.stamp` said of the files when they were read; another one means changed files.
        problems: one line per file that was skipped, naming it.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    splits: dict[str, Split]
    fingerprint: str
    location: str = ""
    stamp: str = ""
    problems: tuple[str, ...] = ()

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of every image in pixels."""
        height, width = self.splits["train"].images.shape[-2:]
        return height, width


@dataclass(frozen=True)
class Request:
    """What to load: a data set's location and name, its image size (None: its own), and where its files are."""

    location: str
    name: str
    size: int | None
    data_root: Path
    cache_root: Path
    download: bool = False
    quiet: bool = False

    @property
    def cache_folder(self) -> Path:
        """Where all that is worked out of data sets is kept."""
        return self.cache_root / "datasets"
