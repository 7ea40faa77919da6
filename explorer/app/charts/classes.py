"""Charts of the page *Classes*: recall and the agreement of heatmaps."""

from collections.abc import Sequence
from typing import Literal

import altair as alt
import numpy as np
import pandas as pd

from explorer.app.charts.base import (
    INK,
    MOST_MARKS,
    PAPER,
    QUIET,
    READABLE,
    Chart,
    Colours,
    colour_of,
    columns_axis,
    names_axis,
)
from explorer.words import MINUS, percent

ALL_CLASSES = 40  # up to which all are drawn
FEW_CLASSES = 17  # that are drawn of more
PER_CELL = 2  # marks: the cell and its number
MOST_TILTED = 12  # names of classes; more stand upright
LETTERS, SMALLEST = 2.6, 6  # the width of `100%` in sizes of its letters, and the least size in pixels
ROW, LOW_ROW, AXIS = 34, 26, 70  # pixels
LONGEST_NAME = 120  # pixels


def most_classes(variants: int, classes: int) -> int:
    """How many classes of so many are drawn beside so many variants."""
    fitting = min(ALL_CLASSES, MOST_MARKS // (PER_CELL * variants))
    return classes if classes <= fitting else min(FEW_CLASSES, fitting)


def recall_chart(table: pd.DataFrame, chosen: str) -> Chart:
    """Recall of each class (column) by each variant (row), coloured by the difference to the reference.

    Args:
        table: as `recall_table` gives it.
        chosen: the class whose column is framed.
    """
    table = table.assign(
        text=[_whole_percent(value) for value in table["recall"]],
        range=_ranges(table),
        frame=np.where(table["class"] == chosen, READABLE, "transparent"),
    )
    base = alt.Chart(table).encode(
        x=alt.X("class:N", sort=None, title=None, axis=_classes_axis(table, orient="top")),
        y=alt.Y("variant:N", sort=None, title=None, axis=names_axis(labelLimit=240)),
        tooltip=[*_recall_tooltips(), alt.Tooltip("difference:Q", title="difference to the reference", format="+.1%")],
    )
    reach = max(0.05, float(np.nan_to_num(table["difference"].abs()).max()))
    cells = base.mark_rect(cornerRadius=3, strokeWidth=2).encode(
        color=alt.Color("difference:Q", scale=alt.Scale(scheme="purplegreen", domain=[-reach, reach]), legend=None),
        stroke=alt.Stroke("frame:N", scale=None, legend=None),
    )
    ink = alt.condition(f"abs(datum.difference) > {0.45 * reach}", alt.value(PAPER), alt.value(INK))
    text = base.mark_text(fontSize=_fitting(_count(table, "class"))).encode(text="text:N", color=ink)
    return (cells + text).properties(height=ROW * _count(table, "variant") + _axis_height(table))


def class_chart(table: pd.DataFrame, runs: pd.DataFrame, colours: Colours) -> Chart:
    """Recall of one class by each variant: a dot a run, with the interval of a single run or the mean of several.

    Args:
        table: the rows of one class of `recall_table`.
        runs: those of `run_recall_table`.
        colours: variant -> colour.
    """
    table = table.assign(range=_ranges(table))
    low, high = np.nanmin(table["low"]), np.nanmax(table["high"])
    scale = alt.Scale(domain=[max(0, low - 0.04), min(1, high + 0.04)], nice=False, zero=False)
    y = alt.Y("variant:N", sort=list(colours), title=None, axis=names_axis(labelLimit=240, labelOverlap=False))
    x = alt.X("recall:Q", scale=scale, title="recall", axis=alt.Axis(format="%", tickCount=5))
    colour = colour_of("variant", colours)
    base = alt.Chart(table).encode(y=y, color=colour, tooltip=_recall_tooltips())
    interval = base.transform_filter("datum.runs == 1").mark_rule(strokeWidth=3, opacity=0.7)
    mean = base.transform_filter("datum.runs > 1").mark_tick(thickness=3, size=20).encode(x=x)
    tooltips = [alt.Tooltip("run:N"), alt.Tooltip("recall:Q", format=".1%")]
    dots = alt.Chart(runs).mark_circle(size=80, opacity=0.8).encode(y=y, color=colour, x=x, tooltip=tooltips)
    intervals = interval.encode(x=alt.X("low:Q", scale=scale, title="recall"), x2="high:Q")
    return (intervals + mean + dots).properties(height=LOW_ROW * len(colours) + AXIS)


def one_variant_chart(table: pd.DataFrame, runs: pd.DataFrame, chosen: str, colour: str) -> Chart:
    """Recall of each class by the only variant there is: a bar a class, with its interval or the dots of its runs.

    Args:
        table: as `recall_table` gives it.
        runs: as `run_recall_table` gives them.
        chosen: the class whose bar stands out.
        colour: of the bars.
    """
    table = table.assign(range=_ranges(table), strength=np.where(table["class"] == chosen, 1.0, 0.45))
    x = alt.X("class:N", sort=None, title=None, axis=_classes_axis(table, orient="bottom"))
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(table).encode(x=x, tooltip=_recall_tooltips())
    bars = base.mark_bar(color=colour, cornerRadiusEnd=3, size=_bar_width(_count(table, "class"))).encode(
        y=alt.Y("recall:Q", scale=scale, title="recall", axis=alt.Axis(format="%", tickCount=5)),
        opacity=alt.Opacity("strength:Q", scale=None),
    )
    interval = (
        base.transform_filter("datum.runs == 1")
        .mark_rule(strokeWidth=2, color=QUIET)
        .encode(y=alt.Y("low:Q", scale=scale, title="recall"), y2="high:Q")
    )
    several = runs if max(table["runs"]) > 1 else runs.head(0)
    dots = (
        alt.Chart(several)
        .mark_circle(size=40, color=QUIET, opacity=1)
        .encode(x=x, y=alt.Y("recall:Q", scale=scale), tooltip=["run:N", alt.Tooltip("recall:Q", format=".1%")])
    )
    return (bars + interval + dots).properties(height=170 + _axis_height(table))


def agreement_chart(table: pd.DataFrame, variants: Sequence[str]) -> Chart:
    """How alike the heatmaps of every two variants are, starred where they differ reliably; the diagonal is framed.

    Columns: `run_a` (row), `run_b` (column), `agreement` (in [-1, 1], NaN where no image has maps) and `differs`.
    """
    text = ["–" if np.isnan(value) else f"{value:.2f}".replace("-", MINUS) for value in table["agreement"]]
    stars = np.where(table["differs"], " *", "")
    table = table.assign(
        text=[word + star for word, star in zip(text, stars, strict=True)],
        frame=np.where(table["run_a"] == table["run_b"], QUIET, "transparent"),
        ink=np.where(table["agreement"] > 0.6, PAPER, INK),
    )
    base = alt.Chart(table).encode(
        x=alt.X("run_b:N", sort=list(variants), title=None, axis=columns_axis()),
        y=alt.Y("run_a:N", sort=list(variants), title=None, axis=names_axis(labelLimit=240)),
        tooltip=[
            alt.Tooltip("run_a:N", title="row"),
            alt.Tooltip("run_b:N", title="column"),
            alt.Tooltip("agreement:Q", format=".3f"),
        ],
    )
    cells = base.mark_rect(cornerRadius=3, strokeWidth=3).encode(
        color=alt.Color("agreement:Q", scale=alt.Scale(scheme="blues", domain=[0, 1], clamp=True), legend=None),
        stroke=alt.Stroke("frame:N", scale=None, legend=None),
    )
    words = base.mark_text(fontSize=_fitting(len(variants))).encode(
        text="text:N", color=alt.Color("ink:N", scale=None, legend=None)
    )
    return (cells + words).resolve_scale(color="independent").properties(height=38 * len(variants) + 80)


def _recall_tooltips() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("variant:N", title="variant"),
        alt.Tooltip("class:N", title="class"),
        alt.Tooltip("recall:Q", format=".1%"),
        alt.Tooltip("range:N", title="range"),
        alt.Tooltip("images:Q", title="test images", format=","),
    ]


