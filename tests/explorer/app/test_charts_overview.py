"""The charts of *Overview*: how variants stand, every pair of them, and calibration."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from explorer.app.charts.base import MOST_MARKS
from explorer.app.charts.overview import RARE, pairs_chart, reliability_chart, standings_chart
from tests.explorer.app.specifications import check, fields_of, mark_of, marks, nodes, specification

VARIANTS = ("group: it's [4]", 'batch, "8"', "none\\é.", "a.b[0]")
NO_RUNS = pd.DataFrame(columns=["variant", "run", "accuracy"])


def colours(count: int) -> dict[str, str]:
    return {VARIANTS[n] if n < 4 else f"v.{n}": f"#{n:06d}" for n in range(count)}


def standings(count: int) -> pd.DataFrame:
    """The second is what the others are compared with; the first is reliably better."""
    numbers = np.arange(count)
    accuracy = 0.9 - numbers / 100
    difference = np.where(numbers == 1, np.nan, accuracy - 0.89)
    table = pd.DataFrame({"variant": list(colours(count)), "runs": 1, "accuracy": accuracy})
    return table.assign(
        low=accuracy - 0.02,
        high=accuracy + 0.02,
        difference=difference,
        difference_low=difference - 0.005,
        difference_high=difference + 0.005,
        p_holm=np.where(numbers == 1, np.nan, 0.04),
        reliable=numbers == 0,
        verdict=["better", "compared with", *["not distinguishable"] * (count - 2)][:count],
        single=False,
    )


def runs(count: int, each: int) -> pd.DataFrame:
    rows = [(name, f"{name}, seed {n}", 0.8 + n / 100) for name in colours(count) for n in range(each)]
    return pd.DataFrame(rows, columns=pd.Index(["variant", "run", "accuracy"]))


def deep_layers(spec: dict[str, Any]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each layer, whichever part of the chart it is in, with the rows it draws."""
    found = []

    def collect(part: dict[str, Any], above: dict[str, Any] | None) -> None:
        data = part.get("data", above)
        for layer in part.get("layer", []):
            collect(layer, data)
        if "mark" in part:
            found.append((part, spec["datasets"][data["name"]]))

    collect(spec, None)
    return found


def drawn(spec: dict[str, Any], mark: str, field: str) -> list[dict[str, Any]]:
    """The rows of the layer of that mark along that column."""
    (rows,) = [
        rows for layer, rows in deep_layers(spec) if mark_of(layer) == mark and layer["encoding"]["x"]["field"] == field
    ]
    return rows


class TestStandings:
    @pytest.mark.parametrize("count", [2, 4, 25])
    @pytest.mark.parametrize("each", [0, 3])
    def test_valid_and_small(self, count: int, each: int) -> None:
        found = deep_layers(specification(standings_chart(standings(count), runs(count, each) if each else NO_RUNS)))
        assert sum(len(rows) for _, rows in found) <= MOST_MARKS
        for layer, rows in found:
            made = {"words"} if "transform" in layer else set()
            assert all(fields_of(layer) - made <= set(row) for row in rows)

    def test_best_first_on_both_sides(self) -> None:
        spec = specification(standings_chart(standings(4), runs(4, 3)))
        orders = [node["sort"] for node in nodes(spec) if "sort" in node]
        assert orders
        assert all(order == list(VARIANTS) for order in orders)

    def test_two_sides_share_the_rows_and_not_the_axis(self) -> None:
        spec = specification(standings_chart(standings(3), NO_RUNS))
        assert spec["resolve"]["scale"]["x"] == "independent"
        ranges = {str(node["range"]) for node in nodes(spec) if "range" in node}
        assert len(ranges) == 2

    def test_differences_are_in_points(self) -> None:
        rows = drawn(specification(standings_chart(standings(3), NO_RUNS)), "point", "difference")
        assert [row["difference"] for row in rows] == pytest.approx([1, 0, -1])
        assert [row["difference_low"] for row in rows] == [pytest.approx(0.5), None, pytest.approx(-1.5)]

    def test_words_have_a_real_minus_and_the_reference_no_number(self) -> None:
        rows = drawn(specification(standings_chart(standings(3), NO_RUNS)), "text", "difference")
        assert [row["long"] for row in rows] == [
            "+1.0, better",
            "compared with",
            "\N{MINUS SIGN}1.0, not distinguishable",
        ]

    def test_one_training_against_one_is_starred_and_says_nothing_of_the_mean(self) -> None:
        table = standings(3).assign(single=[True, False, True])
        spec = specification(standings_chart(table, runs(3, 2)))
        assert [row["short"] for row in drawn(spec, "text", "difference")] == [
            "better *",
            "compared with",
            "not distinguishable *",
        ]
        assert [row["reliable"] for row in drawn(spec, "point", "difference")] == [True, False, False]
        assert not any(row["reliable"] for row in drawn(spec, "point", "accuracy"))

    def test_among_many_what_is_not_distinguishable_has_its_number_alone(self) -> None:
        rows = drawn(specification(standings_chart(standings(25), NO_RUNS)), "text", "difference")
        assert [row["long"] for row in rows[:3]] == ["+1.0, better", "compared with", "\N{MINUS SIGN}1.0"]
        assert [row["short"] for row in rows[:3]] == ["better", "compared with", "\N{MINUS SIGN}1.0"]

    def test_colour_and_filling_tell_reliable_alone(self) -> None:
        for layer, _ in deep_layers(specification(standings_chart(standings(4), runs(4, 3)))):
            colour = layer["encoding"].get("color", {})
            assert "field" not in colour
            assert colour.get("condition", {}).get("test", "datum.reliable") == "datum.reliable"

    def test_without_a_reference_there_are_accuracies_alone(self) -> None:
        table = standings(1).filter(["variant", "runs", "accuracy", "low", "high"])
        spec = specification(standings_chart(table, runs(1, 3)))
        check(spec)
        assert {layer["encoding"]["x"]["field"] for layer, _ in deep_layers(spec)} == {"low", "accuracy"}


