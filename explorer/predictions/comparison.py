"""The one value for what is compared: what several runs say of the same images, and which of them are replicates."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Protocol

import numpy as np

from explorer.predictions.outcomes import Outcomes
from explorer.registry import check_name


class Probabilities(Protocol):
    """The probabilities (N, K) that one run gives N images; they may lie on disk."""

    def of(self, image: int) -> np.ndarray:
        """Those of one image, float32 (K,)."""
        ...

    def blocks(self) -> Iterator[np.ndarray]:
        """All of them once, in order, as float32 (n, K) of whatever n."""
        ...


@dataclass(frozen=True, eq=False)
class Comparison:
    """What R runs of V variants say of the same N images of K classes; runs of one variant are its replicates.

    What is derived is computed when first asked for, and kept. Nothing takes memory of N x K.

    Attributes:
        runs: the label of each run, (R).
        variants: the label of each variant, (V), in the order to show.
        variant_of: which variant each run is a replicate of, int (R,); every variant has at least one.
        seeds: the seed of each run, (R); None where it has none.
        classes: the name of each class, (K).
        ids: the name of each image, (N).
        outcomes: what each run says of the images, (R).
        stored: the probabilities of each run, (R); None where a run kept none.
        key: tells the comparison from all others, for caches.
        whole: the comparison that this one is a seed of; None for one that is not.

    Raises:
        ValueError: the parts do not fit each other.
    """

    runs: tuple[str, ...]
    variants: tuple[str, ...]
    variant_of: np.ndarray
    seeds: tuple[int | None, ...]
    classes: tuple[str, ...]
    ids: Sequence[str]
    outcomes: tuple[Outcomes, ...]
    stored: tuple[Probabilities | None, ...]
    key: Hashable = None
    whole: "Comparison | None" = None

    def __post_init__(self) -> None:
        _check_runs(self)
        _check_variants(self)
        for run, outcome in zip(self.runs, self.outcomes, strict=True):
            _check_outcomes(self, run, outcome)

    @cached_property
    def true(self) -> np.ndarray:
        """The true classes, int (N,)."""
        return self.outcomes[0].labels

    @cached_property
    def predicted(self) -> np.ndarray:
        """The predicted classes, int (R, N)."""
        return np.stack([outcome.predicted for outcome in self.outcomes])

    @cached_property
    def wrong(self) -> np.ndarray:
        """Whether each run misclassifies each image, bool (R, N)."""
        return np.stack([outcome.wrong for outcome in self.outcomes])

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the predicted class, float32 (R, N)."""
        return np.stack([outcome.confidence for outcome in self.outcomes])

    @cached_property
    def margin(self) -> np.ndarray:
        """The highest minus the second highest probability, float32 (R, N)."""
        return np.stack([outcome.margin for outcome in self.outcomes])

    @cached_property
    def loss(self) -> np.ndarray:
        """The cross entropy in nats, float32 (R, N)."""
        return np.stack([outcome.loss for outcome in self.outcomes])

    @cached_property
    def failures(self) -> np.ndarray:
        """In how many of its replicates each variant misclassifies each image, int (V, N)."""
        counts = (self.wrong[self.replicates(v)].sum(0, dtype=np.int16) for v in range(len(self.variants)))
        return np.stack(list(counts))

    def replicates(self, variant: int) -> np.ndarray:
        """The rows of the runs of a variant, by its index, int (replicates,)."""
        return np.flatnonzero(self.variant_of == variant)

    def row(self, label: str) -> int:
        """The row of a run. Raises ValueError for a label that is none of the runs'."""
        check_name("run", label, self.runs)
        return self.runs.index(label)

    def position(self, image_id: str) -> int | None:
        """Where an image stands among the N, None where no image has that name."""
        return (self.whole or self)._positions.get(image_id)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {image_id: position for position, image_id in enumerate(self.ids)}

    def probabilities(self, image: int) -> np.ndarray:
        """What each run says of one image, float32 (R, K); NaN in the rows of runs that kept no probabilities."""
        nothing = np.full(len(self.classes), np.nan, dtype=np.float32)
        return np.stack([nothing if stored is None else stored.of(image) for stored in self.stored])

    @property
    def seed_choices(self) -> tuple[int, ...]:
        """The seeds that some run has, in order."""
        return tuple(sorted({seed for seed in self.seeds if seed is not None}))

    def at_seed(self, seed: int | None) -> "Comparison":
        """One run per variant, under the variant's label: that of the seed, or of the variant's lowest without it."""
        rows = tuple(self.replicate_at(variant, seed) for variant in range(len(self.variants)))
        if self.runs == self.variants and rows == tuple(range(len(self.runs))):
            return self
        if rows not in self._at_seeds:
            self._at_seeds[rows] = self._of_rows(rows)
        return self._at_seeds[rows]

    @cached_property
    def _at_seeds(self) -> dict[tuple[int, ...], "Comparison"]:
        """By the rows of its runs, each comparison at a seed that was asked for; so what it derives is kept too."""
        return {}

    def replicate_at(self, variant: int, seed: int | None) -> int:
        """The row of the run of a variant, by its index, with a seed; of its lowest seed where none has that one."""

        def distance(row: int) -> tuple[bool, bool, int]:
            own = self.seeds[row]
            return own != seed, own is None, own or 0

        return min(self.replicates(variant).tolist(), key=distance)

    def _of_rows(self, rows: Sequence[int]) -> "Comparison":
        return Comparison(
            runs=self.variants,
            variants=self.variants,
            variant_of=np.arange(len(self.variants)),
            seeds=tuple(self.seeds[row] for row in rows),
            classes=self.classes,
            ids=self.ids,
            outcomes=tuple(self.outcomes[row] for row in rows),
            stored=tuple(self.stored[row] for row in rows),
            key=(self.key, tuple(rows)),
            whole=self,
        )


def _check_runs(comparison: Comparison) -> None:
    runs = comparison.runs
    if not runs or len(set(runs)) < len(runs):
        raise ValueError(f"wanted runs, each with a label of its own; got {', '.join(runs) or 'none'}")
    for name in ("variant_of", "seeds", "outcomes", "stored"):
        if len(getattr(comparison, name)) != len(runs):
            raise ValueError(f"wanted {name} of each of {len(runs)} runs; got {len(getattr(comparison, name))}")


def _check_variants(comparison: Comparison) -> None:
    variants, found = comparison.variants, sorted(set(comparison.variant_of.tolist()))
    if len(set(variants)) < len(variants):
        raise ValueError(f"wanted a different label for each variant; got {', '.join(variants)}")
    if found != list(range(len(variants))):
        raise ValueError(f"wanted at least one run of each of {len(variants)} variants; got runs of variants {found}")


def _check_outcomes(comparison: Comparison, run: str, outcome: Outcomes) -> None:
    images, classes, labels = len(comparison.ids), len(comparison.classes), comparison.outcomes[0].labels
    found = {len(getattr(outcome, field.name)) for field in fields(outcome)}
    if found != {images} or not images:
        raise ValueError(f"wanted outcomes of {images:,} images, at least 1; run {run!r} has {sorted(found)}")
    if outcome.labels is not labels and not np.array_equal(outcome.labels, labels):
        raise ValueError(
            f"wanted the same images for all runs; run {run!r} has other labels than {comparison.runs[0]!r}"
        )
    highest = max(int(outcome.labels.max()), int(outcome.predicted.max()))
    if highest >= classes:
        raise ValueError(f"wanted classes from 0 to {classes - 1}; run {run!r} has class {highest}")
