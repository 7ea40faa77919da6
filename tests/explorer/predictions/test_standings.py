"""How variants stand: accuracies with intervals against their definition, and differences as they were tested."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from explorer.predictions.paired import RELIABLE, accuracy_interval
from explorer.predictions.replicates import compare_with_variant
from explorer.predictions.standings import (
    BETTER,
    OPEN,
    REFERENCE,
    WORSE,
    pair_differences,
    single_runs,
    standings,
    variant_interval,
)
from tests.explorer.predictions.test_replicates import compared, random_right

IMAGES = 400


def right_on(*counts: int) -> np.ndarray:
    """A run for each count, right on so many of the first of IMAGES images."""
    return np.arange(IMAGES) < np.array(counts)[:, None]


class TestIntervalOfAVariant:
    def test_one_run_has_that_of_its_counts(self) -> None:
        assert variant_interval(right_on(300)) == accuracy_interval(100, IMAGES)

    def test_several_runs_by_the_definition(self) -> None:
        right = random_right([1.0, 1.3, 0.7])
        seeds, images = right.shape
        of_seeds = right.mean(1).var(ddof=1) / seeds
        of_images = right.mean(0).var(ddof=1) / images
        left = right - right.mean(0) - right.mean(1)[:, None] + right.mean()
        both = (left**2).sum() / ((seeds - 1) * (images - 1)) / (seeds * images)
        variance = max(of_seeds + of_images - both, of_seeds, of_images)
        freedom = variance**2 / (of_seeds**2 / (seeds - 1) + of_images**2 / (images - 1))
        half = stats.t.ppf(0.975, freedom) * variance**0.5
        assert variant_interval(right) == pytest.approx((right.mean() - half, right.mean() + half))

    def test_runs_that_do_the_same_have_the_interval_of_one(self) -> None:
        low, high = variant_interval(np.repeat(random_right([1.0], images=2000), 3, axis=0))
        right = random_right([1.0], images=2000)[0]
        half = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 2000)
        assert (low, high) == pytest.approx((right.mean() - half, right.mean() + half), abs=1e-3)

    def test_it_holds_the_true_accuracy_about_as_often_as_it_says(self) -> None:
        draw, held = np.random.default_rng(0), 0
        for _ in range(400):  # half of the images are right with 0.9, half with 0.6, and seeds move that by 0.03
            chance = np.repeat([0.9, 0.6], 100) + draw.normal(0, 0.03, (3, 1))
            low, high = variant_interval(draw.random((3, 200)) < chance)
            held += low <= 0.75 <= high
        assert 0.93 <= held / 400 <= 1

    def test_always_right(self) -> None:
        assert variant_interval(right_on(IMAGES, IMAGES)) == (1, 1)


class TestStandings:
    made = compared({"a": right_on(300, 310), "b": right_on(360, 364), "c": right_on(330)})

    def test_best_first_with_means_and_counts(self) -> None:
        table = standings(self.made)
        assert table["variant"].tolist() == ["b", "c", "a"]
        assert table["runs"].tolist() == [2, 1, 2]
        assert table["accuracy"].to_numpy() == pytest.approx([0.905, 0.825, 0.7625])
        assert np.all(table["low"] < table["accuracy"])
        assert np.all(table["accuracy"] < table["high"])
        assert "difference" not in table

    def test_equally_good_ones_stay_in_their_order(self) -> None:
        table = standings(compared({name: right_on(300) for name in ("x", "y", "z")}))
        assert table["variant"].tolist() == ["x", "y", "z"]

    def test_differences_are_those_of_the_tests(self) -> None:
        table = standings(self.made, "a").set_index("variant")
        tested = compare_with_variant(self.made, "a").set_index("variant_a")
        for ours, theirs in {"difference": "difference", "difference_low": "low", "p_holm": "p_holm"}.items():
            assert table.loc[["b", "c"], ours].tolist() == tested.loc[["b", "c"], theirs].tolist()
        assert np.isnan(table.loc["a", "difference"])

    def test_verdicts_follow_the_corrected_p(self) -> None:
        right = {"ref": random_right([1.0, 1.1, 1.0], 4000), "up": random_right([2.0, 2.1, 2.0], 4000)}
        right |= {"same": random_right([1.0, 1.1, 1.0], 4000, seed=5), "down": random_right([0.1, 0.0, 0.1], 4000)}
        table = standings(compared(right), "ref").set_index("variant")
        assert table["verdict"].to_dict() == {"up": BETTER, "ref": REFERENCE, "same": OPEN, "down": WORSE}
        assert np.array_equal(table["reliable"], table["p_holm"] < RELIABLE)
        assert not np.any(table["single"])

    def test_an_interval_leaves_out_nothing_where_the_difference_is_open(self) -> None:
        for images in (20, 60, 200):  # few discordant images: the exact test and a bootstrap disagree most
            for more in range(1, 12):
                wrong = np.zeros((2, images), dtype=bool)
                wrong[0, :more] = True
                table = standings(compared({"a": ~wrong[:1], "b": ~wrong[1:]}), "a").set_index("variant")
                low, high, p = (float(table.loc["b", key]) for key in ("difference_low", "difference_high", "p_holm"))
                assert (low <= 0 <= high) == (p >= RELIABLE)

    def test_a_single_training_stands_for_several_where_the_other_has_one(self) -> None:
        assert standings(self.made, "a").set_index("variant")["single"].to_dict() == {"a": False, "b": False, "c": True}
        assert standings(self.made, "c").set_index("variant")["single"].to_dict() == {"a": True, "b": True, "c": False}

    def test_single_runs_are_those_of_variants_with_several(self) -> None:
        table = single_runs(self.made)
        assert table["run"].tolist() == ["a, seed 0", "a, seed 1", "b, seed 0", "b, seed 1"]
        assert table["accuracy"].to_numpy() == pytest.approx([0.75, 0.775, 0.9, 0.91])

    def test_nobody_has_several(self) -> None:
        assert single_runs(compared({"a": right_on(300), "b": right_on(310)})).empty


def stood(*rows: tuple[str, float, float, str], runs: int = 1) -> pd.DataFrame:
    """Standings of (variant, accuracy, difference, verdict), with intervals of four points."""
    table = pd.DataFrame(rows, columns=pd.Index(["variant", "accuracy", "difference", "verdict"]))
    reference = table.loc[table["verdict"] == REFERENCE, "variant"].iloc[0]
    return table.assign(
        runs=runs,
        runs_compared=runs,
        run_a=table["variant"],
        run_b=reference,
        difference_low=table["difference"] - 0.02,
        difference_high=table["difference"] + 0.02,
        reliable=table["verdict"].isin([BETTER, WORSE]),
        single=False,
    )


REF = ("batch", 0.8, float("nan"), REFERENCE)


class TestPairs:
    def test_every_pair_both_ways_and_reliable_only_with_the_reference(self) -> None:
        table = pair_differences(stood(("a", 0.9, 0.1, BETTER), REF, ("c", 0.79, -0.01, OPEN)))
        pairs = {(row["variant_a"], row["variant_b"]): row for row in table.to_dict("records")}
        assert len(pairs) == 6
        assert pairs["a", "c"]["difference"] == pytest.approx(0.11)
        assert {pair for pair, row in pairs.items() if row["reliable"]} == {("a", "batch"), ("batch", "a")}

    def test_what_was_told_of_single_trainings_is_not_told_of_means(self) -> None:
        table = stood(("a", 0.9, 0.1, BETTER), REF).assign(single=[True, False])
        assert not np.any(pair_differences(table)["reliable"])
