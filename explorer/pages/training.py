"""How the runs learned: one metric over epochs or time, train beside validation."""

import pandas as pd
import streamlit as st

from explorer import charts
from explorer.session import selection

METRICS = {"Accuracy": "accuracy", "Loss": "loss", "Micro F1": "micro_f1", "Macro F1": "macro_f1"}
AXES = {"Epoch": "epoch", "Time": "seconds"}

chosen = selection()
st.title("How did each norm learn?")
left, right = st.columns(2)
metric = left.segmented_control(
    "Metric", list(METRICS), default="Accuracy", required=True, key="metric", bind="query-params"
)
axis = right.segmented_control("Against", list(AXES), default="Epoch", required=True, key="axis", bind="query-params")
history = pd.concat(
    [run.history().assign(run=chosen.label(run), norm=run.card.norm.name) for run in chosen.runs], ignore_index=True
)
metric, axis = metric or "Accuracy", axis or "Epoch"
train, val = charts.curves_charts(history, METRICS[metric], metric.lower().replace("f1", "F1"), AXES[axis])
for column, chart, alt in zip(st.columns(2), (train, val), ("training", "validation"), strict=True):
    column.altair_chart(chart, alt=f"{metric} over the {alt} images, one line per run")
st.caption(
    "Train: as the augmented images went by, so it can lie below validation. "
    "The weights of the epoch with the best validation accuracy are the ones that every other page shows."
)
rows = [
    {
        "run": chosen.label(run),
        "best epoch": run.card.best_epoch,
        "epochs": run.card.recipe["epochs"],
        "batch size": run.card.recipe["batch_size"],
        "learning rate": run.card.recipe["learning_rate"],
        "seconds": run.card.seconds,
        "hardware": run.card.hardware,
    }
    for run in chosen.runs
]
st.dataframe(
    pd.DataFrame(rows), hide_index=True, column_config={"run": st.column_config.TextColumn("Norm", pinned=True)}
)
