"""Paired tests against published figures, tables worked by hand, scipy's and statsmodels' own functions."""

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from explorer.predictions.paired import accuracy_interval, compare_pair, holm, mcnemar_p


def outcomes(both: int, only_a: int, only_b: int, neither: int) -> np.ndarray:
    """Wrong (2, N) with so many images in each cell of the 2x2 table."""
    cells = [(True, True)] * both + [(True, False)] * only_a + [(False, True)] * only_b + [(False, False)] * neither
    return np.array(cells).T


def random_wrong(rates: list[float], count: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((len(rates), count)) < np.array(rates)[:, None]


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
        assert mcnemar_p(a, b) == pytest.approx(vars(mcnemar([[7, a], [b, 90]], exact=True))["pvalue"])

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

    def test_a_higher_level_gives_a_wider_interval(self):
        a, b = random_wrong([0.3, 0.2])
        at_95, at_99 = compare_pair(a, b), compare_pair(a, b, level=0.99)
        assert at_99.low < at_95.low < at_95.high < at_99.high

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
