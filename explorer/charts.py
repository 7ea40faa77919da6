"""DataFrame -> alt.Chart. One fixed colour per norm, from Okabe and Ito's palette for colour-blind people."""

import altair as alt
import numpy as np
import pandas as pd

Chart = alt.Chart | alt.LayerChart | alt.FacetChart

NORM_COLOURS = {
    "none": "#7F7F7F",
    "batch": "#0072B2",
    "batch-scratch": "#56B4E9",
    "instance": "#E69F00",
    "batch-instance": "#D55E00",
    "layer": "#009E73",
    "group": "#CC79A7",
}


def accuracy_chart(table: pd.DataFrame) -> Chart:
    """Test accuracy per run as a dot with its 95 % interval, best first.

    Columns: `run`, `norm`, `accuracy`, `low`, `high` (fractions).
    """
    order = table.sort_values("accuracy", ascending=False)["run"].tolist()
    base = alt.Chart(table).encode(
        y=alt.Y("run:N", sort=order, title=None, axis=alt.Axis(labelLimit=240)),
        color=_norm_colour(legend=False),
        tooltip=[
            alt.Tooltip("run:N", title="run"),
            alt.Tooltip("accuracy:Q", title="test accuracy", format=".2%"),
            alt.Tooltip("low:Q", title="95 % interval from", format=".2%"),
            alt.Tooltip("high:Q", title="to", format=".2%"),
        ],
    )
    scale = alt.Scale(zero=False, padding=12, nice=True)
    axis = alt.Axis(format=".0%", title="test accuracy", grid=True, tickCount=8)
    lines = base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q")
    dots = base.mark_point(size=130, filled=True, opacity=1).encode(x=alt.X("accuracy:Q", scale=scale))
    text = base.mark_text(dy=-13, fontWeight="bold").encode(x="accuracy:Q", text=alt.Text("accuracy:Q", format=".1%"))
    return (lines + dots + text).properties(height=alt.Step(44))


def curves_charts(history: pd.DataFrame, metric: str, title: str, axis: str) -> tuple[alt.Chart, alt.Chart]:
    """One metric over the training, one line per run: a chart for train and one for val with the same scale.

    Columns: `run`, `norm`, `epoch`, `seconds`, `train_<metric>`, `val_<metric>`; `axis` is `epoch` or `seconds`.
    """
    long = history.melt(
        ["run", "norm", "epoch", "seconds"], [f"train_{metric}", f"val_{metric}"], var_name="split", value_name="value"
    )
    long["split"] = long["split"].str.removesuffix(f"_{metric}")
    names = history.drop_duplicates("run").set_index("run")["norm"]
    hover = alt.selection_point(fields=["run"], on="pointerover", empty=True, clear="pointerout")
    x_title = "epoch" if axis == "epoch" else "training time in seconds"
    percent = ".0%" if metric != "loss" else ".2f"
    colour = alt.Color(
        "run:N",
        title=None,
        sort=list(names.index),
        scale=alt.Scale(domain=list(names.index), range=[NORM_COLOURS[norm] for norm in names]),
        legend=alt.Legend(orient="top", columns=4, labelLimit=220, symbolStrokeWidth=4, symbolType="stroke"),
    )
    low, high = np.nanmin(long["value"]), np.nanmax(long["value"])
    margin = max(0.02, 0.04 * (high - low))
    bounds = [low - margin, high + margin]

    def one(split: str, heading: str) -> alt.Chart:
        return (
            alt.Chart(long[long["split"] == split], title=heading)
            .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=14))
            .encode(
                x=alt.X(f"{axis}:Q", title=x_title, axis=alt.Axis(tickMinStep=1, format="d")),
                y=alt.Y(
                    "value:Q", title=title, scale=alt.Scale(domain=bounds, zero=False), axis=alt.Axis(format=percent)
                ),
                color=colour,
                opacity=alt.condition(hover, alt.value(1), alt.value(0.15)),
                tooltip=[
                    alt.Tooltip("run:N", title="run"),
                    alt.Tooltip("epoch:Q", title="epoch"),
                    alt.Tooltip("seconds:Q", title="seconds", format=".0f"),
                    alt.Tooltip("value:Q", title=f"{split} {title}", format=".2%" if metric != "loss" else ".3f"),
                ],
            )
            .add_params(hover)
            .properties(height=340)
        )

    return one("train", "Train"), one("val", "Validation")


def probability_chart(table: pd.DataFrame) -> Chart:
    """The probability of each class (column) by each run (row). Columns: `run`, `class`, `probability`."""
    base = alt.Chart(table).encode(
        x=alt.X("class:N", sort=None, title=None, axis=alt.Axis(orient="top", labelAngle=0, labelLimit=130)),
        y=alt.Y("run:N", sort=None, title=None, axis=alt.Axis(labelLimit=240)),
    )
    cells = base.mark_rect(cornerRadius=3).encode(
        color=alt.Color("probability:Q", scale=alt.Scale(scheme="blues", domain=[0, 1]), legend=None),
        tooltip=[
            alt.Tooltip("run:N", title="run"),
            alt.Tooltip("class:N", title="class"),
            alt.Tooltip("probability:Q", format=".1%"),
        ],
    )
    text = base.mark_text().encode(
        text=alt.Text("probability:Q", format=".0%"),
        color=alt.condition("datum.probability > 0.6", alt.value("white"), alt.value("#1a2130")),
    )
    return (cells + text).properties(height=alt.Step(34))


def _norm_colour(legend: bool) -> alt.Color:
    return alt.Color(
        "norm:N",
        scale=alt.Scale(domain=list(NORM_COLOURS), range=list(NORM_COLOURS.values())),
        legend=alt.Legend(title="norm") if legend else None,
    )
