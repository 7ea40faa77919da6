"""Metrics against a table worked by hand and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss

from explorer.predictions.metrics import compute_metrics, confusion, f1_scores, metrics_from_predicted

# rows: label, columns: predicted; of three classes
#            0  1  2   sum
TABLE = [
    [3, 1, 0],  # 4
    [1, 2, 2],  # 5
    [0, 0, 1],  # 1
]  #         4  3  3   10
LABELS = np.array([0] * 4 + [1] * 5 + [2])
PREDICTED = np.array([0, 0, 0, 1, 0, 1, 1, 2, 2, 2])
PROBABILITIES = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]], dtype=np.float32)[PREDICTED]


def test_a_table_worked_by_hand() -> None:
    metrics = compute_metrics(PROBABILITIES, LABELS)
    assert (metrics.misclassified, metrics.count) == (4, 10)
    assert metrics.accuracy == pytest.approx(6 / 10)
    assert metrics.micro_f1 == pytest.approx(6 / 10)
    # F1 = 2 hits / (row sum + column sum): 6/8, 4/8, 2/4
    assert metrics.macro_f1 == pytest.approx((6 / 8 + 4 / 8 + 2 / 4) / 3)
    assert metrics.classes == 3
    # six times -log(1/2) and four times -log(1/4)
    assert metrics.loss == pytest.approx((6 * math.log(2) + 4 * math.log(4)) / 10)


def test_confusion_counts_labels_in_rows_and_predicted_in_columns() -> None:
    assert confusion(PREDICTED, LABELS, 3).tolist() == TABLE
    assert confusion(PREDICTED, LABELS, 4).tolist() == [[*row, 0] for row in TABLE] + [[0] * 4]


def test_confusion_is_scikit_learns() -> None:
    labels, predicted = np.random.default_rng(0).integers(0, 10, (2, 500))
    assert (confusion(predicted, labels, 10) == confusion_matrix(labels, predicted, labels=range(10))).all()


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 6, 200)
    probabilities = rng.dirichlet(np.ones(6), 200) + np.eye(6)[labels] * 0.2
    probabilities /= probabilities.sum(1, keepdims=True)
    metrics, predicted = compute_metrics(probabilities, labels), probabilities.argmax(1)
    assert metrics.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert metrics.micro_f1 == pytest.approx(f1_score(labels, predicted, average="micro"))
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert metrics.loss == pytest.approx(log_loss(labels, probabilities, labels=range(6)))
    assert metrics.misclassified == (labels != predicted).sum()


def test_a_class_that_is_neither_there_nor_predicted_does_not_count() -> None:
    metrics = metrics_from_predicted(np.array([0, 1]), np.array([0, 1]), 4, 0.0)
    assert metrics.accuracy == metrics.micro_f1 == metrics.macro_f1 == 1
    assert metrics.classes == 2


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    metrics = metrics_from_predicted(np.array([0, 3]), np.array([0, 1]), 5, 0.0)  # F1 1, 0 and 0 of classes 0, 1, 3
    assert metrics.macro_f1 == pytest.approx(1 / 3)
    assert metrics.classes == 3


@pytest.mark.parametrize("seed", range(20))
def test_classes_without_images_are_left_out_as_scikit_learn_leaves_them_out(seed: int) -> None:
    labels, predicted = np.random.default_rng(seed).integers(0, 12, (2, 9))
    present = np.union1d(labels, predicted)
    metrics = metrics_from_predicted(predicted, labels, 12, 0.0)
    wanted = f1_score(labels, predicted, labels=present, average="macro")
    assert metrics.macro_f1 == pytest.approx(wanted)
    assert metrics.micro_f1 == pytest.approx(f1_score(labels, predicted, labels=present, average="micro"))
    assert metrics.classes == len(present)


def test_f1_of_each_class_is_scikit_learns() -> None:
    labels, predicted = np.random.default_rng(0).integers(0, 4, (2, 300))
    wanted = [f1_score(labels == k, predicted == k) for k in range(4)]
    assert f1_scores(predicted, labels, 5) == pytest.approx([*wanted, np.nan], nan_ok=True)


def test_a_probability_of_nothing_is_a_large_but_finite_loss() -> None:
    metrics = compute_metrics(np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32), np.array([0, 1]))
    assert metrics.loss == pytest.approx(-math.log(np.finfo(np.float32).tiny) / 2)
    assert 40 < metrics.loss < 50


def test_plain_numbers_come_out() -> None:
    metrics = compute_metrics(PROBABILITIES, LABELS)
    assert {type(value) for value in vars(metrics).values()} == {float, int}


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [(np.zeros((0, 3)), np.zeros(0, int)), (np.zeros(3), np.zeros(3, int)), (np.zeros((3, 2)), np.zeros(2, int))],
)
def test_shapes_that_do_not_fit(probabilities: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"wanted probabilities \(N, K\) and labels \(N,\) with N >= 1"):
        compute_metrics(probabilities, labels)
