"""How often each test calls two equal variants different: its level, which should be 5 % at most.

    python -m benchmarks.levels

Made-up outcomes of two variants with no true difference, as many as the test images of ELPV: an image is easy or hard
for all runs alike, a run is good or bad on all images alike, and the rest is chance. Accuracy (85 %) and how often two
runs of one variant disagree (8 to 9 % of the images) are those of the committed runs of resnet14 on ELPV. Two variants
are then compared three ways: by the test over seeds and images (`explorer.predictions.replicates`), by McNemar's test
on one seed of each, and by McNemar's on the pooled pairs of all seeds.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from explorer.predictions.paired import RELIABLE, mcnemar_p
from explorer.predictions.replicates import compare_variants

EASE, EASE_SPREAD = 5.5, 5.0  # mean and standard deviation over images of the log odds to be right: 85 % are


@dataclass(frozen=True)
class Levels:
    """The share of draws, without a true difference, in which each test has a p below RELIABLE."""

    over_seeds: float
    one_seed: float
    pooled: float


def draw_right(
    rng: np.random.Generator, *, images: int, seeds: int, run_spread: float, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the runs of two equal variants get right, bool (draws, seeds, images) each.

    Args:
        rng: the source of chance.
        images: test images.
        seeds: runs of each variant.
        run_spread: the standard deviation of a run's true accuracy, a fraction.
        draws: how many times.
    """
    ease = rng.normal(EASE, EASE_SPREAD, (draws, 1, images))
    # A shift of the log odds moves the accuracy by the mean of p (1 - p).
    sample = 1 / (1 + np.exp(-rng.normal(EASE, EASE_SPREAD, 100_000)))
    shift = rng.normal(0, run_spread / (sample * (1 - sample)).mean(), (draws, 2 * seeds, 1))
    right = rng.random((draws, 2 * seeds, images)) < 1 / (1 + np.exp(-ease - shift))
    return right[:, :seeds], right[:, seeds:]


def measure_levels(*, images: int = 656, seeds: int = 3, run_spread: float = 0.012, draws: int = 2000) -> Levels:
    """The levels of the three tests, from a seeded simulation; arguments as for `draw_right`."""
    rng, counts = np.random.default_rng(0), np.zeros(3)
    for _ in range(0, draws, 100):  # 100 at a time, for memory
        for a, b in zip(*draw_right(rng, images=images, seeds=seeds, run_spread=run_spread, draws=100), strict=True):
            p = compare_variants(a, b).p, _mcnemar(a[:1], b[:1]), _mcnemar(a, b)
            counts += np.array(p) < RELIABLE
    return Levels(*(counts / (100 * -(-draws // 100))).tolist())


def _mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> float:
    """McNemar's p over the pairs of runs in the same row."""
    return mcnemar_p(int((~right_a & right_b).sum()), int((right_a & ~right_b).sum()))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.levels", description="How often each test errs.")
    parser.add_argument("--draws", type=int, default=4000, help="simulated pairs of variants per row (default: 4000)")
    draws = parser.parse_args().draws
    print(f"Share of p < {RELIABLE} without a true difference; 656 images, {draws:,} draws a row.\n")
    print("| seeds each | run-to-run SD, points | over seeds and images | McNemar, one seed | McNemar, pooled pairs |")
    print("|---|---|---|---|---|")
    for seeds in (2, 3, 5):
        for spread in (0.0, 0.006, 0.012):
            found = measure_levels(seeds=seeds, run_spread=spread, draws=draws)
            rates = " | ".join(f"{100 * rate:.1f}%" for rate in (found.over_seeds, found.one_seed, found.pooled))
            print(f"| {seeds} | {100 * spread:.1f} | {rates} |")


if __name__ == "__main__":
    main()
