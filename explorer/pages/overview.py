"""Which norm wins: every run's figures on the test images, and the accuracies with their intervals."""

import pandas as pd
import streamlit as st

from explorer import charts
from explorer.comparison import accuracy_interval
from explorer.session import Selection, selection

COLUMNS = {
    "run": st.column_config.TextColumn("Norm", pinned=True),
    "architecture": st.column_config.TextColumn("Architecture"),
    "accuracy": st.column_config.NumberColumn("Test accuracy", format="percent"),
    "macro_f1": st.column_config.NumberColumn(
        "Macro F1", format="percent", help="The mean over the classes of F1, so that a rare class counts as much."
    ),
    "micro_f1": st.column_config.NumberColumn(
        "Micro F1", format="percent", help="F1 over all images together; with one label per image it equals accuracy."
    ),
    "misclassified": st.column_config.NumberColumn("Misclassified", help="Wrong predictions among the test images."),
    "loss": st.column_config.NumberColumn(
        "Test loss", format="%.3f", help="Mean cross entropy in nats; lower is better."
    ),
    "parameters": st.column_config.NumberColumn("Parameters", format="localized"),
    "macs": st.column_config.NumberColumn(
        "MACs", format="compact", help="Multiply-accumulate operations for one image."
    ),
    "seconds": st.column_config.NumberColumn("Training", format="%.0f s", help="Seconds of training on its hardware."),
}


def test_table(chosen: Selection) -> pd.DataFrame:
    """One row per run, best first: label, norm and the card's figures on the test images."""
    rows = []
    for run in chosen.runs:
        test = run.card.metrics["test"]
        low, high = accuracy_interval(test.misclassified, test.count)
        rows.append(
            {
                "run": chosen.label(run),
                "norm": run.card.norm.name,
                "architecture": run.card.architecture.name,
                "accuracy": test.accuracy,
                "low": low,
                "high": high,
                "macro_f1": test.macro_f1,
                "micro_f1": test.micro_f1,
                "misclassified": test.misclassified,
                "loss": test.loss,
                "parameters": run.card.parameters,
                "macs": run.card.macs,
                "seconds": run.card.seconds,
            }
        )
    return pd.DataFrame(rows).sort_values("accuracy", ascending=False, ignore_index=True)


def show_table(table: pd.DataFrame) -> None:
    """Draws the table with the best value of each column in bold."""
    best = {"accuracy": "max", "macro_f1": "max", "micro_f1": "max", "misclassified": "min", "loss": "min"}
    style = table.style
    for column, way in best.items():
        extreme = getattr(table[column], way)()
        style = style.map(
            lambda value, extreme=extreme: "font-weight: 700; background-color: #2e8b5733" if value == extreme else "",
            subset=[column],
        )
    st.dataframe(style, column_config=COLUMNS, column_order=list(COLUMNS), hide_index=True)
    st.caption("The best value of a column is shaded. Click a heading to sort.")


chosen = selection()
table = test_table(chosen)
first, card = table.iloc[0], chosen.runs[0].card
count = card.metrics["test"].count

st.title("Which normalization wins?")
st.write(
    f"{len(table)} runs of **{card.architecture.name}** that differ in their normalization layer, each tested on the "
    f"same {count:,} images. **{first['run']}** is right most often: {first['accuracy']:.1%} of the time."
)
show_table(table)
st.subheader("Test accuracy")
st.altair_chart(charts.accuracy_chart(table), alt="Test accuracy of each run with its 95 % interval")
st.caption(
    f"Dot: accuracy on {count:,} test images. Line: 95 % interval, that is, how far chance in the choice of these "
    "images could have moved it. Where two lines overlap widely, do not call either norm the better one."
)
st.caption(f"Data: {card.dataset.source}")