class TestPairs:
    def table(self, count: int) -> pd.DataFrame:
        names = list(colours(count))
        rows = [(a, b, (names.index(b) - names.index(a)) / 100, a == names[0]) for a in names for b in names if a != b]
        return pd.DataFrame(rows, columns=pd.Index(["variant_a", "variant_b", "difference", "reliable"]))

    @pytest.mark.parametrize("count", [3, 12])
    def test_valid_and_small(self, count: int) -> None:
        spec = specification(pairs_chart(self.table(count), list(colours(count))))
        check(spec)
        assert marks(spec) <= MOST_MARKS

    def test_points_with_a_real_minus_and_no_negative_zero(self) -> None:
        table = pd.DataFrame(
            {
                "variant_a": ["a", "b", "a", "c"],
                "variant_b": ["b", "a", "c", "a"],
                "difference": [0.0312, -0.0312, 0.0001, -0.0001],
                "reliable": [True, True, False, False],
            }
        )
        _, rows = deep_layers(specification(pairs_chart(table, ["a", "b", "c"])))[0]
        assert [row["text"] for row in rows] == ["+3.1", "\N{MINUS SIGN}3.1", "+0.0", "+0.0"]


class TestReliability:
    def table(self, count: int) -> pd.DataFrame:
        rows = [(name, 0.05 + n / 10, n / 10, 3 * n + 1) for name in colours(count) for n in range(10)]
        return pd.DataFrame(rows, columns=pd.Index(["variant", "confidence", "accuracy", "count"]))

    @pytest.mark.parametrize("count", [1, 12])
    def test_valid_and_small(self, count: int) -> None:
        spec = specification(reliability_chart(self.table(count), colours(count)))
        check(spec)
        assert marks(spec) <= MOST_MARKS

    def test_a_variant_has_its_colour_and_one_alone_no_legend(self) -> None:
        for count in (1, 4):
            coloured = [
                node["color"]
                for node in nodes(specification(reliability_chart(self.table(count), colours(count))))
                if isinstance(node.get("color"), dict)
            ]
            assert coloured
            for colour in coloured:
                assert dict(zip(colour["scale"]["domain"], colour["scale"]["range"], strict=True)) == colours(count)
                assert (colour["legend"] is None) == (count == 1)

    def test_lines_leave_out_rare_bins_and_dots_tell_how_rare(self) -> None:
        diagonal, lines, dots = specification(reliability_chart(self.table(3), colours(3)))["layer"]
        assert lines["transform"] == [{"filter": f"datum.count >= {RARE}"}]
        assert "size" not in lines["encoding"]
        assert dots["encoding"]["size"]["field"] == "count"
        assert "transform" not in dots
        assert diagonal["mark"]["strokeDash"]
