"""Probabilities of runs that are made by hand."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from explorer.predictions.outcomes import blocks_of


@dataclass(frozen=True, eq=False)
class ArrayProbabilities:
    """Probabilities that are an array (N, K), in memory or mapped into it."""

    values: np.ndarray

    def of(self, image: int) -> np.ndarray:
        """Those of one image, float32 (K,)."""
        return np.asarray(self.values[image], dtype=np.float32)

    def blocks(self) -> Iterator[np.ndarray]:
        """All of them once, in order, as (n, K)."""
        return blocks_of(self.values)
