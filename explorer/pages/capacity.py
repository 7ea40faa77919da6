"""What a model is made of: its layers with their parameters and MACs, and how it compares with the others."""

import pandas as pd
import streamlit as st

from explorer.app import charts
from explorer.app.session import capacity, costs, selection

COLUMNS = {
    "name": st.column_config.TextColumn("Layer", pinned=True, width=215),
    "kind": st.column_config.TextColumn("Kind"),
    "output_shape": st.column_config.TextColumn("Output", help="Channels × height × width of what it hands on."),
    "formula": st.column_config.TextColumn(
        "Formula", help="A conv: height*width*in*out + biases. A norm: numbers per channel * channels."
    ),
    "parameters": st.column_config.NumberColumn("Parameters", format="localized", help="The formula's value."),
    "buffers": st.column_config.NumberColumn(
        "Buffers", format="localized", help="Numbers that are kept but not learned: running means and variances."
    ),
    "macs": st.column_config.NumberColumn(
        "MACs", format="localized", help="Multiply-accumulate operations for one image; convs and linear layers only."
    ),
}


def with_total(table: pd.DataFrame) -> pd.DataFrame:
    """The layer table with a last row that holds the sums."""
    sums = table[["parameters", "buffers", "macs"]].sum().to_dict()
    return pd.concat([table, pd.DataFrame([{"name": "total", "kind": f"{len(table)} layers", **sums}])]).fillna("")


chosen = selection()
st.title("What is the model made of?")
label = st.pills(
    "Norm",
    [chosen.label(run) for run in chosen.runs],
    default=chosen.label(chosen.runs[0]),
    required=True,
    key="run",
    bind="query-params",
)
run = chosen.run(label or chosen.label(chosen.runs[0]))
card = run.card
table, sizes = capacity(run)
totals = table[["parameters", "buffers", "macs"]].sum()
size = f"{card.input.height} × {card.input.width}"

st.write(
    f"**{card.architecture}** with the norm **{card.norm}**, for images of {size} pixels and "
    f"{len(card.classes)} classes."
)
figures = {
    "Parameters": f"{totals['parameters']:,}",
    "Buffers": f"{totals['buffers']:,}",
    "MACs per image": f"{totals['macs'] / 1e6:,.1f} M",
    "Parameters in memory": f"{sizes.parameters:.2f} MB",
    "Layer outputs per image": f"{sizes.activations:.2f} MB",
}
with st.container(horizontal=True):
    for name, value in figures.items():
        st.metric(name, value, border=True, width="content")
st.dataframe(with_total(table), column_config=COLUMNS, hide_index=True, height=560)
st.caption(
    "In the order the layers run; a ReLU or sum that is no layer of its own has nothing to count. MB are of "
    "10⁶ bytes, four to a number; training keeps the layer outputs of a whole batch."
)

st.subheader("Beside the other architectures")
compared = costs(run)
st.altair_chart(
    charts.costs_chart(compared, card.architecture.name),
    alt="Parameters and MACs of each architecture: "
    + "; ".join(
        f"{name} {parameters:,} and {macs:,}"
        for name, parameters, macs in zip(
            *(compared[key] for key in ("architecture", "parameters", "macs")), strict=True
        )
    ),
)
st.caption(
    f"All with the norm {card.norm.name} and {size} pixels. Filled: this model. Dashed: no run on this data set yet. "
    "Both axes are logarithmic: a step between two lines multiplies."
)