def _ranges(table: pd.DataFrame) -> list[str]:
    """From where to where a recall may lie, and what that is: noise of the test images or the spread over seeds."""
    words = []
    for row in table.to_dict("records"):
        bounds = f"{percent(row['low'])} to {percent(row['high'])}"
        over = f"over {row['runs']} seeds" if row["runs"] > 1 else "(95% interval)"
        words.append(f"{bounds} {over}" if row["images"] else "–")
    return words


def _whole_percent(value: float) -> str:
    return "–" if np.isnan(value) else percent(value, 0)


def _count(table: pd.DataFrame, column: str) -> int:
    return len(set(table[column]))


def _classes_axis(table: pd.DataFrame, orient: Literal["top", "bottom"]) -> alt.Axis:
    """The names of the classes: upright letters where there are many, so that they do not overlap on a phone."""
    columns = _count(table, "class")
    if columns <= MOST_TILTED:
        return names_axis(orient=orient, labelAngle=-30, labelLimit=160, labelOverlap=False)
    size = alt.ExprRef(f"min(11, 0.95 * width / {columns})")
    return names_axis(orient=orient, labelAngle=-90, labelLimit=LONGEST_NAME, labelOverlap=False, labelFontSize=size)


def _axis_height(table: pd.DataFrame) -> int:
    """How many pixels of a chart's height the names of its classes take."""
    if _count(table, "class") <= MOST_TILTED:
        return AXIS
    return 30 + min(LONGEST_NAME, 6 * max(map(len, table["class"])))


def _fitting(columns: int) -> alt.ExprRef:
    """The size of letters that fit the cells of so many columns; none where they would be too small to read."""
    size = f"width / {columns} / {LETTERS}"
    return alt.ExprRef(f"{size} < {SMALLEST} ? 0 : min(13, {size})")


def _bar_width(columns: int) -> alt.ExprRef:
    return alt.ExprRef(f"min(48, 0.7 * width / {columns})")
