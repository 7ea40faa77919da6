"""DataFrame -> alt.Chart, or its Vega-Lite where every click draws it anew. One fixed colour per norm."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from functools import lru_cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from altair.utils import schemapi

from explorer.marks import MARKS

# A chart is validated as a whole when it is drawn; to validate its parts before as well takes longer than the rest.
schemapi.disable_debug_mode()

FEW = 10  # images in a bin; of fewer, the share that is right is mostly chance
SUM = "any class"  # the row or column of sums in a confusion matrix
EMPHASIS, QUIET = "#2457c5", "#8a93a3"
ROWS = "rows"  # the data of a specification, by name
Chart = alt.Chart | alt.LayerChart | alt.FacetChart
Specification = dict[str, Any]

READABLE = "#3A7BD5"  # as clear on a light page as on a dark one


def accuracy_chart(table: pd.DataFrame) -> Chart:
    """Test accuracy per run as a dot with its 95 % interval, best first.

    Columns: `run`, `norm`, `accuracy`, `low`, `high` (fractions).
    """
    order = table.sort_values("accuracy", ascending=False)["run"].tolist()
    base = alt.Chart(table).encode(
        y=alt.Y("run:N", sort=order, title=None, axis=_names_axis(labelLimit=240)),
        color=_norm_colour(),
        tooltip=[
            alt.Tooltip("run:N", title="run"),
            alt.Tooltip("accuracy:Q", title="test accuracy", format=".2%"),
            alt.Tooltip("low:Q", title="95 % interval from", format=".2%"),
            alt.Tooltip("high:Q", title="to", format=".2%"),
        ],
    )
    scale = alt.Scale(zero=False, padding=12, nice=True)
    narrow = max(table["high"]) - min(table["low"]) < 0.08  # ticks come closer than a point
    axis = alt.Axis(format=".1%" if narrow else ".0%", title="test accuracy", grid=True, tickCount=8)
    lines = base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q")
    dots = base.mark_point(size=130, filled=True, opacity=1).encode(x=alt.X("accuracy:Q", scale=scale))
    text = base.mark_text(dy=-13, fontWeight="bold").encode(x="accuracy:Q", text=alt.Text("accuracy:Q", format=".1%"))
    return (lines + dots + text).properties(height=44 * len(table) + 60)


def seeds_chart(table: pd.DataFrame) -> Chart:
    """Test accuracy of every seed as a ring, one row per norm, best mean first, with the mean and ± one deviation.

    Columns: `norm`, `seed`, `accuracy` (a fraction).
    """
    means = table.groupby("norm", as_index=False).agg({"accuracy": "mean"})
    order = means.sort_values("accuracy", ascending=False)["norm"].tolist()
    scale = alt.Scale(zero=False, padding=12, nice=True)
    base = alt.Chart(table).encode(
        x=alt.X("accuracy:Q", scale=scale, axis=alt.Axis(format=".1%", title="test accuracy", tickCount=8)),
        y=alt.Y("norm:N", sort=order, title=None, axis=_names_axis(labelLimit=240)),
        color=_norm_colour(),
    )
    spread = base.mark_errorbar(extent="stdev", thickness=3, opacity=0.55).encode(x=alt.X("accuracy:Q", title=""))
    seeds = base.mark_point(size=90, strokeWidth=2).encode(
        tooltip=["norm:N", "seed:O", alt.Tooltip("accuracy:Q", title="test accuracy", format=".2%")]
    )
    middles = base.mark_tick(thickness=3, size=22).encode(
        x="mean(accuracy):Q",
        tooltip=["norm:N", alt.Tooltip("mean(accuracy):Q", title="mean test accuracy", format=".2%")],
    )
    return (spread + middles + seeds).properties(height=36 * len(order) + 60)


def curves_charts(history: pd.DataFrame, metric: str, title: str, axis: str) -> tuple[alt.Chart, alt.Chart]:
    """One metric over the training, one line per run: a chart for train and one for val with the same scale.

    Columns: `run`, `norm`, `batch` (size; others than the first are dashed), `epoch`, `seconds`, `train_<metric>`,
    `val_<metric>`; `axis` is `epoch` or `seconds`.
    """
    values = [f"train_{metric}", f"val_{metric}"]
    long = history.melt(["run", "norm", "batch", "epoch", "seconds"], values, var_name="split", value_name="value")
    dashes = _dashes(history)
    long["split"] = long["split"].str.removesuffix(f"_{metric}")
    hover = alt.selection_point(fields=["run"], on="pointerover", empty=True, clear="pointerout")
    x_title = "epoch" if axis == "epoch" else "training time in seconds"
    percent = ".0%" if metric != "loss" else ".2f"
    colour = _run_colour(history)
    low, high = np.nanmin(long["value"]), np.nanmax(long["value"])
    margin = max(0.02, 0.04 * (high - low))
    bounds = [low - margin, high + margin]
    names = sorted(set(history["run"]))
    height = 400 + 22 * -(-len(names) // _legend_columns(names)) + (70 if len(set(history["batch"])) > 1 else 0)

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
                strokeDash=dashes,
                opacity=alt.condition(hover, alt.value(1), alt.value(0.15)),
                tooltip=[
                    alt.Tooltip("run:N", title="run"),
                    alt.Tooltip("epoch:Q", title="epoch"),
                    alt.Tooltip("seconds:Q", title="seconds", format=".0f"),
                    alt.Tooltip("value:Q", title=f"{split} {title}", format=".2%" if metric != "loss" else ".3f"),
                ],
            )
            .add_params(hover)
            .properties(height=height)
        )

    return one("train", "Train"), one("val", "Validation")


def probability_chart(table: pd.DataFrame) -> Chart:
    """The probability of each class (column) by each run (row). Columns: `run`, `class`, `probability`."""
    base = alt.Chart(table).encode(
        x=alt.X("class:N", sort=None, title=None, axis=_columns_axis()),
        y=alt.Y("run:N", sort=None, title=None, axis=_names_axis(labelLimit=240)),
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
    return (cells + text).properties(height=34 * table["run"].nunique() + 70)


def costs_chart(table: pd.DataFrame, chosen: str) -> Chart:
    """Parameters against MACs, one labelled dot per architecture, the chosen one filled.

    Columns: `architecture`, `arguments`, `parameters`, `macs`, `trained`.
    """
    places = np.log10(table[["parameters", "macs"]].to_numpy(dtype=float))
    steps = places[None] - places[:, None]  # from each to each other, in powers of ten
    crowded = ((abs(steps[..., 0]) < 0.25) & (steps[..., 1] > 0) & (steps[..., 1] < 0.35)).any(1)
    table = table.assign(chosen=table["architecture"] == chosen, label_below=crowded)

    def axis(column: str, title: str) -> dict[str, Any]:
        low, high = min(table[column].tolist()) / 2, max(table[column].tolist()) * 2
        ticks = [lead * 10**power for power in range(3, 12) for lead in (1, 2, 5) if low <= lead * 10**power <= high]
        scale = alt.Scale(type="log", domain=[low, high], nice=False)
        return {"shorthand": f"{column}:Q", "title": title, "scale": scale, "axis": alt.Axis(format="~s", values=ticks)}

    base = alt.Chart(table).encode(
        x=alt.X(**axis("parameters", "parameters")),
        y=alt.Y(**axis("macs", "MACs for one image")),
        tooltip=[
            alt.Tooltip("architecture:N", title="architecture"),
            alt.Tooltip("arguments:N", title="with"),
            alt.Tooltip("parameters:Q", title="parameters", format=","),
            alt.Tooltip("macs:Q", title="MACs", format=","),
        ],
    )
    dots = base.mark_point(size=150, strokeWidth=2, opacity=1, color=READABLE).encode(
        fill=alt.condition("datum.chosen", alt.value(READABLE), alt.value("transparent")),
        strokeDash=alt.condition("datum.trained", alt.value([1, 0]), alt.value([3, 2])),
    )
    text = base.encode(text="architecture:N")
    above = text.transform_filter("!datum.label_below").mark_text(dy=-15, fontSize=12, color=READABLE)
    below = text.transform_filter("datum.label_below").mark_text(dy=17, fontSize=12, color=READABLE)
    return (dots + above + below).properties(height=380)


def recall_chart(table: pd.DataFrame) -> Chart:
    """Recall of each class (column) by each run (row), coloured by the difference to a reference run.

    Columns: `run`, `class`, `recall` and `difference` (fractions; NaN for a class without images).
    """
    table = table.assign(text=["–" if np.isnan(value) else f"{value:.0%}" for value in table["recall"]])
    base = alt.Chart(table).encode(
        x=alt.X("class:N", sort=None, title=None, axis=_columns_axis()),
        y=alt.Y("run:N", sort=None, title=None, axis=_names_axis(labelLimit=240)),
        tooltip=[
            alt.Tooltip("run:N", title="run"),
            alt.Tooltip("class:N", title="class"),
            alt.Tooltip("recall:Q", format=".1%"),
            alt.Tooltip("difference:Q", title="difference to the reference", format="+.1%"),
        ],
    )
    reach = max(0.05, float(np.nanmax(np.abs(table["difference"]))))
    colour = alt.Color("difference:Q", scale=alt.Scale(scheme="purplegreen", domain=[-reach, reach]), legend=None)
    ink = alt.condition(f"abs(datum.difference) > {0.45 * reach}", alt.value("white"), alt.value("#1a2130"))
    cells = base.mark_rect(cornerRadius=3).encode(color=colour)
    text = base.mark_text(fontSize=13).encode(text="text:N", color=ink)
    return (cells + text).properties(height=34 * len(set(table["run"])) + 70)


def agreement_chart(table: pd.DataFrame, runs: Sequence[str]) -> Chart:
    """How alike the heatmaps of every two runs are, starred where they differ reliably; the diagonal is framed.

    Columns: `run_a` (row), `run_b` (column), `agreement` (in [-1, 1], NaN where no image has maps) and `differs`.
    """
    text = ["–" if np.isnan(value) else f"{value:.2f}" for value in table["agreement"]]
    stars = np.where(table["differs"], " *", "")
    table = table.assign(
        text=[word + star for word, star in zip(text, stars, strict=True)],
        frame=np.where(table["run_a"] == table["run_b"], QUIET, "transparent"),
        ink=np.where(table["agreement"] > 0.6, "white", "#1a2130"),
    )
    base = alt.Chart(table).encode(
        x=alt.X("run_b:N", sort=list(runs), title=None, axis=_columns_axis()),
        y=alt.Y("run_a:N", sort=list(runs), title=None, axis=_names_axis(labelLimit=240)),
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
    words = base.mark_text(fontSize=13).encode(text="text:N", color=alt.Color("ink:N", scale=None, legend=None))
    return (cells + words).resolve_scale(color="independent").properties(height=38 * len(runs) + 80)


def differences_chart(table: pd.DataFrame) -> Chart:
    """Accuracy of each run minus that of the reference as a dot with its interval, filled where it is reliable.

    Columns: `run_a`, `difference`, `low`, `high` (fractions) and `p_holm`, as `compare_to_reference` gives them.
    """
    points = table.assign(
        difference=100 * table["difference"],
        low=100 * table["low"],
        high=100 * table["high"],
        reliable=table["p_holm"] < 0.05,
    )
    base = alt.Chart(points).encode(
        y=alt.Y("run_a:N", sort=points["run_a"].tolist(), title=None, axis=_names_axis(labelLimit=240)),
        tooltip=[
            alt.Tooltip("run_a:N", title="run"),
            alt.Tooltip("difference:Q", title="difference in points", format="+.2f"),
            alt.Tooltip("low:Q", title="from", format="+.2f"),
            alt.Tooltip("high:Q", title="to", format="+.2f"),
            alt.Tooltip("p_holm:Q", title="p, Holm-corrected", format=".4f"),
        ],
    )
    colour = alt.condition("datum.reliable", alt.value(EMPHASIS), alt.value(QUIET))
    x = alt.X("difference:Q", title="points", axis=alt.Axis(format="+", tickCount=7))
    zero = (
        alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(strokeDash=[4, 4], color=QUIET).encode(x=alt.X("x:Q", title=""))
    )
    lines = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title="points"), x2="high:Q", color=colour)
    dots = base.mark_point(size=110, strokeWidth=2).encode(
        x=x, color=colour, fill=alt.condition("datum.reliable", alt.value(EMPHASIS), alt.value("transparent"))
    )
    return (zero + lines + dots).properties(height=40 * len(points) + 60)


def pairs_chart(table: pd.DataFrame, runs: list[str]) -> Chart:
    """Accuracy of the row's run minus the column's in points, starred where it is reliable.

    Columns: `run_a`, `run_b`, `difference` (a fraction) and `p_holm`, one row per pair in one of its two orders.
    """
    swapped = table.rename(columns={"run_a": "run_b", "run_b": "run_a"}).assign(difference=-table["difference"])
    both = pd.concat([table, swapped], ignore_index=True)
    both["points"] = 100 * both["difference"]
    both["reliable"] = both["p_holm"] < 0.05
    both["text"] = [
        f"{round(p, 1) or 0.0:+.1f}{' ★' if r else ''}" for p, r in zip(both["points"], both["reliable"], strict=True)
    ]
    reach = max(5.0, float(np.abs(both["points"]).max()))  # so that chance looks pale
    base = alt.Chart(both).encode(
        x=alt.X("run_b:N", sort=runs, title=None, axis=_columns_axis()),
        y=alt.Y("run_a:N", sort=runs, title=None, axis=_names_axis(labelLimit=200)),
        tooltip=[
            alt.Tooltip("run_a:N", title="row"),
            alt.Tooltip("run_b:N", title="column"),
            alt.Tooltip("points:Q", title="row minus column, points", format="+.2f"),
            alt.Tooltip("p_holm:Q", title="p, Holm-corrected", format=".4f"),
        ],
    )
    colour = alt.Color(
        "points:Q", scale=alt.Scale(scheme="purpleorange", reverse=True, domain=[-reach, reach]), legend=None
    )
    cells = base.mark_rect(cornerRadius=3).encode(color=colour)
    ink = alt.condition(f"abs(datum.points) > {0.6 * reach}", alt.value("white"), alt.value("#1a2130"))
    return (cells + base.mark_text(fontSize=12).encode(text="text:N", color=ink)).properties(height=40 * len(runs) + 70)


def reliability_chart(table: pd.DataFrame) -> Chart:
    """Accuracy against confidence per run, with the diagonal of a perfectly calibrated one.

    Columns: `run`, `norm`, `confidence`, `accuracy` (fractions) and `count` of images in the bin, which a dot's size
    tells; the lines leave out bins of fewer than FEW images, where chance alone decides.
    """
    percent = alt.Axis(format=".0%")
    diagonal = (
        alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]}))
        .mark_line(strokeDash=[5, 5], color=QUIET)
        .encode(x=alt.X("x:Q", title="confidence"), y=alt.Y("y:Q", title="accuracy"))
    )
    hover = alt.selection_point(fields=["run"], on="pointerover", empty=True, clear="pointerout")
    bins = alt.Chart(table).encode(
        x=alt.X("confidence:Q", axis=percent, scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("accuracy:Q", axis=percent, scale=alt.Scale(domain=[0, 1])),
        color=_run_colour(table),
        opacity=alt.condition(hover, alt.value(1), alt.value(0.15)),
        tooltip=[
            "run:N",
            alt.Tooltip("confidence:Q", format=".1%"),
            alt.Tooltip("accuracy:Q", format=".1%"),
            alt.Tooltip("count:Q", format=",", title="images"),
        ],
    )
    lines = bins.mark_line().transform_filter(f"datum.count >= {FEW}")
    size = alt.Size("count:Q", scale=alt.Scale(range=[12, 160]), legend=None)
    dots = bins.mark_circle(opacity=1).encode(size=size).add_params(hover)
    return (diagonal + lines + dots).properties(height=380)


def confusion_table(counts: np.ndarray, classes: Sequence[str], chosen: tuple[str, str]) -> pd.DataFrame:
    """The rows of `confusion_chart` from counts (K, K): every cell, and the sums of wrong ones as the class SUM."""
    wrong = counts * (1 - np.eye(len(classes), dtype=int))
    full = np.block([[counts, wrong.sum(1, keepdims=True)], [wrong.sum(0, keepdims=True), np.array([[wrong.sum()]])]])
    names = [*classes, SUM]
    rows = []
    for i, true in enumerate(names):
        for k, predicted in enumerate(names):
            kind = "sum" if SUM in (true, predicted) else "right" if i == k else "wrong"
            rows.append((true, predicted, int(full[i, k]), (true, predicted) == chosen, kind))
    return pd.DataFrame(rows, columns=pd.Index(["true", "predicted", "count", "chosen", "kind"]))


def confusion_chart(table: pd.DataFrame, selection: str, signed: bool = False) -> Specification:
    """Counts by true class (row) and predicted class (column), one clickable cell each; the chosen one is framed.

    Vega-Lite as it is, since every click draws it anew: altair takes 0.1 s to build and validate it, so that is done
    once and the rows are put in. Columns: `true`, `predicted`, `count`, `chosen` (bool) and `kind` (`right`, `wrong` or
    `sum`), as `confusion_table` gives them. `signed` colours differences of two runs: blue fewer, orange more.
    """
    wrong = table.loc[table["kind"] == "wrong", "count"].abs()
    reach = max(1, int(wrong.max()) if len(wrong) else 1)
    return _with_rows(_confusion_specification(tuple(dict.fromkeys(table["true"])), selection, signed, reach), table)


@lru_cache(maxsize=64)
def _confusion_specification(classes: tuple[str, ...], selection: str, signed: bool, reach: int) -> Specification:
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        x=alt.X("predicted:N", sort=list(classes), title="predicted", axis=_columns_axis()),
        y=alt.Y("true:N", sort=list(classes), title="true", axis=_names_axis(labelLimit=130)),
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
    picked = alt.selection_point(name=selection, fields=["true", "predicted"], clear=False)
    return (cells.add_params(picked) + text).properties(height=34 * len(classes) + 110).to_dict()


def overlap_chart(table: pd.DataFrame, selection: str) -> Specification:
    """Images that exactly one set of runs fails on, as bars, with a tick where independent failures would be.

    Vega-Lite as it is, like `confusion_chart`. Columns: `set` (its label), `observed`, `expected`, `chosen` (bool), in
    the order to show.
    """
    room = 0.12 * table[["observed", "expected"]].to_numpy().max(initial=0)  # what a number takes up behind its bar
    crossed = (table["expected"] - table["observed"]).between(0, room)
    table = table.assign(beside=table["observed"].where(~crossed, table["expected"]))
    return _with_rows(_overlap_specification(len(table), selection), table)


@lru_cache(maxsize=64)
def _overlap_specification(count: int, selection: str) -> Specification:
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        y=alt.Y("set:N", sort=None, title=None, axis=_names_axis(labelLimit=230))
    )
    picked = alt.selection_point(name=selection, fields=["set"], clear=False)
    bars = base.mark_bar(cursor="pointer", cornerRadiusEnd=3).encode(
        x=alt.X("observed:Q", title="images"),
        color=alt.condition("datum.chosen", alt.value(EMPHASIS), alt.value("#9db4dd")),
        tooltip=[
            alt.Tooltip("set:N", title="who"),
            alt.Tooltip("observed:Q", title="images"),
            alt.Tooltip("expected:Q", title="if failures were independent", format=".1f"),
        ],
    )
    ticks = base.mark_tick(color=MARKS["batch-instance"].colour, thickness=3, size=18).encode(x="expected:Q")
    text = base.mark_text(align="left", dx=6, color=QUIET).encode(x="beside:Q", text=alt.Text("observed:Q", format=","))
    size: dict[str, Any] = {"height": 28 * count + 60, "padding": {"right": 6}}  # the axis' last number needs some room
    return (bars.add_params(picked) + ticks + text).properties(**size).to_dict()


def _with_rows(specification: Specification, table: pd.DataFrame) -> Specification:
    return deepcopy(specification) | {"datasets": {ROWS: table.to_dict("records")}}


def _dashes(history: pd.DataFrame) -> alt.StrokeDash:
    """A dash per batch size, named in the legend where there are several."""
    several = len(set(history["batch"])) > 1
    return alt.StrokeDash(
        "batch:O",
        legend=alt.Legend(orient="bottom", symbolType="stroke", symbolStrokeWidth=2) if several else None,
        title="batch size",
    )


def _run_colour(table: pd.DataFrame) -> alt.Color:
    """The colour of each run's norm, with a legend of runs above the chart."""
    norms = table.drop_duplicates("run").set_index("run")["norm"]
    return alt.Color(
        "run:N",
        title=None,
        sort=list(norms.index),
        scale=alt.Scale(domain=list(norms.index), range=[MARKS[norm].colour for norm in norms]),
        legend=alt.Legend(
            orient="top",
            columns=_legend_columns(norms.index),
            labelLimit=220,
            symbolStrokeWidth=4,
            symbolType="stroke",
        ),
    )


def _names_axis(**arguments: Any) -> alt.Axis:
    """An axis of names that each stand at the middle of their row or column, the first and the last ones too."""
    return alt.Axis(labelFlush=False, **arguments)


def _columns_axis() -> alt.Axis:
    """The names above the columns of a table of coloured cells, tilted so that none is left out on a phone."""
    return _names_axis(orient="top", labelAngle=-30, labelLimit=160, labelOverlap=False)


def _legend_columns(names: Iterable[str]) -> int:
    """How many names of a legend stand in a row: what half a page has room for."""
    return max(1, min(4, 54 // (max(map(len, names)) + 4)))


def _norm_colour() -> alt.Color:
    return alt.Color(
        "norm:N",
        scale=alt.Scale(domain=list(MARKS), range=[mark.colour for mark in MARKS.values()]),
        legend=None,
    )
