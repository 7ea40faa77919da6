"""Which labels are likely wrong."""

import numpy as np

from explorer.predictions.checks import check_labelled
from explorer.predictions.comparison import Probabilities


def label_errors(probabilities: Probabilities, labels: np.ndarray) -> np.ndarray:
    """Bool (N,): whose label is likely wrong, by cleanlab's confident learning over the probabilities of one run.

    These are the images where a class other than the label, and the likeliest of all, reaches its threshold: the mean
    probability of that class over the images labelled so (Northcutt et al. 2021, arXiv 1911.00068, section 3.1).

    The probabilities must come from images that the model was not trained on. All of them are in memory while this
    runs, and a million by ten classes take a second: compute it once.

    Raises:
        ValueError: probabilities (N, K) and labels (N,) do not fit, or there is no image.
    """
    from cleanlab.filter import find_label_issues  # slow to import

    values = np.concatenate(list(probabilities.blocks()))
    check_labelled(values, labels)
    return find_label_issues(labels, values, filter_by="confident_learning", n_jobs=1)
