"""Predictions -> accuracy, F1, loss, confusion. Everything is a fraction or a count; percent is for display only."""

from dataclasses import dataclass

import numpy as np

from explorer.predictions.outcomes import image_losses


@dataclass(frozen=True)
class Metrics:
    """How well predictions meet the labels of one split.

    `accuracy`, `micro_f1` and `macro_f1` are fractions in [0, 1]; `loss` is the mean cross entropy in nats;
    `misclassified` of `count` images are wrong. With one label per image micro F1 equals accuracy. Macro F1 is the mean
    over the `classes` that occur as a label or a prediction; None in cards that did not write how many those were.
    """

    accuracy: float
    micro_f1: float
    macro_f1: float
    loss: float
    misclassified: int
    count: int
    classes: int | None = None


def compute_metrics(probabilities: np.ndarray, labels: np.ndarray) -> Metrics:
    """The metrics of probabilities (N, K) against labels (N,) with values 0..K-1.

    Raises:
        ValueError: the shapes do not fit, or there is no image.
    """
    loss = float(image_losses(probabilities, labels).mean())
    return metrics_from_predicted(probabilities.argmax(1), labels, probabilities.shape[1], loss)


def metrics_from_predicted(predicted: np.ndarray, labels: np.ndarray, class_count: int, loss: float) -> Metrics:
    """The metrics of predicted classes (N,) against labels (N,), with a mean loss computed elsewhere."""
    wrong, scores = int((predicted != labels).sum()), f1_scores(predicted, labels, class_count)
    occurring = np.isfinite(scores)
    accuracy = 1 - wrong / len(labels)
    return Metrics(
        accuracy=accuracy,
        micro_f1=accuracy,
        macro_f1=float(scores[occurring].mean()),
        loss=loss,
        misclassified=wrong,
        count=len(labels),
        classes=int(occurring.sum()),
    )


def f1_scores(predicted: np.ndarray, labels: np.ndarray, class_count: int) -> np.ndarray:
    """F1 of each class, (K,) fractions; NaN for a class that is neither a label nor predicted.

    Twice the hits over the images of the class plus those predicted as it, which is the harmonic mean of precision and
    recall.
    """
    # scikit-learn's, its oracle, takes 0.7 s to import, a third of what the first page with a matrix took.
    hits = np.bincount(labels[predicted == labels], minlength=class_count)
    either = np.bincount(labels, minlength=class_count) + np.bincount(predicted, minlength=class_count)
    with np.errstate(invalid="ignore"):
        return 2 * hits / either


def confusion(predicted: np.ndarray, labels: np.ndarray, class_count: int) -> np.ndarray:
    """Counts (K, K): row = label, column = predicted."""
    cells = np.bincount(class_count * labels.astype(np.int64) + predicted, minlength=class_count**2)
    return cells.reshape(class_count, class_count)
