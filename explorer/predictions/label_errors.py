"""Which labels are likely wrong."""

import numpy as np

from explorer.predictions.checks import check_labelled


def label_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Bool (N,): whose label is likely wrong, by cleanlab's confident learning.

    These are the images where a class other than the label, and the likeliest of all, reaches its threshold: the mean
    probability of that class over the images labelled so (Northcutt et al. 2021, arXiv 1911.00068, section 3.1).

    The probabilities must come from images that the model was not trained on.

    Raises:
        ValueError: probabilities (N, K) and labels (N,) do not fit, or there is no image.
    """
    from cleanlab.filter import find_label_issues  # slow to import

    check_labelled(probabilities, labels)
    return find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
