"""The charts of *Failures*: every cell clickable by its classes, and never more marks than a browser bears."""

import altair as alt
import numpy as np
import pandas as pd
import pytest

from explorer.app.charts.base import MOST_MARKS
from explorer.app.charts.failures import confused_pairs_chart, confusion_chart, overlap_chart
from explorer.predictions.confusion import ANY, ConfusedPair, confused_pairs, confusion_table
from explorer.predictions.overlap import failure_overlap
from tests.explorer.app.specifications import check, layers, marks, nodes

CLASSES = ("a:b", "the 'c'", 'say "d"', "x.y[0]", "any class")
VARIANTS = ('batch, "8"', "group: it's [4]", "none\\é.", "layer, seed 1")


def valid(plain: dict) -> dict:
    """The specification, which meets the schema of Vega-Lite."""
    return alt.Chart.from_dict(plain).to_dict()


def selected(spec: dict) -> list[str]:
    """The columns that a click selects."""
    return next(node["fields"] for node in nodes(spec) if "fields" in node)


def of_all(counts: np.ndarray, classes: tuple[str, ...] = CLASSES) -> pd.DataFrame:
    return confusion_table(counts, classes, range(len(classes)), (0, ANY))


class TestConfusion:
    @pytest.mark.parametrize("signed", [False, True])
    @pytest.mark.parametrize("low", [0, -8])
    def test_it_is_valid_and_reads_only_columns_it_has(self, signed: bool, low: int) -> None:
        spec = valid(confusion_chart(of_all(np.arange(25).reshape(5, 5) + low), "cell", signed))
        check(spec)
        assert selected(spec) == ["true_index", "predicted_index"]

    def test_without_a_wrong_answer(self) -> None:
        check(valid(confusion_chart(of_all(np.zeros((5, 5), int)), "cell")))

    def test_the_matrix_of_as_many_classes_as_it_shows_has_few_marks(self) -> None:
        names = tuple(map(str, range(24)))
        assert marks(valid(confusion_chart(of_all(np.ones((24, 24), int), names), "cell"))) <= MOST_MARKS


class TestConfusedPairs:
    @pytest.mark.parametrize("pairs", [[], [ConfusedPair(3, 1, 7), ConfusedPair(4, 0, 2)]])
    def test_a_bar_for_each_pair_that_a_click_names_by_its_classes(self, pairs: list[ConfusedPair]) -> None:
        spec = valid(confused_pairs_chart(pairs, CLASSES, (3, 1), "cell"))
        check(spec)
        assert selected(spec) == ["true_index", "predicted_index"]
        for _, rows in layers(spec):
            assert [(row["true_index"], row["predicted_index"], row["count"], row["chosen"]) for row in rows] == [
                (pair.true, pair.predicted, pair.count, pair.true == 3) for pair in pairs
            ]

    def test_a_thousand_classes(self) -> None:
        counts = np.random.default_rng(0).integers(0, 9, (1000, 1000))
        names = tuple(map(str, range(1000)))
        spec = valid(confused_pairs_chart(confused_pairs(counts, 12), names, (ANY, ANY), "cell"))
        assert marks(spec) == 2 * 12


class TestOverlap:
    @pytest.mark.parametrize("count", [1, 4])
    def test_it_is_valid_and_reads_only_columns_it_has(self, count: int) -> None:
        wrong = np.arange(12) % np.arange(3, 3 + count)[:, None] == 0
        table = failure_overlap(wrong, VARIANTS[:count]).drop(columns="failing")
        places = range(len(table))
        table = table.assign(set=[f'"{n}": it\'s' for n in places], chosen=[n == 1 for n in places], place=places)
        spec = valid(overlap_chart(table, "set"))
        check(spec)
        assert selected(spec) == ["place"]

    def test_a_tick_just_behind_a_bar_does_not_cross_its_count(self) -> None:
        table = pd.DataFrame({"set": list("abcd"), "observed": 100, "expected": [20.0, 100, 105, 180], "chosen": False})
        rows = overlap_chart(table, "set")["datasets"]["rows"]
        assert [row["beside"] for row in rows] == [100, 100, 105, 100]
