"""Data sets: `load_dataset(name)` gives train, val and test, each as one uint8 tensor of images with labels."""

import os
from pathlib import Path

from explorer.datasets.base import SPLITS, Dataset, DatasetMissing, Loader, Request, Split
from explorer.datasets.cifar10 import load_cifar10
from explorer.datasets.decoding import CacheUnwritable, ImageSkipped
from explorer.datasets.elpv import load_elpv
from explorer.datasets.folder import PREFIX, load_folder
from explorer.registry import check_name

__all__ = [
    "DATASETS",
    "SPLITS",
    "CacheUnwritable",
    "Dataset",
    "DatasetMissing",
    "ImageSkipped",
    "Split",
    "load_dataset",
]

DATASETS: dict[str, Loader] = {"elpv": load_elpv, "cifar10": load_cifar10, "folder:PATH": load_folder}
LARGEST_SIZE = 1024


def load_dataset(
    name: str,
    *,
    size: int | None = None,
    data_root: Path | None = None,
    cache_root: Path | None = None,
    download: bool = False,
) -> Dataset:
    """The data set of that name, its images `size` pixels high and wide.

    Args:
        name: one of DATASETS, with a folder's path for PATH.
        size: 1 to 1024 pixels; by default 128 for elpv, 32 for cifar10, 64 for a folder.
        data_root: where data sets' files are; by default the environment variable NORMSCOPE_DATA, else `data/`.
        cache_root: where decoded images are kept; by default the environment variable NORMSCOPE_CACHE, else `.cache/`.
        download: whether the files may be fetched from the internet when they are missing (cifar10 only).

    Raises:
        ValueError: unknown name or wrong size, or files that do not make a data set.
        DatasetMissing: its files are not there.
    """
    if size is not None and not 1 <= size <= LARGEST_SIZE:
        raise ValueError(f"expected an image size from 1 to {LARGEST_SIZE} pixels, got {size}")
    request = Request(
        name=name,
        size=size,
        data_root=Path(data_root or os.environ.get("NORMSCOPE_DATA") or "data"),
        cache_root=Path(cache_root or os.environ.get("NORMSCOPE_CACHE") or ".cache"),
        download=download,
    )
    return _loader(name)(request)


def _loader(name: str) -> Loader:
    if name.startswith(PREFIX) and name != PREFIX:
        return load_folder
    check_name("data set", name, DATASETS)
    return DATASETS[name]
