"""Who predicts what, in sentences worked by hand; and which classes are worth showing."""

import numpy as np
import pytest

from explorer.predictions.votes import likeliest_classes, votes_sentence

CLASSES = ("ape", "bee", "cat")


@pytest.mark.parametrize(
    ("predicted", "noun", "sentence"),
    [
        ([0, 0], "norm", "Both norms predict ape"),
        ([1, 1, 1], "architecture", "All 3 architectures predict bee"),
        ([1, 1], "training loss", "Both training losses predict bee"),
        ([0, 2], "run", "1 of 2 runs predicts ape; others: cat (b)"),
        ([2, 0, 0, 0], "norm", "3 of 4 norms predict ape; others: cat (a)"),
        ([0, 1, 1, 0, 2, 0], "norm", "3 of 6 norms predict ape; others: bee (b and c), cat (e)"),
        ([0] * 6 + [1] * 5, "seed", "6 of 11 seeds predict ape; others: bee (g, h, i, j and k)"),
        ([0] * 7 + [1] * 6, "seed", "7 of 13 seeds predict ape; others: bee (h, i, j, k and 2 more)"),
    ],
)
def test_sentences(predicted: list[int], noun: str, sentence: str) -> None:
    labels = list("abcdefghijklm")[: len(predicted)]
    assert votes_sentence(predicted, labels, CLASSES, noun) == sentence


def test_few_classes_stand_in_their_order() -> None:
    assert likeliest_classes(np.array([[0.1, 0.2, 0.7]]), 3) == [0, 1, 2]


def test_of_many_classes_those_that_some_run_finds_likeliest() -> None:
    probabilities = np.array([[0.6, 0.1, 0.1, 0.2], [0.05, 0.9, 0.03, 0.02]])
    assert likeliest_classes(probabilities, 3) == [1, 0, 3]
