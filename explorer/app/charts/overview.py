"""Charts of the page *Overview*: how the variants stand, every pair of them, and calibration."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from explorer.app.charts.base import (
    PAPER,
    QUIET,
    READABLE,
    Chart,
    Colours,
    colour_of,
    columns_axis,
    legend_columns,
    names_axis,
)
from explorer.words import MINUS

RARE = 10  # images in a bin; of fewer, the share that is right is mostly chance
MOST_ROOMY = 12  # rows that have room for a line of text above each dot
ACCURACY, DIFFERENCE = "test accuracy", "difference in points"
LETTERS = "#737b89"  # as clear on a light page as on a dark one
AXIS = 76  # pixels of an axis below a chart, with its title
WIDE = 520  # pixels of a chart from which a verdict stands beside its number


def standings_chart(table: pd.DataFrame, runs: pd.DataFrame) -> Chart:
    """A row per variant, best first: mean accuracy with its interval and, where there are others, the difference.

    A small dot is a single run of a variant that has several. Colour and filling mark reliable differences alone.

    Args:
        table: columns `variant`, `accuracy`, `low`, `high` (fractions) and, where there is a reference, `difference`,
            `difference_low`, `difference_high` (fractions, NaN for the reference), `p_holm`, `verdict`, `reliable` and
            `single`, as in `standings`.
        runs: columns `variant`, `run` and `accuracy`, of the variants that have several runs.
    """
    compared = "difference" in table
    order = table["variant"].tolist()
    rows = table.assign(reliable=table["reliable"] if compared else False)
    means = rows.assign(reliable=rows["reliable"] & ~rows["single"]) if compared else rows
    y = alt.Y("variant:N", sort=order, title=None, axis=names_axis(labelLimit=170, labelPadding=8))
    height = (44 if len(order) <= MOST_ROOMY else 28) * len(order) + AXIS
    left = _accuracies(means, runs, y, 0.54 if compared else 1.0)
    if not compared:
        return left.properties(height=height)
    layers = alt.layer(left, _differences(rows, y, 0.62)).resolve_scale(x="independent")
    return layers.properties(height=height)


def _accuracies(table: pd.DataFrame, runs: pd.DataFrame, y: alt.Y, end: float) -> Chart:
    """The part on the left, up to a share of the width."""
    scale = alt.Scale(zero=False, padding=14, nice=False, range=[0, alt.expr(f"{end} * width")])
    narrow = max(table["high"]) - min(table["low"]) < 0.08  # ticks come closer than a point
    axis = alt.Axis(format=".1%" if narrow else ".0%", title=ACCURACY, grid=True, tickCount=5, orient="bottom")
    x = {"scale": scale, "axis": axis}
    base = alt.Chart(table).encode(
        y=y,
        tooltip=[
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("accuracy:Q", title=ACCURACY, format=".2%"),
            alt.Tooltip("low:Q", title="95% interval from", format=".2%"),
            alt.Tooltip("high:Q", title="to", format=".2%"),
            alt.Tooltip("runs:Q", title="trainings"),
        ],
    )
    lines = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", **x), x2="high:Q", color=_emphasis())
    means = base.mark_point(size=110, strokeWidth=2, opacity=1).encode(
        x=alt.X("accuracy:Q", **x), color=_emphasis(), fill=_filling()
    )
    words = base.mark_text(dy=-14, fontWeight="bold").encode(
        x=alt.X("accuracy:Q", **x), text=alt.Text("accuracy:Q", format=".1%"), color=_emphasis(LETTERS)
    )
    if runs.empty:
        return lines + means + words
    single = (
        alt.Chart(runs)
        .mark_circle(size=40, color=QUIET, opacity=0.8)
        .encode(
            x=alt.X("accuracy:Q", **x),
            y=y,
            tooltip=[
                alt.Tooltip("run:N", title="run"),
                alt.Tooltip("accuracy:Q", title=ACCURACY, format=".2%"),
            ],
        )
    )
    return lines + single + means + words


def _differences(table: pd.DataFrame, y: alt.Y, start: float) -> Chart:
    """The part on the right, from a share of the width on: points, with the verdict in words."""
    points = {key: 100 * table[key] for key in ("difference", "difference_low", "difference_high")}
    rows = _with_words(table.assign(**points)).fillna({"difference": 0.0}).assign(zero=0)
    scale = alt.Scale(padding=14, nice=False, range=[alt.expr(f"{start} * width"), alt.expr("width")])
    axis = alt.Axis(format="+.1~f", title=DIFFERENCE, grid=False, tickCount=5, orient="bottom")
    x = {"scale": scale, "axis": axis}
    base = alt.Chart(rows).encode(
        y=y,
        tooltip=[
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("difference:Q", title=DIFFERENCE, format="+.2f"),
            alt.Tooltip("difference_low:Q", title="from", format="+.2f"),
            alt.Tooltip("difference_high:Q", title="to", format="+.2f"),
            alt.Tooltip("p_holm:Q", title="p, Holm-corrected", format=".4f"),
            alt.Tooltip("verdict:N", title="verdict"),
        ],
    )
    zero = base.mark_tick(thickness=2, size=20 if len(rows) <= MOST_ROOMY else 12, color=QUIET).encode(
        x=alt.X("zero:Q", **x)
    )
    lines = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("difference_low:Q", **x), x2="difference_high:Q", color=_emphasis()
    )
    dots = (
        base.transform_filter("isValid(datum.difference_low)")
        .mark_point(size=110, strokeWidth=2, opacity=1)
        .encode(x=alt.X("difference:Q", **x), color=_emphasis(), fill=_filling())
    )
    words = (
        base.transform_calculate(words=f"width < {WIDE} ? datum.short : datum.long")
        .mark_text(dy=-14)
        .encode(x=alt.X("difference:Q", **x), text="words:N", color=_emphasis(LETTERS))
    )
    return zero + lines + dots + words


def _with_words(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `long` and `short`: difference and verdict where there is room, else the verdict alone.

    Among many rows those that are not distinguishable have their number alone.
    """
    said = rows["verdict"] + np.where(rows["single"], " *", "")
    numbers = [_signed(value) if np.isfinite(value) else "" for value in rows["difference"]]
    both = [f"{number}, {word}" if number else word for number, word in zip(numbers, said, strict=True)]
    if len(rows) <= MOST_ROOMY:
        return rows.assign(long=both, short=said)
    known = rows["reliable"] | ~np.isfinite(rows["difference"])
    return rows.assign(long=np.where(known, both, numbers), short=np.where(known, said, numbers))


