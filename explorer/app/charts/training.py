"""Charts of the page *Training*: curves over epochs or time."""

import altair as alt
import numpy as np
import pandas as pd

from explorer.app.charts.base import MOST_MARKS, Chart, Colours, colour_of, legend_columns

MOST_POINTS = 200  # of a line: a training of thousands of epochs is drawn at as many of them
SPLITS = {"train": "Train", "val": "Validation"}
AXES = {"epoch": "epoch", "time": "relative time in minutes"}


def curves_charts(curves: pd.DataFrame, metric: str, title: str, axis: str, colours: Colours) -> tuple[Chart, Chart]:
    """One metric over the training, a line per variant: a chart for train and one for validation with the same scale.

    A band spans the replicates of a variant.

    Args:
        curves: as `curves_table` gives it.
        metric: which of its metrics.
        title: what the metric is called.
        axis: `epoch` or `time`.
        colours: variant -> colour.
    """
    table = _thinned(pd.DataFrame(curves[curves["metric"] == metric]), min(MOST_POINTS, MOST_MARKS // len(colours)))
    ends = [*table["low"].tolist(), *table["high"].tolist()]
    margin = max(0.02, 0.04 * (max(ends) - min(ends)))
    scale = alt.Scale(domain=[min(ends) - margin, max(ends) + margin], zero=False, nice=False)
    height = 400 + 22 * (-(-len(colours) // legend_columns(colours)) if len(colours) > 1 else 0)
    train, val = (
        _curves(pd.DataFrame(table[table["split"] == split]), heading, title, axis, colours, scale, height)
        for split, heading in SPLITS.items()
    )
    return train, val


def _curves(
    table: pd.DataFrame, heading: str, title: str, axis: str, colours: Colours, scale: alt.Scale, height: int
) -> Chart:
    form, ticks = (".3f", ".2f") if title == "loss" else (".2%", ".0%")
    several = len(colours) > 1
    hover = alt.selection_point(fields=["variant"], on="pointerover", empty=True, clear="pointerout")
    x = alt.X(f"{axis}:Q", title=AXES[axis])
    base = alt.Chart(table, title=heading, height=height).encode(
        x=x.axis(tickMinStep=1, format="d") if axis == "epoch" else x,
        color=colour_of("variant", colours, legend=several),
    )
    lines = base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=14)).encode(
        y=alt.Y("mean:Q", title=title, scale=scale, axis=alt.Axis(format=ticks)),
        opacity=alt.condition(hover, alt.value(1), alt.value(0.15)),
        tooltip=[
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("epoch:Q", title="epoch"),
            alt.Tooltip("mean:Q", title=f"{heading.lower()} {title}", format=form),
            alt.Tooltip("low:Q", title="lowest seed", format=form),
            alt.Tooltip("high:Q", title="highest seed", format=form),
            alt.Tooltip("runs:Q", title="seeds"),
        ],
    )
    band = (
        base.transform_filter("datum.runs > 1")
        .mark_area()
        .encode(
            y=alt.Y("low:Q", title="", scale=scale),
            y2="high:Q",
            opacity=alt.condition(hover, alt.value(0.18), alt.value(0.03)),
        )
    )
    return alt.layer(band, lines.add_params(hover))


def _thinned(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """The rows of evenly spread epochs where there are more than `most`; time in minutes."""
    number = table["epoch"].to_numpy(dtype=float)
    epochs = np.unique(number)
    kept = epochs[np.linspace(0, len(epochs) - 1, min(len(epochs), most)).round().astype(int)]
    return pd.DataFrame(table[np.isin(number, kept)]).assign(time=lambda shown: shown["time"] / 60)
