"""Filters and orders of the Failures page against a table small enough to read: 3 runs, 8 images, 3 classes."""

import io
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike

from explorer.predictions.comparison import Comparison
from explorer.predictions.filters import (
    BY_ALL,
    BY_ANY,
    BY_ONLY,
    BY_THIS,
    DISAGREE,
    FAILED_BY,
    MOST_FAIL,
    ORDERS,
    Question,
    find_images,
    images_table,
    orders_of,
    set_label,
)
from explorer.predictions.label_errors import label_errors
from explorer.predictions.outcomes import outcomes_of
from explorer.predictions.overlap import disagreement, failure_overlap
from tests.explorer.predictions.arrays import ArrayProbabilities

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


def compared(probabilities: ArrayLike, labels: np.ndarray = LABELS, runs: Sequence[str] = RUNS) -> Comparison:
    """One run per variant, from probabilities (runs, N, K)."""
    values = np.asarray(probabilities, np.float32)
    return Comparison(
        runs=tuple(runs),
        variants=tuple(runs),
        variant_of=np.arange(len(runs)),
        seeds=(0,) * len(runs),
        classes=("cat", "dog", "eel")[: values.shape[2]],
        ids=tuple(f"image {number}" for number in range(len(labels))),
        outcomes=tuple(outcomes_of(one, labels) for one in values),
        stored=tuple(map(ArrayProbabilities, values)),
    )


PROBABILITIES = np.array(PERCENT) / 100
COMPARED = compared(PROBABILITIES)


def found(order: str = "data set", comparison: Comparison = COMPARED, run: int = 0, **question: Any) -> list[int]:
    asked = Question(run, **question)
    stored = [one for one in comparison.stored if one is not None]
    return find_images(
        comparison,
        asked,
        order,
        doubtful=label_errors(stored[asked.run], comparison.true) if asked.doubtful else None,
        disagreement=disagreement(stored) if order == DISAGREE else None,
    ).tolist()


def test_the_table_is_read_right() -> None:
    assert COMPARED.predicted.tolist() == PREDICTED
    assert [set(np.flatnonzero(row)) for row in COMPARED.wrong] == WRONG


class TestWhoFails:
    @pytest.mark.parametrize("run", range(3))
    def test_this(self, run: int) -> None:
        assert found(run=run, failed_by=BY_THIS) == sorted(WRONG[run])

    @pytest.mark.parametrize("run", range(3))
    def test_any_and_all_are_the_same_for_every_run(self, run: int) -> None:
        assert found(run=run, failed_by=BY_ANY) == [1, 2, 3, 4, 5, 7]
        assert found(run=run, failed_by=BY_ALL) == [2]

    def test_any_and_all_of_some(self) -> None:
        some = ("none, seed 1", "group")
        assert found(failed_by=BY_ANY, among=some) == [2, 3, 5, 7]
        assert found(failed_by=BY_ALL, among=some) == [2]
        assert found(failed_by=BY_ALL, among=("batch", "group")) == [2, 7]  # whatever the third does
        assert (
            found(failed_by=BY_ANY, among=("group",)) == found(failed_by=BY_ALL, among=("group",)) == sorted(WRONG[1])
        )

    @pytest.mark.parametrize("failing", [failing for failing in SETS if failing])
    def test_only_these(self, failing: tuple[str, ...]) -> None:
        assert set(found(failed_by=BY_ONLY, among=failing)) == SETS[failing]

    def test_the_sets_share_out_the_images(self) -> None:
        table = failure_overlap(COMPARED.wrong, RUNS)
        assert set(table["failing"]) == set(SETS)
        images = [
            image for failing in filter(None, table["failing"]) for image in found(failed_by=BY_ONLY, among=failing)
        ]
        assert sorted([*images, *SETS[()]]) == list(range(8))

    def test_nonsense(self) -> None:
        for way in (BY_ANY, BY_ALL):
            with pytest.raises(ValueError, match="unknown run 'layer'; expected one of: batch, group, none, seed 1"):
                found(failed_by=way, among=("layer",))
        with pytest.raises(ValueError, match="unknown runs layer; expected some of: batch, group, none, seed 1"):
            found(failed_by=BY_ONLY, among=("layer",))
        message = "unknown way to fail 'some of these'; expected one of: this variant, any of these, all of these, only"
        with pytest.raises(ValueError, match=message):
            found(failed_by="some of these")


