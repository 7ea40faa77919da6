"""What all charts share. Each chart is a function: DataFrame -> alt.Chart, or its Vega-Lite where every click draws it.

A chart takes `colours`, label -> colour, wherever it tells variants apart. None has more than MOST_MARKS marks.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import altair as alt
import pandas as pd
from altair.utils import schemapi

# A chart is validated as a whole when it is drawn; to validate its parts before as well takes longer than the rest.
schemapi.disable_debug_mode()

MOST_MARKS = 1600  # with more, a browser is busy for seconds
EMPHASIS, QUIET = "#2457c5", "#8a93a3"
READABLE = "#3A7BD5"  # as clear on a light page as on a dark one
INK, PAPER = "#1a2130", "white"  # letters on pale and on strong cells
ROWS = "rows"  # the data of a specification, by name
Chart = alt.Chart | alt.LayerChart | alt.FacetChart
Specification = dict[str, Any]
Colours = Mapping[str, str]


def names_axis(**arguments: Any) -> alt.Axis:
    """An axis of names that each stand at the middle of their row or column, the first and the last ones too."""
    return alt.Axis(labelFlush=False, **arguments)


def columns_axis() -> alt.Axis:
    """The names above the columns of a table of coloured cells, tilted so that none is left out on a phone."""
    return names_axis(orient="top", labelAngle=-30, labelLimit=160, labelOverlap=False)


def legend_columns(names: Iterable[str]) -> int:
    """How many names of a legend stand in a row: what half a page, or a phone, has room for."""
    return max(1, min(4, 46 // (max(map(len, names), default=1) + 4)))


def colour_of(field: str, colours: Colours, legend: bool = False) -> alt.Color:
    """The colour of each label in a column, with a legend above the chart if asked."""
    return alt.Color(
        f"{field}:N",
        title=None,
        sort=list(colours),
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(
            orient="top",
            columns=legend_columns(colours),
            labelLimit=220,
            symbolOpacity=1,
            symbolStrokeWidth=4,
            symbolType="stroke",
        )
        if legend
        else None,
    )


def with_rows(specification: Specification, table: pd.DataFrame) -> Specification:
    """The specification with the rows of a table as its data."""
    return deepcopy(specification) | {"datasets": {ROWS: table.to_dict("records")}}
