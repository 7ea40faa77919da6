"""Statistics against published figures, tables worked by hand, scipy's and statsmodels' own functions."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import binomtest, spearmanr
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from explorer.predictions.comparison import (
    SEED_NOISE,
    accuracy_interval,
    calibration_error,
    compare_all_maps,
    compare_all_pairs,
    compare_pair,
    compare_to_noise,
    compare_to_reference,
    disagreement,
    failing_runs,
    fails_exactly,
    failure_overlap,
    fairness,
    heatmap_agreement,
    holm,
    image_losses,
    label_errors,
    maps_verdict,
    margins,
    mcnemar_p,
    reliability_table,
    seed_summary,
    seeds_verdict,
    verdict,
)

COLUMNS = [
    *("run_a", "run_b", "accuracy_a", "accuracy_b", "difference", "low", "high"),
    *("only_a_wrong", "only_b_wrong", "p", "p_holm"),
]


def outcomes(both: int, only_a: int, only_b: int, neither: int) -> np.ndarray:
    """Wrong (2, N) with so many images in each cell of the 2x2 table."""
    cells = [(True, True)] * both + [(True, False)] * only_a + [(False, True)] * only_b + [(False, False)] * neither
    return np.array(cells).T


def random_wrong(rates: list[float], count: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((len(rates), count)) < np.array(rates)[:, None]


def random_probabilities(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


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


class TestAccuracyInterval:
    def test_published_wilson_interval(self):
        # Newcombe 1998 (Statistics in Medicine 17), table I, method 3: 81 of 263 -> 0.2553 to 0.3662
        assert accuracy_interval(263 - 81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)

    @pytest.mark.parametrize(("wrong", "count"), [(0, 7), (7, 7), (3, 8), (108, 656)])
    def test_equals_scipy(self, wrong: int, count: int):
        expected = binomtest(count - wrong, count).proportion_ci(0.95, method="wilson")
        assert accuracy_interval(wrong, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


class TestMcNemar:
    def test_the_known_figure(self):
        assert mcnemar_p(300, 220) == pytest.approx(0.00052, abs=5e-6)

    @pytest.mark.parametrize("discordant", [(0, 1), (3, 9), (12, 12), (86, 150), (300, 220)])
    def test_equals_statsmodels(self, discordant: tuple[int, int]):
        a, b = discordant
        assert mcnemar_p(a, b) == pytest.approx(mcnemar([[7, a], [b, 90]], exact=True).pvalue)

    def test_worked_by_hand(self):
        assert mcnemar_p(1, 5) == pytest.approx(2 * (1 + 6) / 2**6)

    def test_without_discordant_images_p_is_one(self):
        assert mcnemar_p(0, 0) == 1


class TestComparePair:
    def test_counts_and_difference(self):
        found = compare_pair(*outcomes(both=10, only_a=300, only_b=220, neither=1470))
        assert (found.only_a_wrong, found.only_b_wrong) == (300, 220)
        assert found.accuracy_a == pytest.approx(1690 / 2000)
        assert found.accuracy_b == pytest.approx(1770 / 2000)
        assert found.difference == pytest.approx(-80 / 2000)
        assert found.p == pytest.approx(0.00052, abs=5e-6)

    def test_interval_meets_the_normal_one_of_paired_proportions(self):
        # standard error of the difference, with b and c discordant of n: sqrt(b + c - (b - c)^2 / n) / n
        found = compare_pair(*outcomes(both=10, only_a=300, only_b=220, neither=1470))
        error = np.sqrt(520 - 80**2 / 2000) / 2000
        assert found.low == pytest.approx(-0.04 - 1.96 * error, abs=0.001)
        assert found.high == pytest.approx(-0.04 + 1.96 * error, abs=0.001)

    def test_interval_meets_a_bootstrap_that_draws_images(self):
        a, b = random_wrong([0.3, 0.2], count=200)
        drawn = np.random.default_rng(1).integers(0, 200, (20_000, 200))
        low, high = np.quantile((b[drawn].mean(1) - a[drawn].mean(1)), [0.025, 0.975])
        found = compare_pair(a, b)
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.011)

    def test_seeded(self):
        a, b = random_wrong([0.3, 0.2])
        assert compare_pair(a, b, seed=3) == compare_pair(a, b, seed=3)

    def test_swapping_the_runs_changes_the_sign(self):
        a, b = random_wrong([0.3, 0.2])
        there, back = compare_pair(a, b), compare_pair(b, a)
        assert back.difference == -there.difference
        assert back.p == there.p
        assert (back.only_a_wrong, back.only_b_wrong) == (there.only_b_wrong, there.only_a_wrong)

    def test_identical_runs(self):
        (wrong,) = random_wrong([0.3])
        found = compare_pair(wrong, wrong)
        assert (found.p, found.difference, found.low, found.high) == (1, 0, 0, 0)
        assert found.only_a_wrong == found.only_b_wrong == 0

    def test_mismatched_lengths(self):
        with pytest.raises(ValueError, match=r"same images; got outcomes of shape \(3,\) and \(4,\)"):
            compare_pair(np.zeros(3, bool), np.zeros(4, bool))

    def test_no_images(self):
        with pytest.raises(ValueError, match="N >= 1"):
            compare_pair(np.zeros(0, bool), np.zeros(0, bool))

    def test_predictions_instead_of_outcomes(self):
        with pytest.raises(ValueError, match="wanted bool outcomes"):
            compare_pair(np.array([0, 3]), np.array([1, 2]))


class TestHolm:
    def test_worked_by_hand(self):
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_equals_statsmodels(self):
        p = np.random.default_rng(0).random(20) ** 3
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])

    def test_nothing_to_correct(self):
        assert holm([0.2]) == pytest.approx([0.2])
        assert len(holm([])) == 0


class TestCompareMany:
    runs = ("batch", "group", "layer", "none")

    def test_against_a_reference(self):
        wrong = random_wrong([0.2, 0.3, 0.25, 0.2])
        table = compare_to_reference(wrong, self.runs, "group")
        assert list(table.columns) == COLUMNS
        assert table["run_a"].tolist() == ["batch", "layer", "none"]
        assert set(table["run_b"]) == {"group"}
        expected = compare_pair(wrong[2], wrong[1])
        row = table.iloc[1]
        assert (row["difference"], row["low"], row["high"]) == (expected.difference, expected.low, expected.high)
        assert table["p_holm"].to_numpy() == pytest.approx(multipletests(table["p"], method="holm")[1])

    def test_all_pairs(self):
        table = compare_all_pairs(random_wrong([0.2, 0.3, 0.25, 0.2]), self.runs)
        assert list(table.columns) == COLUMNS
        assert len(set(zip(table["run_a"], table["run_b"], strict=True))) == 6
        assert table["p_holm"].to_numpy() == pytest.approx(multipletests(table["p"], method="holm")[1])

    def test_one_run_has_nobody_to_compare_with(self):
        wrong = random_wrong([0.2])
        for table in (compare_all_pairs(wrong, ["batch"]), compare_to_reference(wrong, ["batch"], "batch")):
            assert table.empty
            assert list(table.columns) == COLUMNS

    def test_unknown_reference(self):
        with pytest.raises(ValueError, match="unknown reference 'grp'; expected one of: batch, group"):
            compare_to_reference(random_wrong([0.2, 0.3]), ["batch", "group"], "grp")

    def test_runs_and_rows_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"wanted bool outcomes \(3, N\)"):
            compare_all_pairs(random_wrong([0.2, 0.3]), ["batch", "group", "layer"])

    def test_two_runs_of_one_label(self):
        with pytest.raises(ValueError, match="a different label for each run; got batch, batch"):
            compare_all_pairs(random_wrong([0.2, 0.3]), ["batch", "batch"])


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


class TestSeedSummary:
    def test_worked_by_hand(self):
        table = pd.DataFrame(
            {"norm": ["layer", "batch", "batch", "batch"], "seed": [0, 0, 1, 2], "accuracy": [0.5, 0.80, 0.82, 0.84]}
        )
        found = seed_summary(table)
        assert found["norm"].tolist() == ["layer", "batch"]
        assert found["n"].tolist() == [1, 3]
        assert found["mean"].to_numpy() == pytest.approx([0.5, 0.82])
        assert found["std"][1] == pytest.approx(0.02)
        assert np.isnan(found["std"][0])

    def test_a_seed_twice(self):
        table = pd.DataFrame({"norm": ["batch", "batch"], "seed": [1, 1], "loss": [0.3, 0.4]})
        with pytest.raises(ValueError, match="norm 'batch' has seed 1 twice"):
            seed_summary(table, "loss")

    def test_a_missing_column(self):
        with pytest.raises(ValueError, match="wanted the columns norm, seed and loss; seed, loss missing"):
            seed_summary(pd.DataFrame({"norm": ["batch"]}), "loss")


class TestFairness:
    def test_says_what_differs_besides_the_norm(self):
        shared = {"epochs": 30, "learning_rate": 0.1}
        settings = [
            shared | {"norm": "batch", "batch_size": 128, "seconds": 31.4, "macs": 41_000_000, "parameters": 1234},
            shared | {"norm": "layer", "batch_size": 128, "seconds": 58.06, "macs": 41_000_000, "parameters": 1234},
            shared | {"norm": "none", "batch_size": 64, "seconds": 29.0, "macs": 40_000_000, "parameters": 1200},
        ]
        assert fairness(settings, ["batch", "layer", "none"]) == [
            "Batch size: 128 for batch and layer, 64 for none.",
            "Seconds: from 29 (none) to 58.06 (layer).",
            "MACs: 41,000,000 for batch and layer, 40,000,000 for none.",
            "Parameters: 1,234 for batch and layer, 1,200 for none.",
        ]

    def test_words_and_what_was_not_recorded(self):
        settings = [{"optimizer": "sgd", "mixup": True}, {"optimizer": "adam"}, {"optimizer": "lamb", "mixup": True}]
        assert fairness(settings, ["a", "b", "c"]) == [
            "Optimizer: sgd for a, adam for b, lamb for c.",
            "Mixup: True for a and c, not recorded for b.",
        ]

    def test_small_differences_are_not_rounded_away(self):
        assert fairness([{"weight_decay": 5e-4}, {"weight_decay": 1e-4}], ["a", "b"]) == [
            "Weight decay: 0.0005 for a, 0.0001 for b."
        ]

    def test_nothing_differs(self):
        assert fairness([{"norm": "batch", "epochs": 3}, {"norm": "none", "epochs": 3}], ["a", "b"]) == []
        assert fairness([], []) == []

    def test_not_as_many_settings_as_runs(self):
        with pytest.raises(ValueError, match="each of 2 runs; got 1"):
            fairness([{}], ["a", "b"])


class TestFailureOverlap:
    def test_worked_by_hand(self):
        wrong = np.array([[1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0, 0, 0]], bool)
        table = failure_overlap(wrong, ["batch", "group"]).set_index("failing")
        # each fails on 3 of 10: 10 x 0.3 x 0.3 together, 10 x 0.3 x 0.7 alone, 10 x 0.7 x 0.7 nobody
        assert table["observed"].to_dict() == {(): 6, ("batch", "group"): 2, ("batch",): 1, ("group",): 1}
        assert table["expected"].to_dict() == pytest.approx(
            {(): 4.9, ("batch", "group"): 0.9, ("batch",): 2.1, ("group",): 2.1}
        )
        assert table["ratio"][("batch", "group")] == pytest.approx(2 / 0.9)

    def test_counts_add_up_and_are_sorted(self):
        runs = [f"run{i}" for i in range(7)]
        table = failure_overlap(random_wrong([0.1, 0.2, 0.3, 0.4, 0.5, 0.2, 0.9]), runs)
        assert table["observed"].sum() == 400
        assert table["observed"].is_monotonic_decreasing
        assert table["expected"].sum() <= 400 + 1e-9
        assert table["failing"].is_unique

    def test_independent_failures_have_ratio_one(self):
        table = failure_overlap(random_wrong([0.3, 0.4, 0.5], count=100_000), ["a", "b", "c"])
        assert table["ratio"].to_numpy() == pytest.approx(np.ones(8), abs=0.05)
        assert table["expected"].sum() == pytest.approx(100_000)

    def test_one_run(self):
        table = failure_overlap(np.array([[True, False, False]]), ["batch"])
        assert table["failing"].tolist() == [(), ("batch",)]
        assert table["ratio"].tolist() == [1, 1]

    def test_nobody_ever_fails(self):
        table = failure_overlap(np.zeros((2, 5), bool), ["a", "b"])
        assert table.to_dict("records") == [{"failing": (), "observed": 5, "expected": 5.0, "ratio": 1.0}]

    def test_images_of_each_set(self):
        runs, wrong = ["a", "b", "c"], random_wrong([0.3, 0.4, 0.5])
        for row in failure_overlap(wrong, runs).itertuples():
            images = fails_exactly(wrong, runs, row.failing)
            assert images.sum() == row.observed
            assert (failing_runs(wrong)[images] == len(row.failing)).all()

    def test_images_of_an_unknown_run(self):
        with pytest.raises(ValueError, match="unknown runs z; expected some of: a, b"):
            fails_exactly(random_wrong([0.3, 0.4]), ["a", "b"], ["z"])

    def test_no_images(self):
        with pytest.raises(ValueError, match="N >= 1"):
            failure_overlap(np.zeros((2, 0), bool), ["a", "b"])

    def test_failing_runs(self):
        assert failing_runs(np.array([[True, False, True], [True, False, False]])).tolist() == [2, 0, 1]


class TestDisagreement:
    def test_two_runs_equal_scipy(self):
        p = random_probabilities(2, 50, 4)
        assert disagreement(p) == pytest.approx(jensenshannon(p[0], p[1], base=2, axis=1) ** 2)

    def test_bounds(self):
        certain = np.eye(3)[[[0, 1, 2], [0, 2, 2], [0, 0, 2]]]  # (runs, N, K), the three agree, all differ, agree
        assert disagreement(certain) == pytest.approx([0, 1, 0])
        many = disagreement(random_probabilities(7, 200, 2))
        assert ((many >= 0) & (many <= 1)).all()

    def test_one_run_cannot_disagree(self):
        assert disagreement(random_probabilities(1, 5, 3)) == pytest.approx(np.zeros(5))

    def test_one_run_without_its_axis(self):
        with pytest.raises(ValueError, match=r"\(runs, N, K\) of at least one run; got \(5, 3\)"):
            disagreement(np.zeros((5, 3)))


class TestCalibration:
    probabilities = np.array([[0.9, 0.1], [0.95, 0.05], [0.4, 0.6], [0.3, 0.7], [0.65, 0.35]])
    labels = np.array([0, 1, 1, 1, 1])

    def test_table_worked_by_hand(self):
        # five bins of 0.2: (0.4, 0.6] holds image 2; (0.6, 0.8] images 3 and 4; (0.8, 1] images 0 and 1
        table = reliability_table(self.probabilities, self.labels, bins=5)
        assert table["count"].tolist() == [0, 0, 1, 2, 2]
        assert table["low"].to_numpy() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
        assert table["high"].to_numpy() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
        assert table["confidence"][2:].to_numpy() == pytest.approx([0.6, 0.675, 0.925])
        assert table["accuracy"][2:].to_numpy() == pytest.approx([1, 0.5, 0.5])
        assert table[["confidence", "accuracy"]][:2].isna().to_numpy().all()

    def test_error_worked_by_hand(self):
        table = reliability_table(self.probabilities, self.labels, bins=5)
        assert calibration_error(table) == pytest.approx((1 * 0.4 + 2 * 0.175 + 2 * 0.425) / 5)

    def test_fifteen_bins_hold_every_image(self):
        table = reliability_table(random_probabilities(500, 10), np.zeros(500, int))
        assert len(table) == 15
        assert table["count"].sum() == 500

    def test_certain_and_right_is_perfect_certain_and_wrong_the_worst(self):
        certain = np.eye(2)[[0, 1, 1]]
        assert calibration_error(reliability_table(certain, np.array([0, 1, 1]))) == 0
        assert calibration_error(reliability_table(certain, np.array([1, 0, 0]))) == 1

    def test_labels_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"got \(5, 2\) and \(4,\)"):
            reliability_table(self.probabilities, self.labels[:4])

    def test_no_images(self):
        with pytest.raises(ValueError, match="N >= 1"):
            reliability_table(np.zeros((0, 2)), np.zeros(0, int))


class TestPerImage:
    def test_margins(self):
        p = np.array([[0.7, 0.1, 0.2], [0.3, 0.3, 0.4], [0.5, 0.5, 0]])
        assert margins(p) == pytest.approx([0.5, 0.1, 0])

    def test_margins_need_two_classes(self):
        with pytest.raises(ValueError, match="K >= 2"):
            margins(np.ones((3, 1)))

    def test_losses(self):
        p = np.array([[0.5, 0.5], [0.25, 0.75], [1, 0]])
        assert image_losses(p, np.array([0, 0, 0])) == pytest.approx([np.log(2), np.log(4), 0])

    def test_an_impossible_label_has_a_finite_loss(self):
        assert np.isfinite(image_losses(np.array([[1.0, 0.0]]), np.array([1]))).all()


class TestLabelErrors:
    def test_worked_by_hand(self):
        p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55]])
        labels = np.array([0, 0, 0, 1, 1, 0])
        # thresholds: class 0 (0.9 + 0.8 + 0.1 + 0.45) / 4 = 0.5625, class 1 (0.8 + 0.7) / 2 = 0.75;
        # the last image is wrong, but not confidently
        assert label_errors(p, labels).tolist() == [False, False, True, False, False, False]

    def test_finds_labels_that_were_swapped(self):
        draw = np.random.default_rng(0)
        true = draw.integers(0, 4, 600)
        swapped = draw.random(600) < 0.05
        labels = np.where(swapped, (true + 1) % 4, true)
        logits = draw.normal(size=(600, 4)) + 6 * np.eye(4)[true]
        found = label_errors(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels)
        assert found[swapped].mean() > 0.9
        assert found[~swapped].mean() < 0.01

    def test_a_class_without_images_is_no_obstacle(self):
        # of class 2 there is no image; image 1 reaches the threshold of class 0, which is 0.9
        found = label_errors(np.array([[0.9, 0.1, 0.0], [0.95, 0.05, 0.0], [0.1, 0.9, 0.0]]), np.array([0, 1, 1]))
        assert found.tolist() == [False, True, False]

    def test_an_image_predicted_as_labelled_is_not_flagged(self):
        # image 0 is below the threshold of class 0 and at that of class 1, and yet class 0 is its likeliest
        p = np.array([[0.6, 0.4], [0.95, 0.05], [0.7, 0.3]])
        assert not label_errors(p, np.array([0, 0, 1]))[0]

    def test_labels_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"got \(3, 2\) and \(2,\)"):
            label_errors(np.ones((3, 2)), np.zeros(2, int))


class TestHeatmapAgreement:
    def maps(self, seed: int, count: int = 6) -> np.ndarray:
        return np.random.default_rng(seed).random((count, 10, 10)).astype(np.float32)

    def test_spearman_equals_scipy(self):
        a, b = self.maps(0), self.maps(1).round(1)  # rounded, so that there are ties
        expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
        assert heatmap_agreement(a, b)["spearman"].to_numpy() == pytest.approx(expected)

    def test_same_maps_agree_and_opposite_ones_do_not(self):
        a = self.maps(0)
        same, opposite = heatmap_agreement(a, a), heatmap_agreement(a, 1 - a)
        assert same.to_numpy() == pytest.approx(np.ones((6, 2)))
        assert opposite["spearman"].to_numpy() == pytest.approx(-np.ones(6))
        assert opposite["overlap"].tolist() == [0] * 6

    def test_overlap_worked_by_hand(self):
        a = np.arange(10.0).reshape(1, 2, 5)  # hottest 20 %: 8 and 9
        b = a.copy()
        b[0, 1, 3], b[0, 0, 1] = 1, 8  # hottest 20 %: pixel 1 and pixel 9
        assert heatmap_agreement(a, b)["overlap"].tolist() == pytest.approx([1 / 3])

    def test_a_map_that_is_mostly_zero_counts_where_it_is_hot(self):
        a, b = np.zeros((2, 1, 10, 10))
        a[0, 0, :2], b[0, 0, 1:3] = 1, 1
        assert heatmap_agreement(a, b)["overlap"].tolist() == pytest.approx([1 / 3])

    @pytest.mark.parametrize("value", [0.0, 0.5, np.nan])
    def test_a_blank_map_has_no_agreement(self, value: float):
        a, b = self.maps(0), self.maps(1)
        b[2] = value
        found = heatmap_agreement(a, b)
        assert found.isna().any(axis=1).tolist() == [False, False, True, False, False, False]

    def test_shapes_that_differ(self):
        with pytest.raises(ValueError, match=r"one shape; got \(6, 10, 10\) and \(5, 10, 10\)"):
            heatmap_agreement(self.maps(0), self.maps(0, count=5))

    def test_no_images(self):
        assert heatmap_agreement(np.zeros((0, 4, 4)), np.zeros((0, 4, 4))).empty


class TestCompareToNoise:
    @staticmethod
    def noisy(maps: np.ndarray, seed: int) -> np.ndarray:
        return maps + np.random.default_rng(seed).normal(0, 0.2, maps.shape)

    @pytest.mark.parametrize("measure", ["spearman", "overlap"])
    def test_other_maps_differ_more_than_noise(self, measure):
        a, b = np.random.default_rng(0).random((2, 30, 8, 8))
        found = compare_to_noise(a, b, self.noisy(a, 1), measure)
        assert found.differs
        assert found.within > found.between
        assert found.drop == pytest.approx(found.within - found.between)

    def test_another_seed_does_not(self):
        a = np.random.default_rng(0).random((30, 8, 8))
        found = compare_to_noise(a, self.noisy(a, 1), self.noisy(a, 2))
        assert not found.differs
        assert found.low < 0 < found.high

    def test_all_the_same(self):
        a = np.random.default_rng(0).random((5, 8, 8))
        found = compare_to_noise(a, a, a)
        assert (found.drop, found.low, found.high) == (0, 0, 0)
        assert not found.differs

    def test_interval_of_hand_made_agreements(self):
        # opposite maps on 1 of 4 images: drops 2, 0, 0, 0 -> mean 0.5, s = 1, Student's 97.5 % at 3 is 3.1824
        a = np.random.default_rng(0).random((4, 8, 8))
        b = a.copy()
        b[0] = 1 - b[0]
        found = compare_to_noise(a, b, a)
        assert found.drop == pytest.approx(0.5)
        assert (found.low, found.high) == pytest.approx((0.5 - 3.1824 / 2, 0.5 + 3.1824 / 2), abs=1e-4)

    def test_blank_maps_are_left_out(self):
        a, b = np.random.default_rng(0).random((2, 30, 8, 8))
        again = self.noisy(a, 1)
        a[3], b[4], again[5] = 0, 0, 0
        assert compare_to_noise(a, b, again).count == 27

    @pytest.mark.parametrize("count", [0, 1])
    def test_too_few_images(self, count: int):
        a, b = np.random.default_rng(0).random((2, count, 8, 8))
        found = compare_to_noise(a, b, a)
        assert not found.differs


class TestCompareAllMaps:
    def maps(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Two runs that look at the same places but for noise, and one that looks elsewhere."""
        here, elsewhere = np.random.default_rng(0).random((2, 30, 8, 8))
        noisy = TestCompareToNoise.noisy
        maps = {"batch": here, "group": noisy(here, 1), "layer": elsewhere}
        again = {"batch": noisy(here, 2), "group": noisy(here, 3), "layer": noisy(elsewhere, 4)}
        return maps, again

    @pytest.mark.parametrize("measure", ["spearman", "overlap"])
    def test_every_ordered_pair_and_the_floor_on_the_diagonal(self, measure):
        maps, again = self.maps()
        table = compare_all_maps(maps, again, measure).set_index(["run_a", "run_b"])
        assert len(table) == 9
        for a, b in product(maps, repeat=2):
            wanted = heatmap_agreement(maps[a], again[a] if a == b else maps[b])[measure].mean()
            assert table.loc[(a, b), "agreement"] == pytest.approx(wanted)
        assert [pair for pair in table.index if table.loc[pair, "differs"]] == [
            ("batch", "layer"),
            ("group", "layer"),
            ("layer", "batch"),
            ("layer", "group"),
        ]

    def test_the_verdict_in_words(self):
        table = compare_all_maps(*self.maps())
        said = "Against batch: layer looks elsewhere; group does not differ from it beyond noise."
        assert maps_verdict(table, "batch") == said
        assert maps_verdict(table, "layer") == "Against layer: batch and group look elsewhere."
        assert maps_verdict(table[table["run_a"] == table["run_b"]], "batch").startswith("Only one run")

    def test_a_run_without_a_map_is_not_said_to_agree(self):
        maps, again = self.maps()
        blank = np.zeros_like(maps["batch"])
        table = compare_all_maps(maps | {"none": blank}, again | {"none": blank})
        assert maps_verdict(table, "batch").endswith(
            "beyond noise; none shares no image with it where both maps show anything."
        )
