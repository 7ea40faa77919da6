"""Class by class: which images are of a class, how many of them each run recognises, and which classes tell most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from explorer.predictions.comparison import Comparison
from explorer.predictions.outcomes import Outcomes
from explorer.predictions.paired import accuracy_interval
from explorer.registry import check_name


@dataclass(frozen=True, eq=False)
class Recalls:
    """What each of R runs recognises of each of K classes, and where the images of a class are.

    Attributes:
        counts: the images of each class, int (K,).
        recognised: how many of them each run predicts right, int (R, K).
        order: the positions of all images, class by class, in the order of the data set within a class, int (N,).
    """

    counts: np.ndarray
    recognised: np.ndarray
    order: np.ndarray

    @property
    def fractions(self) -> np.ndarray:
        """The recall of each run and class, (R, K) fractions; NaN for a class without images."""
        with np.errstate(invalid="ignore"):
            return self.recognised / self.counts

    def images(self, label: int) -> np.ndarray:
        """The positions of the images of a class, in the order of the data set."""
        start = int(self.counts[:label].sum())
        return self.order[start : start + int(self.counts[label])]


def recalls_of(comparison: Comparison) -> Recalls:
    """The recalls of all runs of a comparison; the only look at all its images that a page of classes takes."""
    true, classes = comparison.true, len(comparison.classes)
    hits = [np.bincount(true[found.predicted == true], minlength=classes) for found in comparison.outcomes]
    return Recalls(np.bincount(true, minlength=classes), np.stack(hits), np.argsort(true, kind="stable"))


def mean_recalls(comparison: Comparison, recalls: Recalls) -> np.ndarray:
    """The mean recall over the replicates of each variant, (V, K) fractions; NaN for a class without images."""
    fractions = recalls.fractions
    return np.stack([fractions[comparison.replicates(v)].mean(0) for v in range(len(comparison.variants))])


def telling_classes(means: np.ndarray, reference: int, chosen: int, most: int) -> list[int]:
    """Up to `most` of K classes: the chosen one, those of the lowest recall and those of the largest differences.

    All classes in their own order where there are no more than `most`. Else the chosen one comes first and the others
    follow by mean recall, the lowest first; half of them have the lowest mean recall over the variants, the other half
    the largest difference of a variant to the reference. Without a second variant all have the lowest recall.

    Args:
        means: recall of each variant and class, (V, K); classes with NaN are passed over unless chosen.
        reference: the row that the others are compared with.
        chosen: a class that is always among them.
        most: at least 1.
    """
    if means.shape[1] <= most:
        return list(range(means.shape[1]))
    overall, difference = means.mean(0), np.abs(means - means[reference]).max(0)
    usable = [label for label in np.argsort(overall, kind="stable").tolist() if np.isfinite(overall[label])]
    lowest = [label for label in usable if label != chosen]
    furthest = sorted(lowest, key=lambda label: -difference[label])
    room = most - 1
    taken = lowest[: room - room // 2] if len(means) > 1 else lowest[:room]
    taken += [label for label in furthest if label not in taken][: room - len(taken)]
    return [chosen, *sorted(taken, key=usable.index)]


def recall_table(comparison: Comparison, recalls: Recalls, reference: str, labels: Sequence[int]) -> pd.DataFrame:
    """One row per variant and class: `variant`, `class`, `recall`, `low`, `high`, `runs`, `images`, `difference`.

    `recall` is the mean over the `runs` replicates and `difference` how much more it is than the reference's. `low` to
    `high` is the 95 % interval over test images of a single run, and from the lowest to the highest of several. All are
    fractions, NaN for a class without images.

    Raises:
        ValueError: the reference is not one of the variants.
    """
    check_name("reference", reference, comparison.variants)
    base = comparison.variants.index(reference)
    means, fractions = mean_recalls(comparison, recalls), recalls.fractions
    rows = []
    for variant, name in enumerate(comparison.variants):
        runs = comparison.replicates(variant)
        for label in labels:
            count, recall = int(recalls.counts[label]), means[variant, label]
            low, high = fractions[runs, label].min(), fractions[runs, label].max()
            if len(runs) == 1 and count:
                low, high = accuracy_interval(count - int(recalls.recognised[runs[0], label]), count)
            difference = recall - means[base, label]
            rows.append((name, comparison.classes[label], recall, low, high, len(runs), count, difference))
    columns = ["variant", "class", "recall", "low", "high", "runs", "images", "difference"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def run_recall_table(comparison: Comparison, recalls: Recalls, labels: Sequence[int]) -> pd.DataFrame:
    """One row per run and class: `variant`, `run`, `class`, `recall` (a fraction, NaN for a class without images)."""
    fractions = recalls.fractions
    rows = [
        (comparison.variants[variant], run, comparison.classes[label], fractions[row, label])
        for row, (run, variant) in enumerate(zip(comparison.runs, comparison.variant_of.tolist(), strict=True))
        for label in labels
    ]
    return pd.DataFrame(rows, columns=pd.Index(["variant", "run", "class", "recall"]))


def right_and_wrong(outcomes: Outcomes, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those of the positions where a run is right, and those where it is wrong, both in the order given."""
    right = outcomes.predicted[positions] == outcomes.labels[positions]
    return positions[right], positions[~right]


def most_confident(outcomes: Outcomes, positions: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` of the positions, those of the highest confidence first; equal ones in the order given."""
    confidence = outcomes.confidence[positions]
    if len(positions) > count:  # only these are sorted: a class may have 100,000 images
        kept = confidence >= np.partition(confidence, -count)[-count]
        positions, confidence = positions[kept], confidence[kept]
    return positions[np.argsort(-confidence, kind="stable")][:count]


def failing_replicates(comparison: Comparison, variant: int, positions: np.ndarray) -> np.ndarray:
    """In how many of its replicates a variant misclassifies the image at each position, int (positions,)."""
    true = comparison.true[positions]
    wrong = [comparison.outcomes[row].predicted[positions] != true for row in comparison.replicates(variant)]
    return np.sum(wrong, axis=0)


def evenly_spread(positions: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` of the positions, evenly spread over them, the first and the last among them."""
    if len(positions) <= most:
        return positions
    return positions[np.linspace(0, len(positions) - 1, most).round().astype(int)]
