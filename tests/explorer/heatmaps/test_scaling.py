"""Scales worked by hand, and why a map is blank."""

import pytest
import torch

from explorer.heatmaps.scaling import explain_blank, scale_each, scale_together


def test_one_shared_scale_keeps_a_weaker_map_weaker():
    strong, weak = torch.tensor([[[0.0, 10], [5, -3]]]), torch.tensor([[[1.0, 0], [0, 0]]])
    shown = scale_together([strong, weak], (2, 2))
    assert shown[0][0].tolist() == [[0, 1], [0.5, 0]]
    torch.testing.assert_close(shown[1][0], torch.tensor([[0.1, 0], [0, 0]]))


def test_one_shared_scale_for_maps_of_different_sizes():
    coarse, fine = torch.full((2, 2, 2), 4.0), torch.rand(2, 8, 8)
    coarse[1], fine[1] = -1, -2
    shown = scale_together([coarse, fine], (8, 8))
    assert (shown[0][0] == 1).all()
    torch.testing.assert_close(shown[1][0], fine[0] / 4)
    assert not shown[0][1].any()
    assert not shown[1][1].any()


def test_scaled_maps_stay_finite():
    raw = torch.ones(3, 2, 2)
    raw[0, 0, 0], raw[1, 0, 0], raw[2, 0, 0] = float("nan"), float("inf"), 0
    shown = scale_each(raw, (4, 4))
    assert not shown[:2].any()
    assert shown[2].max() > 0.99
    assert scale_together([raw], (4, 4))[0].isfinite().all()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ([[float("nan"), 1.0]], "not finite"),
        ([[float("inf"), 1.0]], "not finite"),
        ([[2.0]], "1x1"),
        ([[0.0, 0.0]], "gradient is 0"),
        ([[-1.0, -0.5]], "negative before the ReLU"),
        ([[0.3, 0.3]], "same value everywhere"),
    ],
)
def test_a_blank_map_says_why(raw, reason):
    raw = torch.tensor(raw)
    assert reason in str(explain_blank(raw))
    assert not scale_each(raw[None], (4, 4)).any()


def test_a_map_that_shows_something_needs_no_reason():
    assert explain_blank(torch.tensor([[-1.0, 0.5]])) is None
    with pytest.raises(ValueError, match="one raw map"):
        explain_blank(torch.zeros(1, 2, 2))
