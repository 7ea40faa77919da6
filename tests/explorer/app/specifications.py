"""What the tests of charts share: reading a Vega-Lite specification."""

import re
from collections.abc import Iterator
from typing import Any

from explorer.app.charts.base import Chart

Specification = dict[str, Any]


def specification(chart: Chart) -> Specification:
    """The specification of a chart; raises where it does not meet the schema of Vega-Lite."""
    return chart.to_dict()


def nodes(plain: object) -> Iterator[dict[str, Any]]:
    """Every object within a specification."""
    for part in plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
        yield from nodes(part)
    if isinstance(plain, dict):
        yield plain


def fields_of(layer: Specification) -> set[str]:
    """The columns a layer reads, by name or in an expression."""
    named = {node["field"] for node in nodes(layer["encoding"]) if isinstance(node.get("field"), str)}
    words = [value for node in nodes(layer) for value in node.values() if isinstance(value, str)]
    return named | {name for text in words for name in re.findall(r"datum\.(\w+)", text)}


def layers(spec: Specification) -> list[tuple[Specification, list[dict[str, Any]]]]:
    """Each layer with the rows it draws."""
    parts = spec.get("layer", [spec])
    return [(layer, spec["datasets"][(layer.get("data") or spec["data"])["name"]]) for layer in parts]


def mark_of(layer: Specification) -> str:
    """What kind of mark a layer draws."""
    return layer["mark"] if isinstance(layer["mark"], str) else layer["mark"]["type"]


def marks(spec: Specification) -> int:
    """How many marks a chart has at most; every point along a line counts."""
    return sum(len(rows) for _, rows in layers(spec))


def check(spec: Specification) -> None:
    """Fails where a chart reads a column it does not have, or a scale has a bound that is no number."""
    for layer, rows in layers(spec):
        assert fields_of(layer)
        assert all(fields_of(layer) <= set(row) for row in rows)
    domains = [node["domain"] for node in nodes(spec) if isinstance(node.get("domain"), list)]
    assert all(value is not None and value == value for domain in domains for value in domain)