class TestSetLabel:
    @pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
    def test_no_two_sets_share_one(self, count: int) -> None:
        runs = [f"norm {number}" for number in range(count)]
        labels = [set_label(some, runs) for size in range(count + 1) for some in combinations(runs, size)]
        assert len(set(labels)) == 2**count

    def test_the_shorter_of_who_fails_and_who_does_not(self) -> None:
        runs = ("a", "b", "c", "d", "e")
        assert set_label(("b", "c"), runs) == "only b and c fail"
        assert set_label(("a", "b", "c"), runs) == "all but d and e fail"
        assert set_label(("a", "b", "c", "d"), runs) == "all but e fail"
        assert set_label(("b",), runs) == "only b fails"
        assert set_label(runs, runs) == "all fail"

    def test_a_single_run_and_no_run(self) -> None:
        assert set_label(("batch",), ("batch",)) == "batch fails"
        assert set_label((), ("no norm", "batch")) == "no failure"


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
            ({"true": 0, "failed_by": BY_ANY}, [1, 2]),
            ({"predicted": 1, "failed_by": BY_ANY}, [1, 3, 5, 7]),  # of the run, whoever fails
            ({"predicted": 1, "failed_by": BY_ONLY, "among": ("group",)}, [5]),
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
        one = compared(np.array([[[0.75, 0.25], [0.5, 0.5]]]), np.array([1, 1]), ["batch"])
        assert found(comparison=one, confidence=(0.75, 0.75)) == [0]
        assert found(comparison=one, confidence=(0.5, 0.5)) == [1]


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
        assert found(run=2, doubtful=True, failed_by=BY_ALL) == [2]

    def test_they_are_not_looked_for_on_every_call(self) -> None:
        with pytest.raises(ValueError, match="wants the argument doubtful; got None: compute it once"):
            find_images(COMPARED, Question(0, doubtful=True), "data set")


IN_ORDER = {  # the failures of `batch`, 1, 2, 4 and 7, by what the table above says of them
    "most confident": [1, 7, 4, 2],  # 70, 65, 60, 45
    "least confident": [2, 4, 7, 1],
    "narrowest margin": [2, 4, 7, 1],  # 15, 25, 40, 50
    "highest loss": [1, 7, 2, 4],  # of the true class: 20, 25, 30, 35
    "most variants fail": [2, 7, 1, 4],  # 3, 2, 1, 1
    "data set": [1, 2, 4, 7],
}


