"""What is said of each image, by its definition."""

from collections.abc import Iterator

import numpy as np
import pytest

from explorer.predictions import outcomes
from explorer.predictions.outcomes import image_losses, outcomes_of


def random_answers(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.dirichlet(np.ones(classes), count).astype(np.float32), draw.integers(0, classes, count)


def in_blocks(probabilities: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
    return iter(np.split(probabilities, np.cumsum(sizes)))


def test_worked_by_hand() -> None:
    found = outcomes_of(np.array([[0.7, 0.1, 0.2], [0.3, 0.3, 0.4], [0.5, 0.5, 0.0]], np.float32), np.array([0, 1, 1]))
    assert found.predicted.tolist() == [0, 2, 0]  # the first of equal ones
    assert found.wrong.tolist() == [False, True, True]
    assert found.confidence == pytest.approx([0.7, 0.4, 0.5])
    assert found.margin == pytest.approx([0.5, 0.1, 0], abs=1e-6)
    assert found.loss == pytest.approx(-np.log([0.7, 0.3, 0.5]))


@pytest.mark.parametrize(("count", "classes"), [(1, 2), (300, 10), (40, 200)])
def test_equals_the_definitions(count: int, classes: int) -> None:
    probabilities, labels = random_answers(count, classes)
    found = outcomes_of(probabilities, labels)
    ordered = np.sort(probabilities, axis=1)
    assert (found.labels == labels).all()
    assert (found.predicted == probabilities.argmax(1)).all()
    assert (found.confidence == ordered[:, -1]).all()
    assert (found.margin == ordered[:, -1] - ordered[:, -2]).all()
    assert found.loss == pytest.approx(-np.log(probabilities[np.arange(count), labels]), rel=1e-6)


def test_blocks_of_any_length_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, labels = random_answers(50, 7)
    whole = outcomes_of(probabilities, labels)
    monkeypatch.setattr(outcomes, "BLOCK", 3 * 7)
    for blocks in (probabilities, in_blocks(probabilities, [1, 30, 5]), [probabilities]):
        found = outcomes_of(blocks, labels)
        for name, values in vars(whole).items():
            assert (getattr(found, name) == values).all(), name


def test_numbers_are_small() -> None:
    found = outcomes_of(*random_answers(5, 3))
    assert {name: values.dtype for name, values in vars(found).items()} == {
        "labels": np.int16,
        "predicted": np.int16,
        "confidence": np.float32,
        "margin": np.float32,
        "loss": np.float32,
    }


def test_more_classes_than_a_small_number_holds() -> None:
    probabilities = np.zeros((2, 40_000), np.float32)
    probabilities[[0, 1], [39_999, 3]] = 1
    found = outcomes_of(probabilities, np.array([39_999, 39_999]))
    assert found.predicted.tolist() == [39_999, 3]
    assert found.wrong.tolist() == [False, True]


def test_an_impossible_label_has_a_large_but_finite_loss() -> None:
    found = outcomes_of(np.array([[1.0, 0.0]], np.float32), np.array([1]))
    assert found.loss == pytest.approx([-np.log(np.finfo(np.float32).tiny)])
    assert image_losses(np.array([[0.25, 0.75]]), np.array([0])) == pytest.approx([np.log(4)])


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (np.zeros((3, 2)), np.zeros(2, int), r"wanted probabilities \(N, K\) and labels \(N,\).*\(3, 2\) and \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0, int), "N >= 1"),
        (np.ones((3, 1)), np.zeros(3, int), "wanted at least two classes and labels from 0 to 0"),
        (np.ones((2, 3)), np.array([0, 3]), "labels from 0 to 2; got labels 0 to 3 of 3 classes"),
        (np.ones((2, 3)), np.array([-1, 0]), "got labels -1 to 0"),
        ([np.ones((2, 3))], np.zeros(3, int), "probabilities of each of 3 labelled images, at least 1; got 2"),
        ([np.ones((2, 3))] * 2, np.zeros(3, int), r"got \(2, 3\) and \(1,\)"),
        ([], np.zeros(0, int), "at least 1; got 0"),
    ],
)
def test_what_does_not_fit(probabilities: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        outcomes_of(probabilities, labels)
