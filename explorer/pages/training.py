"""How the runs learned: one metric over epochs or time, train beside validation, and what each run cost."""

import pandas as pd
import streamlit as st

from explorer.app import urlstate
from explorer.app.caches import curves_of
from explorer.app.charts.training import curves_charts
from explorer.app.selection import View, current_view
from explorer.app.text import plain
from explorer.runs import runs_table
from explorer.words import count_of, listed

METRICS = {"Accuracy": "accuracy", "Loss": "loss", "Micro F1": "micro_f1", "Macro F1": "macro_f1"}
AXES = {"Epoch": "epoch", "Relative time": "time"}
MOST_CURVES = 16
TIME = (
    "Relative time: the number of the epoch times the median epoch of the run. Runs were trained beside other work, so "
    "single epochs, and small differences between variants, are not the cost of a norm or of an architecture. That is "
    "measured side by side by `python -m benchmarks.norms`; see docs/benchmarks.md."
)


def show_page() -> None:
    """Draws the page."""
    view = current_view()
    st.title("How did they learn?" if len(view.labels) > 1 else "How did it learn?")
    curves = curves_of(view.grouping)
    silent = [label for label in view.labels if label not in set(curves["variant"])]
    if silent:
        st.info(f"No training history was kept of {plain(listed(silent))}.", icon=":material/info:")
    if len(curves):
        show_curves(view, curves)
    show_figures(view)


def show_curves(view: View, curves: pd.DataFrame) -> None:
    """The selectors and the two charts."""
    left, right = st.columns(2)
    metric = urlstate.segments(left.segmented_control, "metric", "Metric", list(METRICS))
    axis = urlstate.segments(right.segmented_control, "axis", "Against", list(AXES))
    drawn = [label for label in view.labels if label in set(curves["variant"])][:MOST_CURVES]
    colours = {label: view.marks[label].colour for label in drawn}
    title = metric.lower().replace("f1", "F1")
    shown = pd.DataFrame(curves[curves["variant"].isin(drawn) & (curves["metric"] == METRICS[metric])])
    pair = curves_charts(shown, METRICS[metric], title, AXES[axis], colours)
    for column, chart, split in zip(st.columns(2), pair, ("training", "validation"), strict=True):
        column.altair_chart(chart, alt=f"{metric} on the {split} images, by {AXES[axis]}")
    with_history = len(set(curves["variant"]))
    notes = ["Train figures were taken while training, on augmented images, so they can lie below validation."]
    if any(count > 1 for count in shown["runs"].tolist()):
        notes.append("Line: the mean over the seeds of a variant; band: from the lowest to the highest seed.")
    if AXES[axis] == "time":
        notes.append(TIME)
    if len(drawn) < with_history:
        notes.append(f"The first {MOST_CURVES} of {count_of(with_history, 'variant')} are drawn.")
    if len(drawn) > 1:
        notes.append("Point at a line to single it out.")
    st.caption(" ".join(notes))


def show_figures(view: View) -> None:
    """What came out, and how each run was trained."""
    runs = view.grouping.runs
    labels = {run.key: variant.label for variant in view.grouping.variants for run in variant.runs}
    accuracies = {"train_accuracy": "Train accuracy", "val_accuracy": "Val accuracy", "test_accuracy": "Test accuracy"}
    config = {"run": st.column_config.TextColumn(view.noun.capitalize(), pinned=True), "seed": "Seed"} | accuracies
    config |= {
        "test_loss": "Test loss",
        "best_epoch": st.column_config.NumberColumn("Best epoch", help="The epoch whose weights every page shows."),
        "epochs": "Epochs",
        "batch_size": "Batch size",
        "learning_rate": st.column_config.TextColumn("Learning rate", help="The peak of the schedule."),
        "seconds": st.column_config.NumberColumn("Seconds", help="Of training, on the hardware, beside other work."),
        "hardware": "Hardware",
    }
    details = {"best_epoch": [run.card.best_epoch for run in runs], "hardware": [run.card.hardware for run in runs]}
    table = runs_table(runs, labels).assign(**details)
    forms = dict.fromkeys(accuracies, "{:.2%}") | {"test_loss": "{:.3f}", "seconds": "{:,.0f}", "best_epoch": "{:.0f}"}
    st.dataframe(
        table.style.format(forms, na_rep="–"), hide_index=True, column_order=list(config), column_config=config
    )


if __name__ == "__main__":
    show_page()
