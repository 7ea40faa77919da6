"""The charts of the page *Classes*: valid, of what the tables say, and never more marks than a browser bears."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from explorer.app.charts.base import MOST_MARKS, Chart
from explorer.app.charts.classes import (
    agreement_chart,
    class_chart,
    most_classes,
    one_variant_chart,
    recall_chart,
)

VARIANTS = ('batch, "8"', "group: it's [4]", "none\\é.", "learning rate 0.1")
CLASSES = ("a:b", "the 'c'", 'say "d"', "x.y[0]")
COLOURS: dict[str, str] = dict(zip(VARIANTS, ("#0072B2", "#CC79A7", "#7F7F7F", "#009E73"), strict=True))


def recalls(variants: int, runs: int = 1, classes: tuple[str, ...] = CLASSES) -> pd.DataFrame:
    """The last class has no images, so no recall."""
    rows = [(variant, name) for variant in VARIANTS[:variants] for name in classes]
    table = pd.DataFrame(rows, columns=pd.Index(["variant", "class"]))
    table = table.assign(recall=0.25, low=0.1, high=0.4, runs=runs, images=120, difference=-0.1)
    gone = table["class"] == classes[-1]
    table.loc[gone, ["recall", "low", "high", "difference"]] = np.nan
    return table.assign(images=table["images"].where(~gone, 0))


def run_recalls(variants: int, runs: int = 1) -> pd.DataFrame:
    rows = [
        (variant, f"{variant}, seed {seed}", name, 0.2 + seed / 10)
        for variant in VARIANTS[:variants]
        for seed in range(runs)
        for name in CLASSES
    ]
    return pd.DataFrame(rows, columns=pd.Index(["variant", "run", "class", "recall"]))


def agreements(variants: int) -> pd.DataFrame:
    """The first variant has no map at all."""
    pairs = [(a, b) for a in VARIANTS[:variants] for b in VARIANTS[:variants]]
    table = pd.DataFrame(pairs, columns=pd.Index(["run_a", "run_b"]))
    values = [np.nan, *np.linspace(-0.2, 1, len(pairs) - 1)]
    return table.assign(agreement=values, differs=table["run_b"] == VARIANTS[0])


def of(name: str, table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(table[table["class"] == name])


def every_chart(variants: int, runs: int) -> dict[str, Chart]:
    table, dots = recalls(variants, runs), run_recalls(variants, runs)
    colours = {label: COLOURS[label] for label in VARIANTS[:variants]}
    return {
        "recall": recall_chart(table, CLASSES[1]),
        "class": class_chart(of(CLASSES[0], table), of(CLASSES[0], dots), colours),
        "one variant": one_variant_chart(recalls(1, runs), run_recalls(1, runs), CLASSES[0], "#0072B2"),
        "agreement": agreement_chart(agreements(variants), VARIANTS[:variants]),
    }


def nodes(plain: object) -> Iterator[dict[str, Any]]:
    """Every object within a specification."""
    for part in plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
        yield from nodes(part)
    if isinstance(plain, dict):
        yield plain


def fields_of(layer: dict[str, Any]) -> set[str]:
    """The columns a layer reads, by name or in an expression."""
    found = list(nodes(layer))
    named = {node["field"] for node in found if isinstance(node.get("field"), str)}
    tests = [str(node[key]) for node in found for key in ("test", "filter") if isinstance(node.get(key), str)]
    return named | {name for test in tests for name in re.findall(r"datum\.(\w+)", test)}


def drawn(chart: Chart) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each layer with the rows it draws; to make them raises where they do not meet the schema of Vega-Lite."""
    spec = chart.to_dict()
    layers = spec.get("layer", [spec])
    return [(layer, spec["datasets"][(layer.get("data") or spec["data"])["name"]]) for layer in layers]


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("variants", [1, 4])
def test_every_chart_is_valid_and_reads_only_columns_it_has(variants: int, runs: int):
    for chart in every_chart(variants, runs).values():
        for layer, rows in drawn(chart):
            assert fields_of(layer)
            assert all(fields_of(layer) <= set(row) for row in rows)
        domains = [node["domain"] for node in nodes(chart.to_dict()) if isinstance(node.get("domain"), list)]
        assert all(value is not None and value == value for domain in domains for value in domain)


@pytest.mark.parametrize("variants", [1, 2, 7, 20, 25])
def test_cells_and_their_numbers_are_at_most_what_a_browser_bears(variants: int):
    counts = {classes: most_classes(variants, classes) for classes in (2, 10, 40, 41, 1000)}
    assert all(2 * variants * most <= MOST_MARKS for most in counts.values())
    assert counts[10] == 10
    assert counts[1000] == counts[41] < 41
    if variants <= 20:
        assert counts[40] == 40


def test_a_class_without_images_has_no_recall():
    _, rows = drawn(recall_chart(recalls(1), CLASSES[0]))[1]
    assert [row["text"] for row in rows] == ["25%", "25%", "25%", "–"]
    assert rows[3]["range"] == "–"


def test_no_class_with_images():
    table = recalls(2, classes=CLASSES[:1])
    assert [row["text"] for row in drawn(recall_chart(table, CLASSES[0]))[1][1]] == ["–", "–"]


def test_the_chosen_class_alone_is_framed():
    _, rows = drawn(recall_chart(recalls(4), CLASSES[2]))[0]
    assert {row["class"] for row in rows if row["frame"] != "transparent"} == {CLASSES[2]}


def test_a_range_is_the_interval_of_one_run_or_the_seeds_of_several():
    for runs, words in ((1, "10.0% to 40.0% (95% interval)"), (3, "10.0% to 40.0% over 3 seeds")):
        _, rows = drawn(recall_chart(recalls(1, runs), CLASSES[0]))[0]
        assert rows[0]["range"] == words


def test_the_scale_of_a_class_holds_all_bounds():
    table = of(CLASSES[0], recalls(4)).assign(low=[0.0, 0.3, 0.5, 0.9], high=[0.2, 0.4, 0.6, 1.0])
    layers = drawn(class_chart(table, of(CLASSES[0], run_recalls(4)), COLOURS))
    scales = [node["domain"] for node in nodes(layers[0][0]) if isinstance(node.get("domain"), list)]
    assert [0, 1] in scales


def test_a_class_has_a_dot_for_each_run_in_the_colour_of_its_variant():
    table, dots = (of(CLASSES[0], found) for found in (recalls(4, 3), run_recalls(4, 3)))
    layer, rows = drawn(class_chart(table, dots, COLOURS))[2]
    assert len(rows) == 12
    assert layer["mark"]["type"] == "circle"
    assert layer["encoding"]["color"]["scale"] == {"domain": list(COLOURS), "range": list(COLOURS.values())}


def test_the_bars_of_one_variant_have_dots_only_for_several_runs():
    for runs, dots in ((1, 0), (3, 12)):
        layers = drawn(one_variant_chart(recalls(1, runs), run_recalls(1, runs), CLASSES[0], "#0072B2"))
        assert len(layers[2][1]) == dots


def test_agreement_has_a_star_where_it_differs_and_a_real_minus():
    _, rows = drawn(agreement_chart(agreements(2), VARIANTS[:2]))[0]
    assert [row["text"] for row in rows] == ["– *", "\N{MINUS SIGN}0.20", "0.40 *", "1.00"]
    framed = [(row["run_a"], row["run_b"]) for row in rows if row["frame"] != "transparent"]
    assert framed == [(name, name) for name in VARIANTS[:2]]
