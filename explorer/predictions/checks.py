"""What the arrays of this package must be like, said where they are not."""

from collections.abc import Sequence

import numpy as np


def check_wrong(wrong: np.ndarray, runs: Sequence[str]) -> None:
    """Nothing. Raises ValueError unless wrong is bool (runs, N) with N >= 1 and no label stands for two runs."""
    if wrong.dtype != bool or wrong.ndim != 2 or len(wrong) != len(runs) or not wrong.shape[1]:
        raise ValueError(
            f"wanted bool outcomes ({len(runs)}, N) with N >= 1, a row per run; got {wrong.dtype} {wrong.shape}"
        )
    if len(set(runs)) < len(runs):
        raise ValueError(f"wanted a different label for each run; got {', '.join(runs)}")


def check_labelled(probabilities: np.ndarray, labels: np.ndarray) -> None:
    """Nothing. Raises ValueError unless there are probabilities (N, K) and labels (N,) of the same N >= 1 images."""
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            f"wanted probabilities (N, K) and labels (N,) with N >= 1; got {probabilities.shape} and {labels.shape}"
        )
