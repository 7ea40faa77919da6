"""Sets of failures against tables worked by hand, disagreement against scipy's."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from explorer.predictions.overlap import disagreement, failing_runs, fails_exactly, failure_overlap


def random_wrong(rates: list[float], count: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((len(rates), count)) < np.array(rates)[:, None]


def random_probabilities(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


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
