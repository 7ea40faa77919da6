"""Filters and orders of the Failures page against a table small enough to read: 3 runs, 8 images, 3 classes."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from explorer.predictions.filters import (
    ALL,
    ANY,
    ONLY,
    ORDERS,
    THIS,
    Answers,
    Question,
    find_images,
    set_label,
)
from explorer.predictions.overlap import failure_overlap

RUNS = ("batch", "group", "none, seed 1")
LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2])
PERCENT = (
    #    0             1             2             3             4             5             6             7
    ((80, 15, 5), (20, 70, 10), (30, 25, 45), (10, 85, 5), (60, 35, 5), (25, 50, 25), (5, 5, 90), (10, 65, 25)),
    ((75, 15, 10), (90, 5, 5), (30, 20, 50), (5, 90, 5), (5, 90, 5), (55, 30, 15), (5, 15, 80), (20, 60, 20)),
    ((70, 20, 10), (85, 10, 5), (10, 10, 80), (95, 3, 2), (10, 80, 10), (10, 80, 10), (10, 20, 70), (10, 20, 70)),
)
# Read off by eye:  0  1  2  3  4  5  6  7
PREDICTED = [
    [0, 1, 2, 1, 0, 1, 2, 1],
    [0, 0, 2, 1, 1, 0, 2, 1],
    [0, 0, 2, 0, 1, 1, 2, 2],
]
WRONG = [{1, 2, 4, 7}, {2, 5, 7}, {2, 3}]
SETS = {  # who fails, and nobody else
    (): {0, 6},
    ("batch",): {1, 4},
    ("group",): {5},
    ("none, seed 1",): {3},
    ("batch", "group"): {7},
    ("batch", "group", "none, seed 1"): {2},
}
ANSWERS = Answers(RUNS, (np.array(PERCENT) / 100).astype(np.float32), LABELS)


def found(order: str = "data set", answers: Answers = ANSWERS, **question) -> list[int]:
    return find_images(answers, Question(**{"run": 0} | question), order).tolist()


class TestAnswers:
    def test_predicted_wrong_and_confidence(self) -> None:
        assert ANSWERS.predicted.tolist() == PREDICTED
        assert [set(np.flatnonzero(row)) for row in ANSWERS.wrong] == WRONG
        np.testing.assert_allclose(ANSWERS.confidence[0], [0.8, 0.7, 0.45, 0.85, 0.6, 0.5, 0.9, 0.65])


class TestWhoFails:
    @pytest.mark.parametrize("run", range(3))
    def test_this(self, run: int) -> None:
        assert found(run=run, failed_by=THIS) == sorted(WRONG[run])

    @pytest.mark.parametrize("run", range(3))
    def test_any_and_all_are_the_same_for_every_run(self, run: int) -> None:
        assert found(run=run, failed_by=ANY) == [1, 2, 3, 4, 5, 7]
        assert found(run=run, failed_by=ALL) == [2]

    def test_any_and_all_of_some(self) -> None:
        some = {"among": ("none, seed 1", "group")}
        assert found(failed_by=ANY, **some) == [2, 3, 5, 7]
        assert found(failed_by=ALL, **some) == [2]
        assert found(failed_by=ALL, among=("batch", "group")) == [2, 7]  # whatever the third does
        assert found(failed_by=ANY, among=("group",)) == found(failed_by=ALL, among=("group",)) == sorted(WRONG[1])

    @pytest.mark.parametrize("failing", [failing for failing in SETS if failing])
    def test_only_these(self, failing: tuple[str, ...]) -> None:
        assert set(found(failed_by=ONLY, among=failing)) == SETS[failing]

    def test_the_sets_share_out_the_images(self) -> None:
        table = failure_overlap(ANSWERS.wrong, RUNS)
        assert set(table["failing"]) == set(SETS)
        images = [image for failing in filter(None, table["failing"]) for image in found(failed_by=ONLY, among=failing)]
        assert sorted([*images, *SETS[()]]) == list(range(8))

    def test_nonsense(self) -> None:
        with pytest.raises(ValueError, match="unknown runs layer; expected some of: batch, group, none, seed 1"):
            found(failed_by=ANY, among=("layer",))
        with pytest.raises(ValueError, match="unknown way to fail 'some of these'; expected one of: this norm, any of"):
            found(failed_by="some of these")


class TestSetLabel:
    @pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
    def test_no_two_sets_share_one(self, count: int) -> None:
        runs = [f"norm {number}" for number in range(count)]
        labels = [set_label(some, runs) for size in range(count + 1) for some in combinations(runs, size)]
        assert len(set(labels)) == 2**count

    def test_the_shorter_of_who_fails_and_who_does_not(self) -> None:
        runs = ("a", "b", "c", "d", "e")
        assert set_label(("b", "c"), runs) == "b, c fail"
        assert set_label(("a", "b", "c"), runs) == "all but d, e fail"

    def test_none_is_kept_for_the_norm_of_that_name(self) -> None:
        assert set_label((), ("none", "batch")) == "nobody fails"
        assert set_label(("none",), ("none", "batch")) == "only none fails"


class TestClasses:
    @pytest.mark.parametrize(
        ("question", "wanted"),
        [
            ({"true": 0}, [1, 2]),
            ({"true": 1}, [4]),
            ({"predicted": 1}, [1, 7]),
            ({"true": 0, "predicted": 1}, [1]),
            ({"true": 2, "predicted": 1}, [7]),
            ({"true": 1, "predicted": 2}, []),
            ({"run": 2, "true": 0, "predicted": 2}, [2]),
            ({"true": 0, "failed_by": ANY}, [1, 2]),
            ({"predicted": 1, "failed_by": ANY}, [1, 3, 5, 7]),  # of the run, whoever fails
            ({"predicted": 1, "failed_by": ONLY, "among": ("group",)}, [5]),
        ],
    )
    def test_true_and_predicted(self, question: dict, wanted: list[int]) -> None:
        assert found(**question) == wanted

    @pytest.mark.parametrize(
        ("run", "label", "wanted"), [(0, 0, [0]), (0, 1, [3, 5]), (0, 2, [6]), (1, 0, [0, 1]), (2, 2, [6, 7])]
    )
    def test_the_diagonal_is_what_the_run_gets_right(self, run: int, label: int, wanted: list[int]) -> None:
        assert found(run=run, true=label, predicted=label) == wanted

    def test_every_cell_of_the_confusion_matrix_holds_its_images(self) -> None:
        for run in range(3):
            for label in range(3):
                for seen in range(3):
                    wanted = [i for i in range(8) if (LABELS[i], PREDICTED[run][i]) == (label, seen)]
                    assert found(run=run, true=label, predicted=seen) == wanted


class TestConfidence:
    @pytest.mark.parametrize(
        ("bounds", "wanted"),
        [((0.0, 1.0), [1, 2, 4, 7]), ((0.62, 1.0), [1, 7]), ((0.0, 0.62), [2, 4]), ((0.5, 0.62), [4]), ((0.95, 1), [])],
    )
    def test_bounds(self, bounds: tuple[float, float], wanted: list[int]) -> None:
        assert found(confidence=bounds) == wanted

    def test_bounds_are_part_of_the_range(self) -> None:
        exact = replace(ANSWERS, probabilities=np.array([[[0.75, 0.25], [0.5, 0.5]]]), labels=np.array([1, 1]))
        one = replace(exact, runs=("batch",))
        assert found(answers=one, confidence=(0.75, 0.75)) == [0]
        assert found(answers=one, confidence=(0.5, 0.5)) == [1]


class TestDoubtful:
    def test_confident_learning_by_hand(self) -> None:
        # Mean probability of its own class over the images labelled so, for `batch`:
        # class 0: (80 + 20 + 30) / 3 = 43.3; class 1: (85 + 35 + 50) / 3 = 56.7; class 2: (90 + 25) / 2 = 57.5.
        # Above the threshold of another class than the label: 1 (70 of class 1), 4 (60 of class 0), 7 (65 of class 1);
        # image 2 is predicted as class 2 with 45 only.
        assert found(doubtful=True) == [1, 4, 7]

    def test_it_is_the_chosen_run_that_doubts(self) -> None:
        # `none, seed 1`: class 0: (70 + 85 + 10) / 3 = 55; class 1: (3 + 80 + 80) / 3 = 54.3; class 2: 70.
        assert found(run=2, doubtful=True) == [2, 3]
        assert found(run=2, doubtful=True, failed_by=ALL) == [2]


IN_ORDER = {  # the failures of `batch`, 1, 2, 4 and 7, by what the table above says of them
    "most confident": [1, 7, 4, 2],  # 70, 65, 60, 45
    "least confident": [2, 4, 7, 1],
    "narrowest margin": [2, 4, 7, 1],  # 15, 25, 40, 50
    "highest loss": [1, 7, 2, 4],  # of the true class: 20, 25, 30, 35
    "most norms fail": [2, 7, 1, 4],  # 3, 2, 1, 1
    "data set": [1, 2, 4, 7],
}


class TestOrders:
    @pytest.mark.parametrize("order", IN_ORDER)
    def test_by_hand(self, order: str) -> None:
        assert found(order) == IN_ORDER[order]

    def test_norms_disagree_most(self) -> None:
        sure = np.eye(3, dtype=np.float32)
        says = [[0, 1, 0, 1], [0, 2, 1, 1], [0, 0, 1, 1]]  # the class each of three runs is sure of, for four images
        answers = Answers(RUNS, sure[says], np.array([2, 2, 2, 2]))
        assert found("norms disagree most", answers, failed_by=ANY) == [1, 2, 0, 3]

    def test_every_order_has_a_test(self) -> None:
        assert set(ORDERS) == {*IN_ORDER, "norms disagree most"}

    @pytest.mark.parametrize("order", ORDERS)
    def test_an_order_leaves_nobody_out(self, order: str) -> None:
        assert sorted(found(order, failed_by=ANY)) == [1, 2, 3, 4, 5, 7]

    @pytest.mark.parametrize("order", ORDERS)
    def test_equal_ones_come_as_in_the_data_set(self, order: str) -> None:
        same = Answers(("a", "b"), np.full((2, 6, 3), 1 / 3, np.float32), np.array([1, 2, 1, 2, 1, 2]))
        assert found(order, same) == [0, 1, 2, 3, 4, 5]

    @pytest.mark.parametrize("order", ORDERS)
    def test_no_image_at_all(self, order: str) -> None:
        empty = find_images(ANSWERS, Question(0, true=1, predicted=2), order)
        assert empty.shape == (0,)
        assert empty.dtype.kind == "i"

    def test_unknown(self) -> None:
        message = "unknown order 'best'; expected one of: most confident, least confident"
        with pytest.raises(ValueError, match=message):
            found("best")


def test_a_run_alone() -> None:
    alone = Answers(RUNS[:1], ANSWERS.probabilities[:1], LABELS)
    for who in (THIS, ANY, ALL, ONLY):
        assert found(answers=alone, failed_by=who) == [1, 2, 4, 7]
