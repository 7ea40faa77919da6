"""Likely label errors against confident learning worked by hand."""

import numpy as np
import pytest

from explorer.predictions.label_errors import label_errors
from tests.explorer.predictions.arrays import ArrayProbabilities


def found(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return label_errors(ArrayProbabilities(probabilities), labels)


class TestLabelErrors:
    def test_worked_by_hand(self):
        p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55]])
        labels = np.array([0, 0, 0, 1, 1, 0])
        # thresholds: class 0 (0.9 + 0.8 + 0.1 + 0.45) / 4 = 0.5625, class 1 (0.8 + 0.7) / 2 = 0.75;
        # the last image is wrong, but not confidently
        assert found(p, labels).tolist() == [False, False, True, False, False, False]

    def test_finds_labels_that_were_swapped(self):
        draw = np.random.default_rng(0)
        true = draw.integers(0, 4, 600)
        swapped = draw.random(600) < 0.05
        labels = np.where(swapped, (true + 1) % 4, true)
        logits = draw.normal(size=(600, 4)) + 6 * np.eye(4)[true]
        flagged = found(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels)
        assert flagged[swapped].mean() > 0.9
        assert flagged[~swapped].mean() < 0.01

    def test_a_class_without_images_is_no_obstacle(self):
        # of class 2 there is no image; image 1 reaches the threshold of class 0, which is 0.9
        flagged = found(np.array([[0.9, 0.1, 0.0], [0.95, 0.05, 0.0], [0.1, 0.9, 0.0]]), np.array([0, 1, 1]))
        assert flagged.tolist() == [False, True, False]

    def test_an_image_predicted_as_labelled_is_not_flagged(self):
        # image 0 is below the threshold of class 0 and at that of class 1, and yet class 0 is its likeliest
        p = np.array([[0.6, 0.4], [0.95, 0.05], [0.7, 0.3]])
        assert not found(p, np.array([0, 0, 1]))[0]

    def test_labels_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"got \(3, 2\) and \(2,\)"):
            found(np.ones((3, 2)), np.zeros(2, int))
