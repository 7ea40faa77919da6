"""Predictions -> accuracy, F1, loss, confusion. Everything is a fraction or a count; percent is for display only."""

from dataclasses import dataclass

import numpy as np

from explorer.predictions.outcomes import image_losses


@dataclass(frozen=True)
class Metrics:
    """How well predictions meet the labels of one split.

    `accuracy`, `micro_f1` and `macro_f1` are fractions in [0, 1]; `loss` is the mean cross entropy in nats;
    `misclassified` of `count` images are wrong. With one label per image micro F1 equals accuracy.
    """

    accuracy: float
    micro_f1: float
    macro_f1: float
    loss: float
    misclassified: int
    count: int


def compute_metrics(probabilities: np.ndarray, labels: np.ndarray) -> Metrics:
    """The metrics of probabilities (N, K) against labels (N,) with values 0..K-1.

    Macro F1 is the mean over all K classes; a class that neither occurs nor is predicted counts as 0.

    Raises:
        ValueError: the shapes do not fit, or there is no image.
    """
    loss = float(image_losses(probabilities, labels).mean())
    return metrics_from_predicted(probabilities.argmax(1), labels, probabilities.shape[1], loss)


def metrics_from_predicted(predicted: np.ndarray, labels: np.ndarray, class_count: int, loss: float) -> Metrics:
    """The metrics of predicted classes (N,) against labels (N,), with a mean loss computed elsewhere."""
    from sklearn.metrics import f1_score

    wrong, classes = int((predicted != labels).sum()), range(class_count)
    return Metrics(
        accuracy=1 - wrong / len(labels),
        micro_f1=float(f1_score(labels, predicted, labels=classes, average="micro", zero_division=0)),  # type: ignore[arg-type]
        macro_f1=float(f1_score(labels, predicted, labels=classes, average="macro", zero_division=0)),  # type: ignore[arg-type]
        loss=loss,
        misclassified=wrong,
        count=len(labels),
    )


def confusion(predicted: np.ndarray, labels: np.ndarray, class_count: int) -> np.ndarray:
    """Counts (K, K): row = label, column = predicted."""
    # scikit-learn's, its oracle, takes 0.7 s to import, a third of what the first page with a matrix took.
    cells = np.bincount(class_count * labels.astype(np.int64) + predicted, minlength=class_count**2)
    return cells.reshape(class_count, class_count)


def recall(predicted: np.ndarray, labels: np.ndarray, class_count: int) -> np.ndarray:
    """The share of each class's images that are predicted right, (K,) fractions; NaN for a class without images."""
    counts = confusion(predicted, labels, class_count)
    with np.errstate(invalid="ignore"):
        return np.diag(counts) / counts.sum(1)
