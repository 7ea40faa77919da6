"""Charts of the page *Your image*: probabilities."""

import altair as alt
import pandas as pd

from explorer.app.charts.base import INK, PAPER, READABLE, Chart, columns_axis, names_axis


def probability_chart(table: pd.DataFrame) -> Chart:
    """The probability of each class (column) by each variant (row). Columns: `variant`, `class`, `probability`."""
    base = alt.Chart(table).encode(
        x=alt.X("class:N", sort=None, title=None, axis=columns_axis()),
        y=alt.Y("variant:N", sort=None, title=None, axis=names_axis(labelLimit=240)),
    )
    cells = base.mark_rect(cornerRadius=3).encode(
        color=alt.Color("probability:Q", scale=alt.Scale(scheme="blues", domain=[0, 1]), legend=None),
        tooltip=[
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("class:N", title="class"),
            alt.Tooltip("probability:Q", format=".1%"),
        ],
    )
    text = base.mark_text().encode(
        text=alt.Text("probability:Q", format=".0%"),
        color=alt.condition("datum.probability > 0.6", alt.value(PAPER), alt.value(INK)),
    )
    return (cells + text).properties(height=34 * table["variant"].nunique() + 70)


def likeliest_chart(table: pd.DataFrame) -> Chart:
    """The probability of each class as a bar, the likeliest first. Columns: `class`, `probability`."""
    base = alt.Chart(table).encode(
        x=alt.X("probability:Q", title=None, scale=alt.Scale(domain=[0, 1.1]), axis=None),
        y=alt.Y(
            "class:N",
            sort=alt.EncodingSortField("probability", order="descending"),
            title=None,
            axis=names_axis(labelLimit=160),
        ),
        tooltip=[alt.Tooltip("class:N", title="class"), alt.Tooltip("probability:Q", format=".1%")],
    )
    bars = base.mark_bar(cornerRadius=2, color=READABLE)
    text = base.mark_text(align="left", dx=4, color=READABLE).encode(text=alt.Text("probability:Q", format=".1%"))
    return (bars + text).properties(height=24 * len(table) + 20)
