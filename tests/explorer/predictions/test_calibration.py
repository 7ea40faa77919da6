"""Reliability tables worked by hand."""

import numpy as np
import pytest

from explorer.predictions.calibration import calibration_error, reliability_table


def random_probabilities(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


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
