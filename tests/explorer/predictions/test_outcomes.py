"""What is said of each image, by its definition."""

import numpy as np
import pytest

from explorer.predictions.outcomes import image_losses, margins


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
