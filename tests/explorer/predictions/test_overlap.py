"""Sets of failures against tables worked by hand, disagreement against scipy's."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import entr

from explorer.predictions import overlap
from explorer.predictions.overlap import disagreement, fails_exactly, failure_overlap
from tests.explorer.predictions.arrays import ArrayProbabilities


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
        assert table["ratio"].to_dict()[("batch", "group")] == pytest.approx(2 / 0.9)

    def test_counts_add_up_and_are_sorted(self):
        runs = [f"run{i}" for i in range(7)]
        table = failure_overlap(random_wrong([0.1, 0.2, 0.3, 0.4, 0.5, 0.2, 0.9]), runs)
        assert table["observed"].to_numpy().sum() == 400
        assert table["observed"].is_monotonic_decreasing
        assert table["expected"].to_numpy().sum() <= 400 + 1e-9
        assert table["failing"].is_unique

    def test_independent_failures_have_ratio_one(self):
        table = failure_overlap(random_wrong([0.3, 0.4, 0.5], count=100_000), ["a", "b", "c"])
        assert table["ratio"].to_numpy() == pytest.approx(np.ones(8), abs=0.05)
        assert table["expected"].to_numpy().sum() == pytest.approx(100_000)

    def test_one_run(self):
        table = failure_overlap(np.array([[True, False, False]]), ["batch"])
        assert table["failing"].tolist() == [(), ("batch",)]
        assert table["ratio"].tolist() == [1, 1]

    def test_nobody_ever_fails(self):
        table = failure_overlap(np.zeros((2, 5), bool), ["a", "b"])
        assert table.to_dict("records") == [{"failing": (), "observed": 5, "expected": 5.0, "ratio": 1.0}]

    def test_images_of_each_set(self):
        runs, wrong = ["a", "b", "c"], random_wrong([0.3, 0.4, 0.5])
        table = failure_overlap(wrong, runs)
        for failing, observed in zip(table["failing"], table["observed"], strict=True):
            images = fails_exactly(wrong, runs, failing)
            assert images.sum() == observed
            assert (wrong.sum(0)[images] == len(failing)).all()

    def test_images_of_an_unknown_run(self):
        with pytest.raises(ValueError, match="unknown runs z; expected some of: a, b"):
            fails_exactly(random_wrong([0.3, 0.4]), ["a", "b"], ["z"])

    def test_no_images(self):
        with pytest.raises(ValueError, match="N >= 1"):
            failure_overlap(np.zeros((2, 0), bool), ["a", "b"])

    @pytest.mark.parametrize("runs", [1, 3, 7, 40, 80])
    def test_equals_counting_the_columns(self, runs: int):
        wrong, names = random_wrong([0.02] * runs, count=300), [f"run{i}" for i in range(runs)]
        table = failure_overlap(wrong, names)
        sets, observed = np.unique(wrong.T, axis=0, return_counts=True)
        counted = {tuple(np.array(names)[row].tolist()): int(n) for row, n in zip(sets, observed, strict=True)}
        assert dict(zip(table["failing"], table["observed"], strict=True)) == counted


class TestDisagreement:
    @staticmethod
    def of(probabilities: np.ndarray) -> np.ndarray:
        return disagreement([ArrayProbabilities(one) for one in probabilities.astype(np.float32)])

    def test_two_runs_equal_scipy(self):
        p = random_probabilities(2, 50, 4)
        assert self.of(p) == pytest.approx([jensenshannon(*one, base=2) ** 2 for one in p.swapaxes(0, 1)], abs=1e-6)

    def test_several_runs_equal_the_definition(self):
        p = random_probabilities(5, 40, 30)
        p[:, :, :3] = 0
        wanted = (entr(p.mean(0)).sum(1) - entr(p).sum(2).mean(0)) / np.log(5)
        assert self.of(p) == pytest.approx(wanted, abs=1e-5)

    def test_bounds(self):
        certain = np.eye(3)[[[0, 1, 2], [0, 2, 2], [0, 0, 2]]]  # (runs, N, K), the three agree, all differ, agree
        assert self.of(certain) == pytest.approx([0, 1, 0], abs=1e-6)
        many = self.of(random_probabilities(7, 200, 2))
        assert ((many >= 0) & (many <= 1)).all()

    def test_one_run_cannot_disagree(self):
        assert self.of(random_probabilities(1, 5, 3)) == pytest.approx(np.zeros(5))

    def test_runs_may_come_in_blocks_of_any_length(self, monkeypatch: pytest.MonkeyPatch):
        p = random_probabilities(3, 50, 4).astype(np.float32)
        whole = self.of(p)
        sizes = ([7, 13], [50], [1, 2, 40])
        stored = [Blocks(np.split(one, np.cumsum(size))) for one, size in zip(p, sizes, strict=True)]
        assert disagreement(stored) == pytest.approx(whole)
        monkeypatch.setattr(overlap, "BLOCK", 9)
        assert disagreement(stored) == pytest.approx(whole)

    def test_runs_of_other_images(self):
        p = random_probabilities(50, 4)
        with pytest.raises(ValueError, match="of the same images from all runs; got fewer of some"):
            disagreement([ArrayProbabilities(p), ArrayProbabilities(p[:49])])
        with pytest.raises(ValueError, match="of at least one run; got none"):
            disagreement([])


@dataclass
class Blocks:
    """Probabilities of one run as whatever blocks they are read in."""

    parts: list[np.ndarray]

    def of(self, image: int) -> np.ndarray:
        return np.concatenate(self.parts)[image]

    def blocks(self) -> Iterator[np.ndarray]:
        return (part for part in self.parts if len(part))
