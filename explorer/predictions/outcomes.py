"""What a run says of each labelled image, image by image."""

import numpy as np

from explorer.predictions.checks import check_labelled

LEAST_PROBABILITY = np.finfo(np.float32).tiny  # lower ones count as this, so that a loss is finite


def margins(probabilities: np.ndarray) -> np.ndarray:
    """Float (N,) in [0, 1]: the highest minus the second highest probability, from probabilities (N, K), K >= 2."""
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(f"wanted probabilities (N, K) with K >= 2; got {probabilities.shape}")
    highest = np.partition(probabilities, -2, axis=1)[:, -2:]
    return highest[:, 1] - highest[:, 0]


def image_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Float (N,): the cross entropy of each image in nats, from probabilities (N, K) and labels (N,)."""
    check_labelled(probabilities, labels)
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels].astype(np.float64), LEAST_PROBABILITY))
