"""The charts of *Capacity*: bars for what is known, dots of one cost side by side, others in grey."""

import numpy as np
import pandas as pd
import pytest

from explorer.app.charts.base import MOST_MARKS
from explorer.app.charts.capacity import accuracy_costs_chart, bars_chart, costs_chart
from tests.explorer.app.specifications import check, layers, mark_of, marks, specification

VARIANTS = ('batch, "8"', "group: it's [4]", "none\\é.", "layer, seed 1")


def colours(count: int) -> dict[str, str]:
    return {VARIANTS[n] if n < 4 else f"v.{n}": f"#{n:06d}" for n in range(count)}


def table(parameters: list[float], macs: list[float] | None = None) -> pd.DataFrame:
    costs = {"parameters": parameters, "macs": parameters if macs is None else macs}
    count = len(parameters)
    accuracy = 0.8 + np.arange(count) / 100
    return pd.DataFrame(
        {
            "variant": list(colours(count)),
            "accuracy": accuracy,
            "low": accuracy - 0.05,
            "high": accuracy + 0.05,
            **costs,
        }
    )


def others(count: int) -> pd.DataFrame:
    numbers = np.arange(count)
    return pd.DataFrame(
        {"run": [f"r[{n}].x" for n in numbers], "accuracy": 0.7, "parameters": 1e4 + numbers, "macs": np.nan}
    )


class TestBars:
    def test_a_bar_and_its_figure_for_each_variant_in_their_order(self) -> None:
        spec = specification(bars_chart(table([2_500_000, 1200]), "parameters", colours(2)))
        check(spec)
        for _, rows in layers(spec):
            assert [(row["variant"], row["cost"], row["text"]) for row in rows] == [
                (VARIANTS[0], 2_500_000, "2,500,000"),
                (VARIANTS[1], 1200, "1,200"),
            ]

    def test_macs_are_in_millions(self) -> None:
        spec = specification(bars_chart(table([1.0], [106_627_328]), "macs", colours(1)))
        assert [row["text"] for _, rows in layers(spec) for row in rows] == ["106.6 M"] * 2

    @pytest.mark.parametrize("known", [np.nan, 5.0])
    def test_what_is_not_known_has_no_bar(self, known: float) -> None:
        spec = specification(bars_chart(table([np.nan, known]), "parameters", colours(2)))
        check(spec)
        (_, rows), _ = layers(spec)
        assert rows[0]["cost"] == 0
        assert rows[0]["text"] == "not known"

    def test_a_full_comparison_is_drawn_at_once(self) -> None:
        assert marks(specification(bars_chart(table([1.0] * 25), "macs", colours(25)))) <= MOST_MARKS


class TestAccuracyAgainstCosts:
    @pytest.mark.parametrize("count", [1, 3, 25])
    @pytest.mark.parametrize("behind", [0, 1, 400])
    def test_valid_and_small(self, count: int, behind: int) -> None:
        shown = table([float(10 ** (3 + n % 5)) for n in range(count)])
        for cost in ("parameters", "macs"):
            spec = specification(accuracy_costs_chart(shown, cost, colours(count), others(behind)))
            check(spec)
            assert marks(spec) <= MOST_MARKS

    def test_dots_of_one_cost_stand_side_by_side_in_the_order_of_the_table(self) -> None:
        shown = table([1000.0, 175_000.0, 174_000.0, 175_000.0])
        spec = specification(accuracy_costs_chart(shown, "parameters", colours(4)))
        rows = layers(spec)[0][1]
        assert [row["aside"] for row in rows] == [0, -11, 0, 11]
        assert [layer["encoding"]["color"].get("legend") is not None for layer, _ in layers(spec)] == [True, True]

    def test_dots_apart_are_named_where_they_are(self) -> None:
        spec = specification(accuracy_costs_chart(table([1e3, 1e5, 1e7]), "parameters", colours(3)))
        kinds = [mark_of(layer) for layer, _ in layers(spec)]
        assert kinds == ["rule", "point", "text"]
        assert all(row["aside"] == 0 for row in layers(spec)[0][1])
        assert all(layer["encoding"]["color"].get("legend") is None for layer, _ in layers(spec))

    def test_names_of_near_dots_do_not_cross(self) -> None:
        shown = table([4e4, 4.8e4, 6.7e4, 3e6]).assign(variant=["compact", "tinyresnet", "simplecnn", "vgg11"])
        spec = specification(accuracy_costs_chart(shown, "parameters", dict.fromkeys(shown["variant"], "#000000")))
        places = {row["variant"]: row["place"] for row in layers(spec)[0][1]}
        assert places["compact"] != places["tinyresnet"]
        assert places["vgg11"] == "above"

    def test_what_costs_nobody_knows_what_is_left_out(self) -> None:
        spec = specification(accuracy_costs_chart(table([np.nan, 1e5, 0.0]), "parameters", colours(3)))
        assert {row["variant"] for _, rows in layers(spec) for row in rows} == {VARIANTS[1]}

    def test_the_axis_holds_what_is_grey_too(self) -> None:
        spec = specification(accuracy_costs_chart(table([1e6]), "parameters", colours(1), others(3)))
        for layer, _ in layers(spec):
            low, high = layer["encoding"]["x"]["scale"]["domain"]
            assert low < 1e4 < 1e6 < high

    def test_near_accuracies_have_a_decimal(self) -> None:
        shown = table([1e3, 1e6])
        formats = []
        for spread in (0.01, 0.3):
            wide = shown.assign(low=shown["accuracy"] - spread, high=shown["accuracy"] + spread)
            spec = specification(accuracy_costs_chart(wide, "macs", colours(2)))
            formats.append(layers(spec)[0][0]["encoding"]["y"]["axis"]["format"])
        assert formats == [".1%", ".0%"]


class TestEveryArchitecture:
    def costs(self, *rows: tuple[str, float, float, bool]) -> pd.DataFrame:
        shown = pd.DataFrame(rows, columns=pd.Index(["architecture", "parameters", "macs", "trained"]))
        return shown.assign(arguments="width=16")

    @pytest.mark.parametrize("count", [1, 4])
    def test_valid(self, count: int) -> None:
        rows = [(f"net.{n}", 174_868.0 * 2**n, 1.07e8, n < 2) for n in range(count)]
        check(specification(costs_chart(self.costs(*rows), "net.0")))

    def test_crowded_names_stand_apart_and_the_chosen_one_is_filled(self) -> None:
        shown = self.costs(("low", 1e6, 1.0e8, True), ("high", 1.1e6, 1.3e8, False), ("far", 1e4, 1e7, True))
        rows = layers(specification(costs_chart(shown, "far")))[0][1]
        assert [row["label_below"] for row in rows] == [True, False, False]
        assert [row["chosen"] for row in rows] == [False, False, True]