def _signed(points: float) -> str:
    return f"{round(points, 1) + 0.0:+.1f}".replace("-", MINUS)


def _emphasis(quiet: str = QUIET) -> Any:
    return alt.condition("datum.reliable", alt.value(READABLE), alt.value(quiet))


def _filling() -> Any:
    return alt.condition("datum.reliable", alt.value(READABLE), alt.value("transparent"))


def pairs_chart(table: pd.DataFrame, variants: list[str]) -> Chart:
    """Accuracy of the row's variant minus the column's in points; coloured where the comparison is reliable.

    Columns: `variant_a`, `variant_b`, `difference` (a fraction) and `reliable`, one row per ordered pair.
    """
    both = table.assign(difference=100 * table["difference"])
    both["text"] = both["difference"].map(_signed)
    base = alt.Chart(both).encode(
        x=alt.X("variant_b:N", sort=variants, title=None, axis=columns_axis()),
        y=alt.Y("variant_a:N", sort=variants, title=None, axis=names_axis(labelLimit=200)),
        tooltip=[
            alt.Tooltip("variant_a:N", title="row"),
            alt.Tooltip("variant_b:N", title="column"),
            alt.Tooltip("difference:Q", title="row minus column, points", format="+.2f"),
        ],
    )
    colour = alt.condition("datum.reliable", alt.value(READABLE), alt.value(f"{QUIET}26"))
    ink = alt.condition("datum.reliable", alt.value(PAPER), alt.value(LETTERS))
    cells = base.mark_rect(cornerRadius=3, stroke=QUIET, strokeOpacity=0.3).encode(color=colour)
    words = base.mark_text(fontSize=12).encode(text="text:N", color=ink)
    return (cells + words).properties(height=34 * len(variants) + 70)


def reliability_chart(table: pd.DataFrame, colours: Colours) -> Chart:
    """Accuracy against confidence per variant, with the diagonal of a perfectly calibrated one.

    Columns: `variant`, `confidence`, `accuracy` (fractions) and `count` of answers in the bin, which a dot's size
    tells; the lines leave out bins of fewer than RARE, where chance alone decides.
    """
    percent = alt.Axis(format=".0%")
    unit = alt.Scale(domain=[0, 1])
    diagonal = (
        alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]}))
        .mark_line(strokeDash=[5, 5], color=QUIET)
        .encode(x=alt.X("x:Q", title="confidence"), y=alt.Y("y:Q", title="accuracy"))
    )
    hover = alt.selection_point(fields=["variant"], on="pointerover", empty=True, clear="pointerout")
    bins = alt.Chart(table).encode(
        x=alt.X("confidence:Q", axis=percent, scale=unit),
        y=alt.Y("accuracy:Q", axis=percent, scale=unit),
        color=colour_of("variant", colours, legend=len(colours) > 1),
        opacity=alt.condition(hover, alt.value(1), alt.value(0.15)),
        tooltip=[
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("confidence:Q", format=".1%"),
            alt.Tooltip("accuracy:Q", format=".1%"),
            alt.Tooltip("count:Q", format=",", title="answers"),
        ],
    )
    lines = bins.mark_line().transform_filter(f"datum.count >= {RARE}")
    size = alt.Size("count:Q", scale=alt.Scale(range=[12, 160]), legend=None)
    dots = bins.mark_circle(opacity=1).encode(size=size).add_params(hover)
    legend = -(-len(colours) // legend_columns(colours)) if len(colours) > 1 else 0
    return (diagonal + lines + dots).properties(height=380 + 22 * legend)
