"""Confused classes: cells and sums by hand and against scikit-learn."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from explorer.predictions.confusion import ANY, SUM, ConfusedPair, confused_pairs, confusion_table

NAMES = ("a", "b", "c")
COUNTS = np.array([[5, 2, 0], [1, 7, 3], [0, 0, 0]])  # the last class never occurs


def cells(
    counts: np.ndarray = COUNTS, classes: tuple[int, ...] = (0, 1, 2), chosen: tuple[int, int] = (0, 1)
) -> pd.DataFrame:
    return confusion_table(counts, NAMES, classes, chosen).set_index(["true", "predicted"])


def by_cell(column: str, counts: np.ndarray = COUNTS) -> dict[tuple[str, str], Any]:
    """(true, predicted) -> what the column says of that cell."""
    values = cells(counts)[column]
    assert values.index.is_unique
    return {(str(true), str(predicted)): value for (true, predicted), value in values.to_dict().items()}


class TestTable:
    def test_cells_and_sums_by_hand(self) -> None:
        wanted = [
            [5, 2, 0, 2],
            [1, 7, 3, 4],
            [0, 0, 0, 0],
            [1, 2, 3, 6],
        ]
        names = [*NAMES, SUM]
        square = cells()["count"].unstack("predicted").loc[names, names]
        assert square.to_numpy().tolist() == wanted

    def test_sums_are_over_all_classes_though_few_are_shown(self) -> None:
        square = cells(classes=(1,))["count"].unstack("predicted").loc[["b", SUM], ["b", SUM]]
        assert square.to_numpy().tolist() == [[7, 4], [2, 6]]

    def test_kinds(self) -> None:
        kinds = by_cell("kind")
        found = {kind: {cell for cell in kinds if kinds[cell] == kind} for kind in ("right", "sum", "wrong")}
        assert found["right"] == {("a", "a"), ("b", "b"), ("c", "c")}
        assert found["sum"] == {(n, SUM) for n in "abc"} | {(SUM, n) for n in "abc"} | {(SUM, SUM)}
        assert len(found["wrong"]) == 6

    @pytest.mark.parametrize("chosen", [(0, 1), (2, 2), (ANY, 0), (0, ANY), (ANY, ANY)])
    def test_the_chosen_cell_alone_is_marked(self, chosen: tuple[int, int]) -> None:
        table = cells(chosen=chosen)
        marked = table[table["chosen"]]
        assert list(zip(marked["true_index"], marked["predicted_index"], strict=True)) == [chosen]

    def test_a_class_called_like_the_sums_is_told_from_them(self) -> None:
        table = confusion_table(COUNTS[:2, :2], ("a", SUM), (0, 1), (1, ANY))
        assert len(table) == len(table.drop_duplicates(["true", "predicted"])) == 9

    def test_against_scikit_learn(self) -> None:
        rng = np.random.default_rng(3)
        labels, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
        found = by_cell("count", confusion_matrix(labels, predicted))
        assert found[SUM, SUM] == (labels != predicted).sum()
        for k, name in enumerate(NAMES):
            assert found[name, SUM] == ((labels == k) & (predicted != k)).sum()
            assert found[SUM, name] == ((labels != k) & (predicted == k)).sum()
            assert found[name, name] == ((labels == k) & (predicted == k)).sum()

    def test_differences_of_two_runs_add_up_too(self) -> None:
        found = by_cell("count", COUNTS - np.array([[6, 1, 0], [0, 8, 3], [0, 0, 0]]))
        assert found["a", SUM] == 1
        assert found["b", SUM] == 1
        assert found[SUM, "a"] == 1
        assert found[SUM, SUM] == 2


class TestPairs:
    def test_the_largest_first_and_equal_ones_by_class(self) -> None:
        counts = np.array([[9, 2, 0], [3, 9, 2], [0, 1, 9]])
        assert confused_pairs(counts, 3) == [ConfusedPair(1, 0, 3), ConfusedPair(0, 1, 2), ConfusedPair(1, 2, 2)]

    def test_no_more_than_there_are(self) -> None:
        assert confused_pairs(COUNTS, 100) == [ConfusedPair(1, 2, 3), ConfusedPair(0, 1, 2), ConfusedPair(1, 0, 1)]

    def test_nothing_is_confused(self) -> None:
        assert confused_pairs(np.eye(4, dtype=int), 5) == []
