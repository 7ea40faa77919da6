"""Data sets: `load_dataset(location)` gives train, val and test, each as one uint8 tensor of images with labels."""

from explorer.datasets.base import SPLITS, Dataset, DatasetMissing, Split
from explorer.datasets.cache import CacheUnwritable
from explorer.datasets.loading import (
    DATASETS,
    ImageSkipped,
    check_dataset_name,
    find_dataset,
    load_dataset,
    stamp,
)
from explorer.datasets.statistics import channel_statistics

__all__ = [
    "DATASETS",
    "SPLITS",
    "CacheUnwritable",
    "Dataset",
    "DatasetMissing",
    "ImageSkipped",
    "Split",
    "channel_statistics",
    "check_dataset_name",
    "find_dataset",
    "load_dataset",
    "stamp",
]
