"""Charts of the page *Failures*: confused classes and sets of variants that fail together."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from explorer.app.charts.base import (
    EMPHASIS,
    QUIET,
    ROWS,
    Specification,
    columns_axis,
    names_axis,
    with_rows,
)
from explorer.predictions.confusion import ConfusedPair

TICK = "#D55E00"


def confusion_chart(table: pd.DataFrame, selection: str, signed: bool = False) -> Specification:
    """Counts by true class (row) and predicted class (column), one clickable cell each; the chosen one is framed.

    Vega-Lite as it is, since every click draws it anew: altair takes 0.1 s to build and validate it, so that is done
    once and the rows are put in. The columns are those of `confusion_table`; a click selects `true_index` and
    `predicted_index`. `signed` colours differences of two runs: blue fewer, orange more.
    """
    wrong = table.loc[table["kind"] == "wrong", "count"].abs()
    reach = max(1, int(wrong.max()) if len(wrong) else 1)
    return with_rows(_confusion_specification(tuple(dict.fromkeys(table["true"])), selection, signed, reach), table)


@lru_cache(maxsize=64)
def _confusion_specification(classes: tuple[str, ...], selection: str, signed: bool, reach: int) -> Specification:
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        x=alt.X("predicted:N", sort=list(classes), title="predicted", axis=columns_axis()),
        y=alt.Y("true:N", sort=list(classes), title="true", axis=names_axis(labelLimit=130)),
        tooltip=["true:N", "predicted:N", alt.Tooltip("count:Q", title="images")],
    )
    if signed:
        scale = alt.Scale(scheme="blueorange", domain=[-reach, reach])
    else:
        scale = alt.Scale(scheme="oranges", domain=[0, reach])
    cells = base.mark_rect(cornerRadius=3, cursor="pointer").encode(
        color=alt.condition(
            "datum.kind == 'wrong'", alt.Color("count:Q", scale=scale, legend=None), alt.value("#8a93a340")
        ),
        stroke=alt.condition("datum.chosen", alt.value(EMPHASIS), alt.value("transparent")),
        strokeWidth=alt.value(3),
    )
    dark = f"datum.kind == 'wrong' && abs(datum.count) > {0.65 * reach}"
    text = base.mark_text(fontSize=13 if len(classes) <= 7 else 10).encode(
        text=alt.Text("count:Q", format="+d" if signed else "d"),
        color=alt.when(dark)
        .then(alt.value("white"))
        .when("datum.kind == 'wrong'")
        .then(alt.value("#1a2130"))
        .otherwise(alt.value(QUIET)),
    )
    picked = alt.selection_point(name=selection, fields=["true_index", "predicted_index"], clear=False)
    return (cells.add_params(picked) + text).properties(height=34 * len(classes) + 110).to_dict()


def overlap_chart(table: pd.DataFrame, selection: str) -> Specification:
    """Images that exactly one set of runs fails on, as bars, with a tick where independent failures would be.

    Vega-Lite as it is, like `confusion_chart`. Columns: `set` (its label), `place` (which a click selects), `observed`,
    `expected`, `chosen` (bool), in the order to show.
    """
    room = 0.12 * table[["observed", "expected"]].to_numpy().max(initial=0)  # what a number takes up behind its bar
    crossed = (table["expected"] - table["observed"]).between(0, room)
    table = table.assign(beside=table["observed"].where(~crossed, table["expected"]))
    return with_rows(_overlap_specification(len(table), selection), table)


def confused_pairs_chart(
    pairs: Sequence[ConfusedPair], names: Sequence[str], chosen: tuple[int, int], selection: str
) -> Specification:
    """The most confused pairs of classes as bars, largest first; a click selects `true_index` and `predicted_index`."""
    table = pd.DataFrame(
        {
            "pair": [f"{names[pair.true]} → {names[pair.predicted]}" for pair in pairs],
            "true": [names[pair.true] for pair in pairs],
            "predicted": [names[pair.predicted] for pair in pairs],
            "true_index": [pair.true for pair in pairs],
            "predicted_index": [pair.predicted for pair in pairs],
            "count": [pair.count for pair in pairs],
            "chosen": [(pair.true, pair.predicted) == chosen for pair in pairs],
        }
    )
    return with_rows(_pairs_specification(len(pairs), selection), table)


@lru_cache(maxsize=64)
def _pairs_specification(count: int, selection: str) -> Specification:
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        y=alt.Y("pair:N", sort=None, title="true → predicted", axis=names_axis(labelLimit=230))
    )
    picked = alt.selection_point(name=selection, fields=["true_index", "predicted_index"], clear=False)
    bars = base.mark_bar(cursor="pointer", cornerRadiusEnd=3).encode(
        x=alt.X("count:Q", title="images", axis=alt.Axis(tickMinStep=1, format="d")),
        color=alt.condition("datum.chosen", alt.value(EMPHASIS), alt.value("#9db4dd")),
        tooltip=["true:N", "predicted:N", alt.Tooltip("count:Q", title="images")],
    )
    text = base.mark_text(align="left", dx=6, color=QUIET).encode(x="count:Q", text=alt.Text("count:Q", format=","))
    return (bars.add_params(picked) + text).properties(height=28 * max(count, 1) + 60).to_dict()


@lru_cache(maxsize=64)
def _overlap_specification(count: int, selection: str) -> Specification:
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        y=alt.Y("set:N", sort=None, title=None, axis=names_axis(labelLimit=230))
    )
    picked = alt.selection_point(name=selection, fields=["place"], clear=False)
    bars = base.mark_bar(cursor="pointer", cornerRadiusEnd=3).encode(
        x=alt.X("observed:Q", title="images"),
        color=alt.condition("datum.chosen", alt.value(EMPHASIS), alt.value("#9db4dd")),
        tooltip=[
            alt.Tooltip("set:N", title="who"),
            alt.Tooltip("observed:Q", title="images"),
            alt.Tooltip("expected:Q", title="if failures were independent", format=".1f"),
        ],
    )
    ticks = base.mark_tick(color=TICK, thickness=3, size=18).encode(x="expected:Q")
    text = base.mark_text(align="left", dx=6, color=QUIET).encode(x="beside:Q", text=alt.Text("observed:Q", format=","))
    size: dict[str, Any] = {"height": 28 * count + 60, "padding": {"right": 6}}  # the axis' last number needs some room
    return (bars.add_params(picked) + ticks + text).properties(**size).to_dict()
