"""What each variant costs: parameters and MACs, accuracy against them, and one model layer by layer."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from explorer.app import urlstate
from explorer.app.caches import comparison_of, costs_of, layers_of, standings_of
from explorer.app.charts.capacity import COSTS, accuracy_costs_chart, bars_chart, costs_chart
from explorer.app.frame import fragment
from explorer.app.selection import View, current_view
from explorer.app.text import plain
from explorer.models import ARCHITECTURES
from explorer.models.layers import norm_share
from explorer.models.resnet import RESNETS
from explorer.runs import Choice, DamagedRun, Run, RunSpec, runs_table, variants_table
from explorer.words import count_of, millions, percent, plural_of

MOST_PILLS = 8
RESNET = "resnet14"  # the one that is shown where none was trained
MOST_OTHERS = 400  # grey dots
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


def show_page() -> None:
    """Draws the page."""
    view = current_view()
    costs = pd.DataFrame(variants_table(view.grouping)[["variant", "parameters", "macs"]])
    if len(view.labels) == 1:
        st.title("What is the model made of?")
        show_layers(view)
        show_accuracies(view, costs)
    else:
        st.title(f"What does each {plain(view.noun)} cost?")
        show_costs(view, costs)
        show_accuracies(view, costs)
        st.subheader("Layer by layer")
        show_layers(view)


def show_costs(view: View, costs: pd.DataFrame) -> None:
    """Parameters and MACs as bars, a row per variant, or in a sentence where all cost the same."""
    same = costs[list(COSTS)].drop_duplicates()
    if len(same) == 1 and not same.isna().to_numpy().any():
        parameters, macs = same.iloc[0].tolist()
        noun = plain(plural_of(view.noun))
        st.write(f"All {noun} cost the same: {parameters:,.0f} parameters and {millions(macs)} MACs for one image.")
        return
    colours = {label: view.marks[label].colour for label in view.labels}
    for column, cost in zip(st.columns(2, gap="medium"), COSTS, strict=True):
        known = [f"{label} {value:,.0f}" for label, value in zip(costs["variant"], costs[cost], strict=True)]
        alt = f"{COSTS[cost]} of each {view.noun}: {'; '.join(known)}".replace("nan", "not known")
        column.altair_chart(bars_chart(costs, cost, colours), alt=alt)
    st.caption(
        "Parameters are what is learned. MACs are multiply-accumulate operations for one image, of convs and linear "
        "layers: what a norm computes is not among them."
    )


def show_accuracies(view: View, costs: pd.DataFrame) -> None:
    """Test accuracy against parameters and against MACs, beside all other runs of the data set."""
    compared, others = comparison_of(view.grouping), other_runs(view)
    if compared is None or len(view.labels) + len(others) < 2:
        return
    table = costs.merge(standings_of(compared.comparison, None), on="variant")
    drawn = [cost for cost in COSTS if any(known > 0 for known in table[cost].tolist())]
    if not drawn:
        return
    st.subheader("Accuracy against cost")
    colours = {label: view.marks[label].colour for label in table["variant"]}
    for column, cost in zip(st.columns(2, gap="medium"), drawn, strict=False):
        chart = accuracy_costs_chart(table, cost, colours, others)
        column.altair_chart(chart, alt=f"Test accuracy against {COSTS[cost]}")
    grey = f" Grey: {count_of(len(others), 'other run')} on this data set." if len(others) else ""
    over = ", the mean over the seeds" if len(view.grouping.runs) > len(view.labels) else ""
    st.caption(
        f"Dot: test accuracy{over}; line: its 95% interval.{grey} Dots of almost the same cost are drawn side by side. "
        "The horizontal axes are logarithmic: each step multiplies."
    )


def other_runs(view: View) -> pd.DataFrame:
    """The runs of the data set that are not compared: columns `run`, `accuracy`, `parameters` and `macs`."""
    shown = {run.key for run in view.grouping.runs}
    others = [run for run in view.all_runs if run.key not in shown][:MOST_OTHERS]
    if not others:
        return pd.DataFrame(columns=["run", "accuracy", "parameters", "macs"])
    table = runs_table(others, {run.key: run.path.name for run in others}).rename(columns={"test_accuracy": "accuracy"})
    return pd.DataFrame(table[["run", "accuracy", "parameters", "macs"]])


@fragment
def show_layers(view: View) -> None:
    """The layer table of one variant with its totals and its sizes in memory."""
    first = {variant.label: variant.runs[0] for variant in view.grouping.variants}
    run = first[choose_variant(view)] if len(first) > 1 else view.grouping.runs[0]
    made_of, size = f"**{plain(str(run.spec.architecture))}**, {plain(norm_words(run.spec))}", run.spec.input
    classes = count_of(len(run.card.classes), "class")
    st.write(f"{made_of}, for images of {size.height} × {size.width} pixels and {classes}.")
    try:
        table, sizes = layers_of(run)
    except DamagedRun:
        show_figures(figures_of(run.card.parameters, run.card.macs))
        raise
    totals = table[["parameters", "buffers", "macs"]].sum().to_dict()
    show_figures(
        figures_of(totals["parameters"], totals["macs"], totals["buffers"])
        | {
            "Parameters in memory": f"{sizes.parameters:.2f} MB",
            "Layer outputs per image": f"{sizes.activations:.2f} MB",
        }
    )
    st.write(norm_sentence(table))
    st.dataframe(with_total(table), column_config=COLUMNS, hide_index=True, height=560)
    st.caption(
        "In the order the layers run; a ReLU or sum that is no layer of its own has nothing to count. MB are of "
        "10⁶ bytes, four to a number; training keeps the layer outputs of a whole batch."
    )
    show_other_architectures(view, run)


def choose_variant(view: View) -> str:
    """The variant whose layers are shown."""
    title = f"{view.noun[0].upper()}{view.noun[1:]}"
    if len(view.labels) > MOST_PILLS:
        return urlstate.select(st.selectbox, "run", plain(title), view.labels)
    return urlstate.segments(st.pills, "run", plain(title), view.labels, format_func=plain)


def norm_words(spec: RunSpec) -> str:
    """The norm with its arguments, or that there is none."""
    if spec.norm is None:
        return "norm not known"
    return "no norm" if spec.norm.name == "none" else f"norm {spec.norm}"


def figures_of(parameters: int | None, macs: int | None, buffers: int | None = None) -> dict[str, str]:
    """What is known of these, as it reads."""
    known = {
        "Parameters": None if parameters is None else f"{parameters:,}",
        "Buffers": None if buffers is None else f"{buffers:,}",
        "MACs per image": None if macs is None else millions(macs),
    }
    return {name: words for name, words in known.items() if words is not None}


def show_figures(figures: Mapping[str, str]) -> None:
    """A box for each."""
    with st.container(horizontal=True):
        for name, value in figures.items():
            st.metric(name, value, border=True, width="content")


def norm_sentence(table: pd.DataFrame) -> str:
    """What the norm adds to a model, from its layer table."""
    share = norm_share(table)
    if not share.layers:
        return "None of its layers is a norm."
    verb = "adds" if share.layers == 1 else "add"
    return (
        f"Its {count_of(share.layers, 'norm layer')} {verb} {count_of(share.parameters, 'parameter')}, "
        f"{percent(share.of_all)} of all, and {count_of(share.buffers, 'buffer')}."
    )


def with_total(table: pd.DataFrame) -> pd.DataFrame:
    """The layer table with a last row that holds the sums."""
    sums = table[["parameters", "buffers", "macs"]].sum().to_dict()
    return pd.concat([table, pd.DataFrame([{"name": "total", "kind": f"{len(table)} layers", **sums}])]).fillna("")


def show_other_architectures(view: View, run: Run) -> None:
    """Parameters and MACs of every architecture with the norm and input of a run, drawn when asked for."""
    with st.expander(
        "Every architecture, with this norm and image size", key="architectures", on_change="rerun"
    ) as box:
        if not box.open:
            return
        trained = {other.spec.architecture.name: other.spec.architecture for other in (*view.all_runs, run)}
        untrained = [name for name in ARCHITECTURES if name not in trained and (name not in RESNETS or name == RESNET)]
        table = costs_of(run, (*trained.values(), *map(Choice, untrained)))
        shown = table.assign(trained=table["architecture"].isin(trained))
        st.altair_chart(costs_chart(shown, run.spec.architecture.name), alt="Parameters and MACs of each architecture")
        st.caption("Filled: this model. Dashed: no run on this data set yet. Both axes are logarithmic.")


if __name__ == "__main__":
    show_page()
