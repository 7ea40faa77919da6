"""How far a run's confidence can be believed."""

import numpy as np
import pandas as pd

from explorer.predictions.checks import check_labelled


def reliability_table(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """One row per bin of confidence, equally wide over (0, 1]: low, high, count, confidence, accuracy.

    `confidence` and `accuracy` are means over the bin's images, NaN in an empty bin. A bin is open below and closed
    above, as in Guo et al. 2017 (arXiv 1706.04599), section 2.

    Raises:
        ValueError: probabilities (N, K) and labels (N,) do not fit, or there is no image.
    """
    check_labelled(probabilities, labels)
    confidence = probabilities.max(1).astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    right = probabilities.argmax(1) == labels
    count = np.bincount(place, minlength=bins)
    sums = {"confidence": confidence, "accuracy": right}
    means = {name: np.bincount(place, values, bins) / np.where(count, count, np.nan) for name, values in sums.items()}
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "count": count, **means})


def calibration_error(reliability: pd.DataFrame) -> float:
    """The expected calibration error, a fraction: the mean over images of |accuracy - confidence| of their bin.

    From a `reliability_table`. Source: Guo et al. 2017 (arXiv 1706.04599), equation 3.
    """
    count = reliability["count"].to_numpy()
    gap = (reliability["accuracy"] - reliability["confidence"]).abs().to_numpy()
    return float(np.average(gap[count > 0], weights=count[count > 0]))
