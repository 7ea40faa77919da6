"""Reliability tables worked by hand."""

import numpy as np
import pytest

from explorer.predictions.calibration import (
    calibration_error,
    calibration_floor,
    reliability_table,
    variants_calibration,
    variants_reliability,
)
from explorer.predictions.comparison import Comparison
from explorer.predictions.outcomes import Outcomes, outcomes_of


def random_probabilities(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


class TestCalibration:
    probabilities = np.array([[0.9, 0.1], [0.95, 0.05], [0.42, 0.58], [0.3, 0.7], [0.65, 0.35]])
    answers = outcomes_of(probabilities, np.array([0, 1, 1, 1, 1]))

    def test_table_worked_by_hand(self):
        # five bins of 0.2: (0.4, 0.6] holds image 2; (0.6, 0.8] images 3 and 4; (0.8, 1] images 0 and 1
        table = reliability_table(self.answers, bins=5)
        assert table["count"].tolist() == [0, 0, 1, 2, 2]
        assert table["low"].to_numpy() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
        assert table["high"].to_numpy() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
        empty = [np.nan, np.nan]
        assert table["confidence"].to_numpy() == pytest.approx([*empty, 0.58, 0.675, 0.925], nan_ok=True)
        assert table["accuracy"].to_numpy() == pytest.approx([*empty, 1, 0.5, 0.5], nan_ok=True)

    def test_error_worked_by_hand(self):
        table = reliability_table(self.answers, bins=5)
        assert calibration_error(table) == pytest.approx((1 * 0.42 + 2 * 0.175 + 2 * 0.425) / 5)

    def test_fifteen_bins_hold_every_image(self):
        table = reliability_table(outcomes_of(random_probabilities(500, 10), np.zeros(500, int)))
        assert len(table) == 15
        assert table["count"].to_numpy().sum() == 500

    def test_a_bin_is_closed_above(self):
        table = reliability_table(outcomes_of(np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([0, 0])), bins=4)
        assert table["count"].tolist() == [0, 1, 1, 0]

    def test_certain_and_right_is_perfect_certain_and_wrong_the_worst(self):
        certain = np.eye(2)[[0, 1, 1]]
        assert calibration_error(reliability_table(outcomes_of(certain, np.array([0, 1, 1])))) == 0
        assert calibration_error(reliability_table(outcomes_of(certain, np.array([1, 0, 0])))) == 1


class TestFloor:
    def test_it_is_about_the_error_of_a_perfectly_calibrated_model(self):
        draw, errors, floors = np.random.default_rng(0), [], []
        for _ in range(100):
            confidence = draw.uniform(0.5, 1, 700).astype(np.float32)
            right = draw.random(700) < confidence
            table = reliability_table(answers(confidence, right), bins=10)
            errors.append(calibration_error(table))
            floors.append(calibration_floor(table))
        assert np.mean(floors) == pytest.approx(np.mean(errors), rel=0.1)

    def test_four_times_the_images_halve_it(self):
        confidence = np.repeat(np.linspace(0.55, 0.95, 5), 100).astype(np.float32)
        few, many = (
            reliability_table(answers(values, values > 0.7)) for values in (confidence, np.tile(confidence, 4))
        )
        assert calibration_floor(many) == pytest.approx(calibration_floor(few) / 2)

    def test_runs_on_the_same_images_are_not_more_images(self):
        confidence = np.linspace(0.3, 0.99, 60).astype(np.float32)
        one, three = (reliability_table(answers(np.tile(confidence, n), np.tile(confidence, n) > 0.5)) for n in (1, 3))
        assert calibration_floor(three, runs=3) == pytest.approx(calibration_floor(one))


class TestVariants:
    def made(self) -> Comparison:
        draw = np.random.default_rng(1)
        outcomes = []
        for _ in range(3):
            values = draw.uniform(0.3, 1, 50).astype(np.float32)
            outcomes.append(answers(values, draw.random(50) < 0.6))
        return Comparison(
            runs=("a, seed 0", "b", "a, seed 1"),
            variants=("a", "b"),
            variant_of=np.array([0, 1, 0]),
            seeds=(0, 0, 1),
            classes=("no", "yes"),
            ids=[str(n) for n in range(50)],
            outcomes=tuple(outcomes),
            stored=(None,) * 3,
        )

    def test_replicates_are_pooled(self):
        made = self.made()
        table = variants_reliability(made, bins=5)
        both = [np.concatenate([getattr(made.outcomes[row], key) for row in (0, 2)]) for key in ("confidence", "wrong")]
        pooled = reliability_table(answers(both[0], ~both[1]), bins=5)
        ours = table.query("variant == 'a'")
        for key in ("count", "confidence", "accuracy"):
            assert ours[key].to_numpy() == pytest.approx(pooled[key].to_numpy(), nan_ok=True)

    def test_errors_by_variant(self):
        made = self.made()
        points = variants_reliability(made)
        table = variants_calibration(made, points).set_index("variant")
        alone = reliability_table(made.outcomes[1], 10)
        assert table.loc["b", "error"] == pytest.approx(calibration_error(alone))
        assert table.loc["b", "floor"] == pytest.approx(calibration_floor(alone))


def answers(confidence: np.ndarray, right: np.ndarray) -> Outcomes:
    """Answers of that confidence, of which some are right."""
    zeros = np.zeros(len(confidence), dtype=np.int16)
    return Outcomes(zeros, (~right).astype(np.int16), confidence, confidence, confidence)
