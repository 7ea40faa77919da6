"""Weights rounded to half precision: which tensors, when not, and what model and predictions are left."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from explorer.datasets import Dataset, Split
from explorer.models import build_model
from explorer.runs import InputSpec
from train.job import MOST_CHANGED, predict_splits, rounded_if_harmless

SIDE = 4
SPEC = InputSpec(SIDE, SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
JUST_ABOVE = 1 + 2**-12  # float16 has ten bits of fraction, so it becomes 1


class Scales(nn.Module):
    """Logits that are two weights times the brightness of an image: class 1 where the second is the larger."""

    def __init__(self, first: float, second: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([[first], [second]]))  # (2, 1)
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.mean((1, 2, 3))[:, None] * self.scale.T + self.bias


def grey(shades: Tensor) -> Tensor:
    """Uint8 images (N, 3, 4, 4), each of one shade."""
    return shades.to(torch.uint8)[:, None, None, None].expand(-1, 3, SIDE, SIDE).contiguous()


def split_of(shades: Tensor) -> Split:
    ids = tuple(map(str, range(len(shades))))
    return Split(grey(shades), torch.zeros(len(shades), dtype=torch.int64), ids, pd.DataFrame(index=range(len(shades))))


def dataset_of(train: Tensor, val: Tensor, test: Tensor) -> Dataset:
    splits = {"train": split_of(train), "val": split_of(val), "test": split_of(test)}
    return Dataset("shades", "Made for the tests.", ("dark", "light"), splits, "0123456789abcdef")


def bright(count: int, black: int = 0) -> Tensor:
    """Shades of which `black` are 0, where both logits are equal, whatever the weights are."""
    return torch.cat([torch.zeros(black), torch.full((count - black,), 255)])


@pytest.fixture
def tipping() -> Scales:
    """A model that says class 1 of every image that is not black; with rounded weights, class 0."""
    return Scales(1.0, JUST_ABOVE)


def test_tensors_of_two_or_more_dimensions_are_rounded() -> None:
    torch.manual_seed(0)
    model = build_model("simplecnn", "batch", classes=2, input_size=(32, 32)).eval()
    shape = (20, 3, 32, 32)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    part = Split(images, torch.zeros(20, dtype=torch.int64), tuple("abcdefghijklmnopqrst"), pd.DataFrame())
    dataset = Dataset(
        "noise", "Made for the tests.", ("a", "b"), dict.fromkeys(("train", "val", "test"), part), "0" * 16
    )
    spec = InputSpec(32, 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    exact = {key: value.clone() for key, value in model.state_dict().items()}
    weights, _ = rounded_if_harmless(model, dataset, spec, predict_splits(model, dataset, spec))
    assert weights.keys() == exact.keys()
    assert {value.ndim for value in exact.values()} >= {0, 1, 2, 4}
    for key, value in exact.items():
        if value.ndim >= 2:
            assert weights[key].dtype == torch.float16
            assert torch.equal(weights[key], value.half())
        else:
            assert weights[key].dtype == value.dtype
            assert torch.equal(weights[key], value)
    for key, value in model.state_dict().items():
        assert value.dtype == exact[key].dtype
        assert torch.equal(value, weights[key].to(value.dtype))


def check_rounded(model: Scales, dataset: Dataset) -> None:
    """Rounds a model whose weights may be rounded, and looks at everything that is left."""
    before = predict_splits(model, dataset, SPEC)
    weights, after = rounded_if_harmless(model, dataset, SPEC, before)
    assert weights["scale"].dtype == torch.float16
    assert weights["scale"].tolist() == [[1.0], [1.0]]
    assert model.scale.tolist() == [[1.0], [1.0]]
    assert model.scale.dtype == torch.float32
    assert list(after) == ["train", "val", "test"]
    for split, part in predict_splits(model, dataset, SPEC).items():
        np.testing.assert_array_equal(after[split].probabilities, part.probabilities)
        assert after[split].ids == before[split].ids
        assert after[split].labels.tolist() == before[split].labels.tolist()
        assert (after[split].outcomes.predicted == 0).all()


def check_exact(model: Scales, dataset: Dataset) -> None:
    """Tries to round a model whose weights may not be rounded, and looks at everything that is left."""
    before = predict_splits(model, dataset, SPEC)
    weights, after = rounded_if_harmless(model, dataset, SPEC, before)
    assert after is before
    assert weights["scale"].dtype == torch.float32
    assert weights["scale"].tolist() == [[1.0], [JUST_ABOVE]]
    assert model.scale.tolist() == [[1.0], [JUST_ABOVE]]
    for split, part in predict_splits(model, dataset, SPEC).items():
        np.testing.assert_array_equal(after[split].probabilities, part.probabilities)


def test_the_model_tips_where_its_weights_are_rounded(tipping: Scales) -> None:
    dataset = dataset_of(bright(5, black=2), bright(1), bright(1))
    assert predict_splits(tipping, dataset, SPEC)["train"].outcomes.predicted.tolist() == [0, 0, 1, 1, 1]
    tipping.scale.data = tipping.scale.data.half().float()
    assert predict_splits(tipping, dataset, SPEC)["train"].outcomes.predicted.tolist() == [0] * 5


def test_nothing_changes() -> None:
    check_rounded(Scales(JUST_ABOVE, 1.0), dataset_of(bright(30), bright(10), bright(10)))


def test_every_prediction_changes(tipping: Scales) -> None:
    check_exact(tipping, dataset_of(bright(30), bright(10), bright(10)))


@pytest.mark.parametrize(
    ("changed", "check"),
    [((1, 0, 0), check_rounded), ((0, 1, 1), check_rounded), ((1, 1, 1), check_exact), ((0, 0, 3), check_exact)],
)
def test_one_in_a_thousand_may_change(
    tipping: Scales, changed: tuple[int, int, int], check: Callable[[Scales, Dataset], None]
) -> None:
    assert MOST_CHANGED == 0.001
    sizes = (1400, 300, 300)  # two of 2,000 images
    check(tipping, dataset_of(*(bright(size, black=size - more) for size, more in zip(sizes, changed, strict=True))))