class TestOrders:
    @pytest.mark.parametrize("order", IN_ORDER)
    def test_by_hand(self, order: str) -> None:
        assert found(order) == IN_ORDER[order]

    def test_variants_disagree_most(self) -> None:
        sure = np.eye(3, dtype=np.float32)
        says = [[0, 1, 0, 1], [0, 2, 1, 1], [0, 0, 1, 1]]  # the class each of three runs is sure of, for four images
        unlike = compared(sure[says], np.array([2, 2, 2, 2]))
        assert found(DISAGREE, unlike, failed_by=BY_ANY) == [1, 2, 0, 3]

    def test_disagreement_is_not_computed_on_every_call(self) -> None:
        with pytest.raises(ValueError, match="'variants disagree most' wants the argument disagreement; got None"):
            find_images(COMPARED, Question(0), DISAGREE)

    def test_every_order_has_a_test(self) -> None:
        assert set(ORDERS) == {*IN_ORDER, DISAGREE}

    @pytest.mark.parametrize("order", ORDERS)
    def test_an_order_leaves_nobody_out(self, order: str) -> None:
        assert sorted(found(order, failed_by=BY_ANY)) == [1, 2, 3, 4, 5, 7]

    @pytest.mark.parametrize("order", ORDERS)
    def test_equal_ones_come_as_in_the_data_set(self, order: str) -> None:
        same = compared(np.full((2, 6, 3), 1 / 3), np.array([1, 2, 1, 2, 1, 2]), ("a", "b"))
        assert found(order, same) == [0, 1, 2, 3, 4, 5]

    @pytest.mark.parametrize("order", ORDERS)
    def test_no_image_at_all(self, order: str) -> None:
        asked = Question(0, true=1, predicted=2)
        empty = find_images(COMPARED, asked, order, disagreement=np.zeros(8))
        assert empty.shape == (0,)
        assert empty.dtype.kind == "i"

    def test_unknown(self) -> None:
        message = "unknown order 'best'; expected one of: most confident, least confident"
        with pytest.raises(ValueError, match=message):
            found("best")

    @pytest.mark.parametrize("order", [order for order in ORDERS if order not in (DISAGREE, "data set")])
    def test_an_order_is_a_stable_sort_of_its_score(self, order: str) -> None:
        draw = np.random.default_rng(1)
        probabilities = draw.dirichlet(np.ones(3), (3, 2000)).round(2)  # so that many are equal, at 0 and 1 too
        many = compared(probabilities, draw.integers(0, 3, 2000))
        score = {
            "most confident": many.confidence[1],
            "least confident": -many.confidence[1],
            "narrowest margin": -many.margin[1],
            "highest loss": many.loss[1],
            MOST_FAIL: many.wrong.sum(0),
        }[order]
        positions = np.flatnonzero(many.wrong[1])
        wanted = positions[np.argsort(-score[positions].astype(float), kind="stable")]
        assert found(order, many, run=1) == wanted.tolist()

    def test_what_is_not_a_number_comes_last(self) -> None:
        broken = compared([[[np.nan, np.nan], [0.7, 0.3], [0.2, 0.8]]], np.array([1, 1, 0]), ["diverged"])
        assert found("most confident", broken) == [2, 1, 0]
        assert found("least confident", broken) == [1, 2, 0]

    def test_which_orders_tell_images_apart(self) -> None:
        assert orders_of(COMPARED) == ORDERS
        alone = set(orders_of(compared(PROBABILITIES[:1], runs=RUNS[:1])))
        assert alone == set(ORDERS) - {MOST_FAIL, DISAGREE}
        without = replace(COMPARED, stored=(*COMPARED.stored[:2], None))
        assert set(orders_of(without)) == set(ORDERS) - {DISAGREE}


def test_a_run_alone() -> None:
    alone = compared(PROBABILITIES[:1], runs=RUNS[:1])
    for way in FAILED_BY:
        assert found(comparison=alone, failed_by=way) == [1, 2, 4, 7]


class TestImagesTable:
    def test_a_row_says_what_the_runs_say(self) -> None:
        table = images_table(COMPARED, 0, np.array([7, 2]))
        assert table.to_dict("list") == {
            "image": ["image 7", "image 2"],
            "label": ["eel", "cat"],
            "predicted": ["dog", "eel"],
            "confidence": pytest.approx([0.65, 0.45]),
            "margin": pytest.approx([0.4, 0.15]),
            "loss": pytest.approx([-np.log(0.25), -np.log(0.3)]),
            "variants that fail": [2, 3],
            "predicted by batch": ["dog", "eel"],
            "predicted by group": ["dog", "eel"],
            "predicted by none, seed 1": ["eel", "eel"],
        }

    def test_what_is_given_becomes_a_column(self) -> None:
        doubtful, seeds = np.arange(8) % 2 == 1, np.arange(8) // 2
        table = images_table(COMPARED, 0, np.array([7, 2]), doubtful=doubtful, seeds_that_fail=seeds)
        assert table["likely label error"].tolist() == [True, False]
        assert table["seeds that fail"].tolist() == [3, 1]

    def test_no_image(self) -> None:
        table = images_table(COMPARED, 0, np.zeros(0, int))
        assert len(table) == 0
        assert table.columns[0] == "image"

    def test_names_come_back_from_a_file_as_they_are(self) -> None:
        classes = ("[x](http://example.org)", 'a, "quoted" $x$', "two\nlines")
        ids = ("**a**", "b,c", "d|e", "f\r\ng", "ü", "h;i", " j ", "k")
        hostile = replace(COMPARED, classes=classes, ids=ids)
        text = images_table(hostile, 0, np.arange(8)).to_csv(index=False, lineterminator="\n")
        table = pd.read_csv(io.StringIO(text, newline=""), lineterminator="\n")
        assert table["image"].tolist() == list(ids)
        assert table["label"].tolist() == [classes[label] for label in LABELS]
        assert table["predicted by batch"].tolist() == [classes[seen] for seen in PREDICTED[0]]
