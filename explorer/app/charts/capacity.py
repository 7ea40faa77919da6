"""Charts of the page *Capacity*: parameters and MACs."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from explorer.app.charts.base import QUIET, READABLE, Chart, Colours, colour_of, names_axis
from explorer.words import millions

COSTS = {"parameters": "parameters", "macs": "MACs for one image"}
MOST_NAMED = 12  # dots that are named in the chart; with more, a legend is clearer
PLOT = (420, 300)  # about the pixels of half a page, to tell which names would cross what
# Where a name can stand, best first: how it is set, and from which column its height is taken.
PLACES: dict[str, dict[str, Any]] = {
    "above": {"dy": -9, "y": "high"},
    "below": {"dy": 11, "y": "low"},
    "right": {"dx": 10, "align": "left", "y": "accuracy"},
    "left": {"dx": -10, "align": "right", "y": "accuracy"},
}
NARROW = 0.08  # accuracies nearer to each other need a decimal
NEAR, ASIDE = 0.02, 11  # dots nearer than this share of the axis are set so many pixels apart


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


def bars_chart(table: pd.DataFrame, cost: str, colours: Colours) -> Chart:
    """What each variant costs as a bar, in the order of the table; one whose cost is not known has no bar.

    Args:
        table: columns `variant`, `parameters` and `macs`.
        cost: `parameters` or `macs`.
        colours: variant -> colour.
    """
    costs, form = table[cost].to_numpy(dtype=float), millions if cost == "macs" else "{:,.0f}".format
    texts = ["not known" if np.isnan(value) else form(value) for value in costs]
    shown = pd.DataFrame({"variant": table["variant"], "cost": np.nan_to_num(costs), "text": texts})
    scale = alt.Scale(domain=[0, 1.35 * max(1.0, *shown["cost"].tolist())], nice=False)
    base = alt.Chart(shown, title=f"{COSTS[cost][0].upper()}{COSTS[cost][1:]}").encode(
        x=alt.X("cost:Q", scale=scale, axis=None),
        y=alt.Y("variant:N", sort=None, title=None, axis=names_axis(labelLimit=200)),
        tooltip=[alt.Tooltip("variant:N", title="variant"), alt.Tooltip("text:N", title=COSTS[cost])],
    )
    bars = base.mark_bar(cornerRadius=2).encode(color=colour_of("variant", colours))
    text = base.mark_text(align="left", dx=5, fontSize=12, color=READABLE).encode(text="text:N")
    return (bars + text).properties(height=30 * len(shown) + 40)


def accuracy_costs_chart(table: pd.DataFrame, x: str, colours: Colours, others: pd.DataFrame | None = None) -> Chart:
    """Test accuracy against what a variant costs, a dot with its interval per variant; x is logarithmic.

    Dots at almost the same cost stand side by side, and have a legend instead of names.

    Args:
        table: columns `variant`, `accuracy`, `low`, `high` (fractions), `parameters` and `macs`; rows whose cost is not
            known are left out.
        x: `parameters` or `macs`.
        colours: variant -> colour.
        others: columns `run`, `accuracy`, `parameters` and `macs`, of runs that are drawn in grey.
    """
    shown = pd.DataFrame(table[table[x] > 0])
    behind = pd.DataFrame(columns=["run", "accuracy", x]) if others is None else pd.DataFrame(others[others[x] > 0])
    costs = [float(cost) for cost in (*shown[x], *behind[x])]
    places = np.log10(shown[x].to_numpy(dtype=float))
    aside = _aside(places, float(np.log10(max(costs) / min(costs))))
    named = len(shown) <= MOST_NAMED and not aside.any()
    shown = shown.assign(aside=aside, place=_places(shown, x, costs) if named else "")
    across = {"scale": _log_scale(costs), "axis": _log_axis(costs)}
    accuracies = [*shown["low"], *shown["high"], *behind["accuracy"]]
    narrow = max(accuracies) - min(accuracies) < NARROW
    y = {
        "title": "test accuracy",
        "scale": alt.Scale(zero=False, padding=24),
        "axis": alt.Axis(format=".1%" if narrow else ".0%", tickCount=6),
    }
    base = alt.Chart(shown).encode(
        x=alt.X(f"{x}:Q", title=COSTS[x], **across),
        color=colour_of("variant", colours, legend=not named),
        tooltip=[
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("accuracy:Q", title="test accuracy", format=".2%"),
            alt.Tooltip("low:Q", title="95% interval from", format=".2%"),
            alt.Tooltip("high:Q", title="to", format=".2%"),
            alt.Tooltip("parameters:Q", title="parameters", format=","),
            alt.Tooltip("macs:Q", title="MACs", format=","),
        ],
    )
    moved = alt.expr("datum.aside")
    lines = base.mark_rule(strokeWidth=3, opacity=0.55, xOffset=moved).encode(y=alt.Y("low:Q", **y), y2="high:Q")
    dots = base.mark_point(size=110, filled=True, opacity=1, xOffset=moved).encode(y=alt.Y("accuracy:Q", **y))
    layers = [lines, dots]
    if named:
        layers += [
            base.transform_filter(f"datum.place == '{place}'")
            .mark_text(fontSize=12, **{key: value for key, value in how.items() if key != "y"})
            .encode(y=f"{how['y']}:Q", text="variant:N")
            for place, how in PLACES.items()
            if place in set(shown["place"])
        ]
    if len(behind):
        grey = alt.Chart(behind).mark_point(size=60, strokeWidth=2, color=QUIET, opacity=0.8)
        layers.insert(0, grey.encode(alt.X(f"{x}:Q", **across), alt.Y("accuracy:Q", **y), tooltip=_grey_words(x)))
    return alt.layer(*layers).properties(height=400)


def _grey_words(x: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("run:N", title="run"),
        alt.Tooltip("accuracy:Q", title="test accuracy", format=".2%"),
        alt.Tooltip(f"{x}:Q", title=COSTS[x], format=","),
    ]


def _places(table: pd.DataFrame, cost: str, costs: list[float]) -> list[str]:
    """Where each name stands: of PLACES the first where it crosses no interval and no name before it, or the fewest."""
    x = np.interp(np.log10(table[cost].astype(float)), np.log10([min(costs) / 2, max(costs) * 2]), [0, PLOT[0]])
    levels = table[["low", "accuracy", "high"]].to_numpy(dtype=float)
    y = np.interp(levels, [levels.min(), levels.max()], [24, PLOT[1] - 24])
    taken = [(at - 5, at + 5, low, high) for at, (low, _, high) in zip(x, y, strict=True)]
    taken += [(at - 7, at + 7, middle - 7, middle + 7) for at, (_, middle, _) in zip(x, y, strict=True)]
    chosen = []
    for name, at, (low, middle, high) in zip(table["variant"], x, y, strict=True):
        half = 3.5 * len(name)
        boxes = {
            "above": (at - half, at + half, high + 1, high + 17),
            "below": (at - half, at + half, low - 17, low - 1),
            "right": (at + 6, at + 10 + 2 * half, middle - 8, middle + 8),
            "left": (at - 10 - 2 * half, at - 6, middle - 8, middle + 8),
        }
        place = min(PLACES, key=lambda place: sum(_cross(boxes[place], other) for other in taken))
        taken.append(boxes[place])
        chosen.append(place)
    return chosen


def _cross(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes (left, right, bottom, top) share a point."""
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _aside(places: np.ndarray, width: float) -> np.ndarray:
    """How far each dot is moved aside, in pixels, from the dots' places on an axis that is so wide."""
    order, moved = np.argsort(places, kind="stable"), np.zeros(len(places))
    gaps = np.diff(places[order]) > max(NEAR * width, 1e-3)
    for group in np.split(order, np.flatnonzero(gaps) + 1):
        moved[np.sort(group)] = ASIDE * (np.arange(len(group)) - (len(group) - 1) / 2)
    return moved


def _log_scale(costs: list[float]) -> alt.Scale:
    return alt.Scale(type="log", domain=[min(costs) / 2, max(costs) * 2], nice=False)


def _log_axis(costs: list[float]) -> alt.Axis:
    """Ticks at 1, 2 and 5 times the powers of ten, or at the powers alone where those would be many."""
    low, high = min(costs) / 2, max(costs) * 2
    leads = (1, 2, 5) if high / low < 1e3 else (1,)
    ticks = [lead * 10**power for power in range(13) for lead in leads if low <= lead * 10**power <= high]
    return alt.Axis(format="~s", values=ticks)
