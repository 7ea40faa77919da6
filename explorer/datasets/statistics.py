"""What a data set's pixels are on average."""

import numpy as np
import torch

from explorer.datasets.base import Split

TOGETHER = 64  # images; their counts are what is kept of them


def channel_statistics(split: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, standard deviation) of red, green and blue over all pixels of a split, as fractions of 255.

    Exact: of 256 values only their counts are needed. The deviation is that of a sample, with N - 1.
    """
    values = np.arange(256) / 255
    counts = _counts(split)
    total = counts.sum(1)
    means = counts @ values / total
    variances = (counts * (values - means[:, None]) ** 2).sum(1) / np.maximum(total - 1, 1)
    return tuple(means.tolist()), tuple(np.sqrt(variances).tolist())


def _counts(split: Split) -> np.ndarray:
    """How often each value from 0 to 255 is in each channel, int64 (3, 256)."""
    counts = torch.zeros(3, 256, dtype=torch.int64)
    for images in split.batches(TOGETHER):
        for channel, count in enumerate(counts):
            count += torch.bincount(images[:, channel].reshape(-1), minlength=256)
    return counts.numpy()
