"""What one run says of labelled images, image by image, without the probability of every class."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from explorer.predictions.checks import check_labelled

LEAST_PROBABILITY = np.finfo(np.float32).tiny  # lower ones count as this, so that a loss is finite
BLOCK = 1 << 18  # probabilities looked at at a time, 1 MB of float32


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What one run says of N labelled images.

    Attributes:
        labels: the true classes, int (N,).
        predicted: the classes of the highest probability, int (N,).
        confidence: the probability of the predicted class, float32 (N,).
        margin: the highest minus the second highest probability, float32 (N,).
        loss: the cross entropy in nats, float32 (N,).
    """

    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray
    loss: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """Whether each image is misclassified, bool (N,)."""
        return self.predicted != self.labels


def outcomes_of(probabilities: np.ndarray | Iterable[np.ndarray], labels: np.ndarray) -> Outcomes:
    """What a run says of N images: from probabilities (N, K), or blocks (n, K) of them in order, and labels (N,).

    Needs the memory of one block; what it returns takes 16 bytes an image up to 32,767 classes.

    Raises:
        ValueError: the shapes do not fit, there is no image or fewer than two classes, or a label is not in 0..K-1.
    """
    if isinstance(probabilities, np.ndarray):
        check_labelled(probabilities, labels)
        probabilities = blocks_of(probabilities)
    parts, done = [], 0
    for block in probabilities:
        parts.append(_outcomes_of_block(block, labels[done : done + len(block)]))
        done += len(block)
    if not done or done != len(labels):
        raise ValueError(f"wanted probabilities of each of {len(labels):,} labelled images, at least 1; got {done:,}")
    names = [field.name for field in fields(Outcomes)]
    return Outcomes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def blocks_of(probabilities: np.ndarray) -> Iterator[np.ndarray]:
    """An array of probabilities (N, K) in blocks (n, K) of about BLOCK numbers."""
    step = max(1, BLOCK // probabilities.shape[1])
    return (probabilities[start : start + step] for start in range(0, len(probabilities), step))


def image_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Float (N,): the cross entropy of each image in nats, from probabilities (N, K) and labels (N,)."""
    check_labelled(probabilities, labels)
    picked = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(picked, LEAST_PROBABILITY))


def _outcomes_of_block(probabilities: np.ndarray, labels: np.ndarray) -> Outcomes:
    check_labelled(probabilities, labels)
    classes = probabilities.shape[1]
    if classes < 2 or labels.min() < 0 or labels.max() >= classes:
        found = f"labels {labels.min()} to {labels.max()} of {classes} classes"
        raise ValueError(f"wanted at least two classes and labels from 0 to {classes - 1}; got {found}")
    rows, predicted = np.arange(len(labels)), probabilities.argmax(1)
    confidence, rest = probabilities[rows, predicted], probabilities.copy()
    rest[rows, predicted] = -1
    whole = np.int16 if classes <= np.iinfo(np.int16).max else np.int32
    return Outcomes(
        labels=labels.astype(whole),
        predicted=predicted.astype(whole),
        confidence=confidence.astype(np.float32),
        margin=(confidence - rest.max(1)).astype(np.float32),
        loss=image_losses(probabilities, labels).astype(np.float32),
    )
