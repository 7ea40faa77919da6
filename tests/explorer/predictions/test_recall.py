"""Class by class, against tables worked by hand and scikit-learn."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import recall_score

from explorer.predictions.comparison import Comparison
from explorer.predictions.outcomes import Outcomes
from explorer.predictions.paired import accuracy_interval
from explorer.predictions.recall import (
    Recalls,
    evenly_spread,
    failing_replicates,
    mean_recalls,
    most_confident,
    recall_table,
    recalls_of,
    right_and_wrong,
    run_recall_table,
    telling_classes,
)

TRUE = np.array([0, 1, 0, 1, 0, 0, 3])  # class c has no image
PREDICTED = {
    "batch, seed 0": [0, 1, 1, 0, 0, 2, 3],
    "batch, seed 1": [0, 0, 1, 0, 0, 0, 3],
    "group": [1, 1, 1, 1, 1, 0, 0],
}


def outcomes(predicted: np.ndarray, confidence: np.ndarray | None = None, true: np.ndarray = TRUE) -> Outcomes:
    sure = np.linspace(0.4, 0.9, len(true), dtype=np.float32) if confidence is None else confidence
    return Outcomes(true, np.array(predicted), sure, sure, sure)


@pytest.fixture
def comparison() -> Comparison:
    """Two replicates of batch and one run of group."""
    return Comparison(
        runs=tuple(PREDICTED),
        variants=("batch", "group"),
        variant_of=np.array([0, 0, 1]),
        seeds=(0, 1, 0),
        classes=("a", "b", "c", "d"),
        ids=[f"{n}.png" for n in range(7)],
        outcomes=tuple(outcomes(np.array(found)) for found in PREDICTED.values()),
        stored=(None, None, None),
    )


@pytest.fixture
def recalls(comparison: Comparison) -> Recalls:
    return recalls_of(comparison)


class TestRecalls:
    def test_by_hand(self, recalls: Recalls):
        assert recalls.counts.tolist() == [4, 2, 0, 1]
        assert recalls.recognised.tolist() == [[2, 1, 0, 1], [3, 0, 0, 1], [1, 2, 0, 0]]
        assert recalls.fractions[0] == pytest.approx([0.5, 0.5, np.nan, 1], nan_ok=True)

    def test_against_scikit_learn(self, comparison: Comparison, recalls: Recalls):
        for row, found in enumerate(comparison.outcomes):
            # the stubs of scikit-learn know of strings alone
            how: dict[str, Any] = {"average": None, "zero_division": np.nan}
            wanted = recall_score(TRUE, found.predicted, labels=range(4), **how)
            assert recalls.fractions[row] == pytest.approx(wanted, nan_ok=True)

    def test_the_images_of_a_class_in_order(self, recalls: Recalls):
        assert [recalls.images(label).tolist() for label in range(4)] == [[0, 2, 4, 5], [1, 3], [], [6]]

    def test_means_over_replicates(self, comparison: Comparison, recalls: Recalls):
        wanted = [[0.625, 0.25, np.nan, 1], [0.25, 1, np.nan, 0]]
        assert mean_recalls(comparison, recalls) == pytest.approx(np.array(wanted), nan_ok=True)


class TestRecallTable:
    def test_a_row_per_variant_and_class(self, comparison: Comparison, recalls: Recalls):
        table = recall_table(comparison, recalls, "group", [1, 0]).set_index(["variant", "class"])
        assert list(table.index) == [("batch", "b"), ("batch", "a"), ("group", "b"), ("group", "a")]
        assert table["recall"].tolist() == [0.25, 0.625, 1, 0.25]
        assert table["difference"].tolist() == [-0.75, 0.375, 0, 0]
        assert table["runs"].tolist() == [2, 2, 1, 1]
        assert table["images"].tolist() == [2, 4, 2, 4]

    def test_bounds_are_the_seeds_of_several_runs_and_the_interval_of_one(
        self, comparison: Comparison, recalls: Recalls
    ):
        table = recall_table(comparison, recalls, "batch", [0]).set_index("variant")
        assert (table.loc["batch", "low"], table.loc["batch", "high"]) == (0.5, 0.75)
        assert (table.loc["group", "low"], table.loc["group", "high"]) == accuracy_interval(3, 4)

    def test_a_class_without_images_has_no_figures(self, comparison: Comparison, recalls: Recalls):
        table = recall_table(comparison, recalls, "batch", [2])
        assert table[["recall", "low", "high", "difference"]].isna().to_numpy().all()
        assert table["images"].tolist() == [0, 0]

    def test_an_unknown_reference(self, comparison: Comparison, recalls: Recalls):
        with pytest.raises(ValueError, match="layer"):
            recall_table(comparison, recalls, "layer", [0])

    def test_a_row_per_run(self, comparison: Comparison, recalls: Recalls):
        table = run_recall_table(comparison, recalls, [0])
        assert table["run"].tolist() == list(PREDICTED)
        assert table["variant"].tolist() == ["batch", "batch", "group"]
        assert table["recall"].tolist() == [0.5, 0.75, 0.25]


class TestTellingClasses:
    MEANS = np.array(
        [
            [0.9, 0.2, 0.5, np.nan, 0.95, 0.6],
            [0.9, 0.2, 0.7, np.nan, 0.45, 0.6],
        ]
    )

    def test_all_in_their_order_where_there_is_room(self):
        assert telling_classes(self.MEANS, 0, 4, 6) == [0, 1, 2, 3, 4, 5]

    def test_the_chosen_one_the_lowest_and_the_largest_difference(self):
        # means 0.9, 0.2, 0.6, -, 0.7, 0.6; differences 0, 0, 0.2, -, 0.5, 0
        assert telling_classes(self.MEANS, 0, 0, 3) == [0, 1, 4]
        assert telling_classes(self.MEANS, 0, 0, 5) == [0, 1, 2, 5, 4]

    def test_a_chosen_class_without_images_stays(self):
        assert telling_classes(self.MEANS, 0, 3, 2) == [3, 1]
        assert telling_classes(self.MEANS, 0, 3, 1) == [3]

    def test_one_variant_has_no_differences(self):
        assert telling_classes(self.MEANS[1:], 0, 0, 4) == [0, 1, 4, 5]

    @pytest.mark.parametrize("most", [1, 2, 7, 24, 40])
    def test_a_thousand_classes(self, most: int):
        means = np.random.default_rng(0).random((25, 1000))
        found = telling_classes(means, 3, 500, most)
        assert len(found) == len(set(found)) == most
        assert found[0] == 500
        if most > 2:
            assert int(means.mean(0).argmin()) in found
            assert int(np.abs(means - means[3]).max(0).argmax()) in found


class TestImagesOfAClass:
    def test_right_and_wrong_keep_the_order(self, comparison: Comparison):
        right, wrong = right_and_wrong(comparison.outcomes[0], np.array([5, 0, 2, 4]))
        assert (right.tolist(), wrong.tolist()) == ([0, 4], [5, 2])

    def test_the_most_confident_first_and_equal_ones_in_order(self):
        sure = np.array([0.5, 0.9, 0.7, 0.9, 0.1, 0.9, 0.2], dtype=np.float32)
        found = outcomes(TRUE, sure)
        assert most_confident(found, np.arange(7), 4).tolist() == [1, 3, 5, 2]
        assert most_confident(found, np.arange(7), 2).tolist() == [1, 3]
        assert most_confident(found, np.array([6, 4]), 4).tolist() == [6, 4]
        assert most_confident(found, np.array([], dtype=int), 4).tolist() == []

    @pytest.mark.parametrize("count", [1, 4, 100])
    def test_as_if_all_were_sorted(self, count: int):
        sure = np.random.default_rng(0).random(300).astype(np.float32).round(1)
        found = outcomes(np.zeros(300, int), sure, np.zeros(300, int))
        positions = np.arange(0, 300, 2)
        wanted = positions[np.argsort(-sure[positions], kind="stable")][:count]
        assert most_confident(found, positions, count).tolist() == wanted.tolist()

    def test_in_how_many_replicates_an_image_fails(self, comparison: Comparison):
        assert failing_replicates(comparison, 0, np.array([0, 1, 2, 5])).tolist() == [0, 1, 2, 1]
        assert failing_replicates(comparison, 1, np.array([0, 1])).tolist() == [1, 0]

    def test_evenly_spread(self):
        assert evenly_spread(np.arange(3), 5).tolist() == [0, 1, 2]
        assert evenly_spread(np.arange(10, 21), 3).tolist() == [10, 15, 20]
