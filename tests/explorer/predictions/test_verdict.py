"""Sentences word by word."""

import numpy as np
import pandas as pd

from explorer.predictions.paired import compare_to_reference
from explorer.predictions.verdict import SEED_NOISE, seeds_verdict, verdict


def random_wrong(rates: list[float], count: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((len(rates), count)) < np.array(rates)[:, None]


def table_row(run: str, accuracy: float, difference: float, p: float, only_a_wrong: int = 5, only_b_wrong: int = 5):
    """A row of compare_to_reference against batch, which is 84.5 % right."""
    return {
        "run_a": run,
        "run_b": "batch",
        "accuracy_a": accuracy,
        "accuracy_b": 0.845,
        "difference": difference,
        "only_a_wrong": only_a_wrong,
        "only_b_wrong": only_b_wrong,
        "p_holm": p,
    }


class TestVerdict:
    def test_two_runs_without_a_reliable_difference(self):
        said = verdict(pd.DataFrame([table_row("group", 0.839, -0.006, 0.41)]))
        assert said == "batch 84.5 %, group 83.9 %: no reliable difference, p = 0.41."

    def test_two_runs_with_one(self):
        said = verdict(pd.DataFrame([table_row("group", 0.602, -0.243, 1e-9)]))
        assert said == "batch 84.5 %, group 60.2 %: group is reliably worse by 24.3 points, p < 0.001."

    def test_two_runs_that_fail_alike(self):
        said = verdict(pd.DataFrame([table_row("group", 0.845, 0, 1, 0, 0)]))
        assert said == "batch 84.5 %, group 84.5 %: no difference, both fail on exactly the same images."

    def test_several_runs(self):
        rows = [
            table_row("none", 0.841, -0.004, 0.6),
            table_row("group", 0.86, 0.015, 0.012),
            table_row("layer", 0.87, 0.025, 0.0004),
            table_row("instance", 0.702, -0.143, 1e-12),
        ]
        assert verdict(pd.DataFrame(rows)) == (
            "Against batch (84.5 %): layer (87.0 %, p < 0.001) and group (86.0 %, p = 0.012) are reliably better; "
            "instance (70.2 %, p < 0.001) is reliably worse; none (84.1 %, p = 0.6) is not distinguishable from it "
            "(p values Holm-corrected for 4 comparisons)."
        )

    def test_a_p_just_below_the_limit_does_not_read_as_the_limit(self):
        assert "reliably better by 1.5 points, p = 0.0496." in verdict(
            pd.DataFrame([table_row("group", 0.86, 0.015, 0.0496)])
        )

    def test_from_real_comparisons(self):
        runs = ("batch", "group", "layer")
        table = compare_to_reference(random_wrong([0.1, 0.5, 0.1], count=1000), runs, "batch")
        said = verdict(table)
        assert "group" in said.split("is reliably worse")[0]
        assert "layer" in said.split("is reliably worse")[1].split("is not distinguishable")[0]

    def test_one_run(self):
        table = compare_to_reference(random_wrong([0.1]), ["batch"], "batch")
        assert verdict(table) == "Only one run is chosen: choose another to compare it with."

    def test_several_seeds(self):
        seeds = pd.DataFrame({"norm": ["batch", "none"], "mean": [0.845, 0.8], "std": [0.004, np.nan], "n": [3, 1]})
        said = seeds_verdict(seeds)
        assert said == f"Over seeds: batch 84.5 ± 0.4 % (3 seeds), none 80.0 % (one seed). {SEED_NOISE}"
        assert "only the chance in the choice of test images" in said

    def test_one_seed_each_says_nothing_about_seeds(self):
        assert seeds_verdict(pd.DataFrame({"norm": ["batch"], "mean": [0.845], "std": [np.nan], "n": [1]})) == ""
