"""What an accuracy has to be read against: the most common class, and classes that count alike."""

import numpy as np
import pandas as pd

from explorer.predictions.comparison import Comparison


def most_common_class(labels: np.ndarray) -> tuple[int, float]:
    """The class that most images have, the first of several, and the share of images (N,) that have it.

    The share is the accuracy of whoever answers that class whatever the image shows.
    """
    counts = np.bincount(labels)
    return int(counts.argmax()), float(counts.max() / len(labels))


def balanced_accuracies(comparison: Comparison) -> np.ndarray:
    """Of each run the mean over the classes that have images of the share that is right, (R,).

    Source: Brodersen et al. 2010, The balanced accuracy and its posterior distribution, ICPR.
    """
    labels, classes = comparison.true, len(comparison.classes)
    images = np.bincount(labels, minlength=classes)
    occurring = images > 0
    right = np.stack([np.bincount(labels[~wrong], minlength=classes) for wrong in comparison.wrong])
    return (right[:, occurring] / images[occurring]).mean(1)


def mean_by_variant(comparison: Comparison, values: np.ndarray, name: str) -> pd.DataFrame:
    """One row per variant: `variant`, the mean `<name>` of the values (R,) of its runs, their `<name>_std` (n - 1)."""
    variants = [comparison.variants[number] for number in comparison.variant_of]
    table = pd.DataFrame({"variant": variants, "value": values})
    found = table.groupby("variant", sort=False)["value"].agg(["mean", "std"]).reset_index()
    return found.rename(columns={"mean": name, "std": f"{name}_std"})
