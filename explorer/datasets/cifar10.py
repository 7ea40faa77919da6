"""CIFAR-10 (Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images), original or as class folders."""

import warnings

import numpy as np

from explorer.datasets.base import Dataset, DatasetMissing, Request, assemble
from explorer.datasets.decoding import resize_arrays
from explorer.datasets.folder import load_class_folders
from explorer.datasets.splitting import complete_splits

DEFAULT_SIZE = 32
VAL_SHARE = 0.1  # 5,000 of the 50,000 training images
BATCHES = "cifar-10-batches-py"


def load_cifar10(request: Request) -> Dataset:
    """CIFAR-10 from torchvision's files or else from class folders, with 10 % of train held out as val.

    Raises DatasetMissing when neither is below the data root and no download was asked for.
    """
    folders = request.data_root / "cifar10"
    if request.download or (request.data_root / BATCHES).is_dir():
        return _load_original(request)
    if (folders / "train").is_dir() and (folders / "test").is_dir():
        return load_class_folders(
            folders,
            request,
            size=request.size or DEFAULT_SIZE,
            source="CIFAR-10 (Krizhevsky 2009) read from class folders of {formats} files, not the original ones.",
            val_share=VAL_SHARE,
        )
    raise DatasetMissing(f"cifar10 is not in {request.data_root}; {_ways(request)}")


def _ways(request: Request) -> str:
    folders = request.data_root / "cifar10"
    return (
        f"either let torchvision download it (--download, 170 MB) to {request.data_root / BATCHES}, or put "
        f"class folders there: {folders}/train/<class>/* and {folders}/test/<class>/*"
    )


def _load_original(request: Request) -> Dataset:
    (train, train_labels, classes), (test, test_labels, _) = (
        _read_original(request, train=part == "train") for part in ("train", "test")
    )
    size = request.size or DEFAULT_SIZE
    pictures = np.concatenate([train, test])
    labels = np.array(train_labels + test_labels)
    ids = [f"train/{row:05d}" for row in range(len(train))] + [f"test/{row:05d}" for row in range(len(test))]
    given = {"train": np.arange(len(train)), "test": np.arange(len(train), len(ids))}
    members = complete_splits(given, ids, labels, VAL_SHARE)
    return assemble(
        request.name,
        "CIFAR-10 (Krizhevsky 2009) read from the original binary files.",
        classes,
        ids,
        labels,
        _at_size(pictures, size, request),
        members,
    )


def _at_size(pictures: np.ndarray, size: int, request: Request) -> np.ndarray:
    """Pictures (N, H, W, 3) as images (N, 3, size, size), cached only where they have to be resized."""
    if pictures.shape[1:3] == (size, size):
        return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
    return resize_arrays(pictures, size, request.cache_root, request.name).images


def _read_original(request: Request, train: bool) -> tuple[np.ndarray, list[int], list[str]]:
    """(pictures uint8 (N, 32, 32, 3), labels, classes); torchvision unpickles only files whose checksums it knows."""
    from torchvision.datasets import CIFAR10

    with warnings.catch_warnings():
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
