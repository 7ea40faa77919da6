"""CIFAR-10 (Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images), original or as class folders."""

import hashlib
import io
import json
import os
import warnings
from contextlib import nullcontext, redirect_stderr, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from explorer.datasets.base import DatasetMissing, Request
from explorer.datasets.cache import read_note, write_note
from explorer.datasets.folder import list_class_folders
from explorer.datasets.listing import Listing, reason, visible

DEFAULT_SIZE = 32
SIDE = 32  # of the original pictures
VAL_SHARE = 0.1  # 5,000 of the 50,000 training images
BATCHES = "cifar-10-batches-py"


@dataclass(frozen=True)
class Labels:
    """Of the original files: the classes, and the labels of train and of test, in their order."""

    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]


def list_cifar10(request: Request) -> Listing:
    """CIFAR-10 from torchvision's files or else from class folders, with 10 % of train held out as val.

    Raises DatasetMissing when neither is below the data root and no download was asked for.
    """
    folders = request.data_root / "cifar10"
    if request.download or os.path.isdir(request.data_root / BATCHES):
        return _list_original(request)
    if all(os.path.isdir(folders / part) for part in ("train", "test")):  # pathlib's raises where it may not look
        source = "CIFAR-10 (Krizhevsky 2009) read from class folders of {formats} files, not the original ones."
        return list_class_folders(folders, request.size or DEFAULT_SIZE, source, VAL_SHARE)
    raise DatasetMissing(f"cifar10 is not in {request.data_root}; {_ways(request)}")


def _ways(request: Request) -> str:
    folders = request.data_root / "cifar10"
    return (
        f"either let torchvision download it (--download, 170 MB) to {request.data_root / BATCHES}, or put "
        f"class folders there: {folders}/train/<class>/* and {folders}/test/<class>/*"
    )


def _list_original(request: Request) -> Listing:
    labels = _labels(request)
    count = len(labels.train)
    ids = [f"train/{row:05d}" for row in range(count)] + [f"test/{row:05d}" for row in range(len(labels.test))]
    return Listing(
        title=request.name,
        source="CIFAR-10 (Krizhevsky 2009) read from the original binary files.",
        size=request.size or DEFAULT_SIZE,
        classes=labels.classes,
        ids=tuple(ids),
        labels=np.array(labels.train + labels.test, dtype=np.int64),
        given={"train": np.arange(count), "test": np.arange(count, len(ids))},
        read=_Pixels(request).read,
        files=np.array(_stats(request.data_root / BATCHES)),
        decode=lambda data: Image.frombytes("RGB", (SIDE, SIDE), data),
        val_share=VAL_SHARE,
    )


class _Pixels:
    """The pixels of every picture of the original files, which are read when the first picture is asked for."""

    def __init__(self, request: Request):
        self._request, self._lock = request, Lock()
        self._parts: list[np.ndarray] = []

    def read(self, row: int) -> bytes:
        """The pixels (32, 32, 3) of a picture as they lie in memory."""
        with self._lock:
            if not self._parts:
                self._parts = [_read_original(self._request, train)[0] for train in (True, False)]
        train, test = self._parts
        return (train[row] if row < len(train) else test[row - len(train)]).tobytes()


def _labels(request: Request) -> Labels:
    """The labels in the original files; from the cache where these have not changed since they were last read."""
    note = _labels_note(request)
    kept = read_note(note) if note is not None else None
    if kept is not None:
        return Labels(*map(tuple, kept))
    (_, train, classes), (_, test, _) = (_read_original(request, train) for train in (True, False))
    labels = Labels(tuple(classes), tuple(train), tuple(test))
    if (note := _labels_note(request)) is not None:
        with suppress(OSError):  # who keeps the images says that the folder cannot be written to
            write_note(note, astuple(labels))
    return labels


def _labels_note(request: Request) -> Path | None:
    """Where labels of the original files as they are now are kept; None where there are no files."""
    stats = _stats(request.data_root / BATCHES)
    stamp = hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:32]
    return request.cache_folder / f"{stamp}.labels" if stats else None


def _stats(folder: Path) -> list[tuple[int, int]]:
    """(bytes, time of last change in ns) of every file in a folder; none where it is not there."""
    try:
        found = [entry.stat() for entry in visible(folder)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DatasetMissing(f"the folder {folder} cannot be read: {reason(error)}") from error
    return [(one.st_size, one.st_mtime_ns) for one in found]


def _read_original(request: Request, train: bool) -> tuple[np.ndarray, list[int], list[str]]:
    """(pictures uint8 (N, 32, 32, 3), labels, classes); torchvision unpickles only files whose checksums it knows."""
    from torchvision.datasets import CIFAR10

    with warnings.catch_warnings(), redirect_stderr(io.StringIO()) if request.quiet else nullcontext():
        # The files were pickled by a NumPy so old that today's warns of how it wrote its types.
        warnings.filterwarnings(
            "ignore", message=".*align should be passed", category=np.exceptions.VisibleDeprecationWarning
        )
        try:
            part = CIFAR10(str(request.data_root), train=train, download=request.download)
        except RuntimeError as error:
            raise DatasetMissing(
                f"the files in {request.data_root / BATCHES} are incomplete or damaged; remove that folder and "
                "download them again (--download)"
            ) from error
        except OSError as error:
            raise DatasetMissing(f"cifar10 could not be downloaded or read: {error}; {_ways(request)}") from error
    return part.data, part.targets, part.classes
