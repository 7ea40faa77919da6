"""How the runs learned: one metric over epochs or time, train beside validation, and two studies of their own."""

import pandas as pd
import streamlit as st

from explorer.app import charts
from explorer.app.session import ALL, selection
from explorer.marks import MARKS
from explorer.runs import Run, labels_of, runs_table

METRICS = {"Accuracy": "accuracy", "Loss": "loss", "Micro F1": "micro_f1", "Macro F1": "macro_f1"}
AXES = {"Epoch": "epoch", "Time": "seconds"}
ALL_NORMS, OWN, SIZES = "All norms", "Own batch norm against PyTorch's", "Batch sizes"
ABOUT = {
    ALL_NORMS: "All runs that the selectors on the left leave.",
    OWN: "batch is PyTorch's layer, batch-scratch is written here from the definition. They start from the same "
    "weights and do the same sums in another order, so curves and figures should differ by chance only.",
    SIZES: "Batch norm takes its statistics from the images of a batch, so small batches make them noisy; group norm "
    "takes them within each image and does not see the batch.",
}


def runs_of(view: str) -> tuple[list[Run], dict[str, str]]:
    """The runs of a view with their labels."""
    if view == SIZES:
        runs = [run for run in selection(batch_size=ALL).runs if run.card.norm.name in ("batch", "group")]
        runs = sorted(runs, key=lambda run: (run.card.norm.name, run.card.recipe["batch_size"], run.card.seed))
    else:
        wanted = ("batch", "batch-scratch") if view == OWN else tuple(MARKS)
        runs = [run for run in selection().runs if run.card.norm.name in wanted]
    return runs, labels_of(runs)


def show_curves(runs: list[Run], labels: dict[str, str]) -> None:
    """The selectors and the two charts."""
    left, right = st.columns(2)
    metric = left.segmented_control(
        "Metric", list(METRICS), default="Accuracy", required=True, key="metric", bind="query-params"
    )
    axis = right.segmented_control(
        "Against", list(AXES), default="Epoch", required=True, key="axis", bind="query-params"
    )
    metric, axis = metric or "Accuracy", axis or "Epoch"
    history = pd.concat(
        [
            run.history().assign(run=labels[run.key], norm=run.card.norm.name, batch=run.card.recipe["batch_size"])
            for run in runs
        ],
        ignore_index=True,
    )
    title = metric.lower().replace("f1", "F1")
    pair = charts.curves_charts(history, METRICS[metric], title, AXES[axis])
    for column, chart, split in zip(st.columns(2), pair, ("training", "validation"), strict=True):
        column.altair_chart(chart, alt=f"{metric} over the {split} images, one line per run")
    st.caption(
        "Train: as the augmented images went by, so it can lie below validation. Time: seconds since the start of the "
        "training, each run on the hardware in the table. Point at a line to single it out."
    )


def show_figures(runs: list[Run], labels: dict[str, str]) -> None:
    """What came out, and how it was trained."""
    table = runs_table(runs, labels)
    details = pd.DataFrame(
        {
            "best_epoch": [run.card.best_epoch for run in runs],
            "hardware": [run.card.hardware for run in runs],
        }
    )
    accuracies = {"train_accuracy": "Train accuracy", "val_accuracy": "Val accuracy", "test_accuracy": "Test accuracy"}
    config = accuracies | {
        "run": st.column_config.TextColumn("Norm", pinned=True),
        "test_loss": "Test loss",
        "best_epoch": st.column_config.NumberColumn("Best epoch", help="The epoch whose weights every page shows."),
        "epochs": "Epochs",
        "batch_size": "Batch size",
        "learning_rate": st.column_config.NumberColumn("Learning rate", help="The peak of the schedule."),
        "seconds": "Seconds",
        "hardware": "Hardware",
    }
    forms = dict.fromkeys(accuracies, "{:.2%}") | {"test_loss": "{:.3f}", "learning_rate": "{:g}", "seconds": "{:,.0f}"}
    shown = pd.concat([table, details], axis=1).style.format(forms)
    st.dataframe(shown, hide_index=True, column_order=list(config), column_config=config)


st.title("How did each norm learn?")
view = st.segmented_control(
    "View", [ALL_NORMS, OWN, SIZES], default=ALL_NORMS, required=True, key="view", bind="query-params"
)
view = view or ALL_NORMS
st.write(ABOUT[view])
runs, labels = runs_of(view)
if view != ALL_NORMS and len(runs) < 2:
    needed = "grid batch-size" if view == SIZES else "--dataset elpv --architecture resnet14 --norm batch-scratch"
    st.info("There are not enough runs for this view with these selectors. Train them, then reload this page:")
    st.code(f"python -m train {needed}", language="bash")
else:
    show_curves(runs, labels)
    show_figures(runs, labels)
