"""Which norm wins, and whether that is real: figures of every run, paired tests, fairness and calibration."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from explorer.app import charts
from explorer.app.session import ALL, runs_and_problems, selection, stored_predictions
from explorer.predictions.calibration import calibration_error, reliability_table
from explorer.predictions.metrics import Metrics
from explorer.predictions.paired import accuracy_interval, compare_all_pairs, compare_to_reference
from explorer.predictions.replicates import seed_summary
from explorer.predictions.verdict import seeds_verdict, verdict
from explorer.runs import Predictions, labels_of, runs_table
from explorer.runs.differences import fairness

SPLITS = {"Test": ("test",), "Validation": ("val",), "Train": ("train",), "All three": ("test", "val", "train")}
WORDS = {"test": "Test", "val": "Val", "train": "Train"}
BEST = {"accuracy": "max", "micro_f1": "max", "macro_f1": "max", "loss": "min", "misclassified": "min"}
METRIC_COLUMNS = {
    "accuracy": ("accuracy", "{:.2%}", "The share of images that are predicted right."),
    "micro_f1": ("micro F1", "{:.2%}", "F1 over all images together; with one label per image it equals accuracy."),
    "macro_f1": ("macro F1", "{:.2%}", "The mean over the classes of F1, so that a rare class counts as much."),
    "loss": ("loss", "{:.3f}", "Mean cross entropy in nats; lower is better."),
    "misclassified": ("misclassified", "{:,}", "The number of wrong predictions."),
}
assert set(METRIC_COLUMNS) < set(Metrics.__annotations__)
OTHER_COLUMNS = {
    "run": st.column_config.TextColumn("Norm", pinned=True),
    "dataset": st.column_config.TextColumn("Data set"),
    "architecture": st.column_config.TextColumn("Architecture"),
    "parameters": st.column_config.NumberColumn("Parameters", format="localized", help="Learnable numbers."),
    "macs": st.column_config.NumberColumn("MACs", format="compact", help="Multiply-accumulate operations per image."),
    "seconds": st.column_config.NumberColumn("Training", format="%.0f s", help="Time of training on its hardware."),
}
FAIR = ("parameters", "macs", "epochs", "batch_size", "learning_rate", "seed", "seconds")


def column_config() -> dict:
    """How every column of a table of runs reads."""
    metrics = {
        f"{split}_{key}": st.column_config.NumberColumn(f"{word} {title}", help=explained)
        for split, word in WORDS.items()
        for key, (title, _, explained) in METRIC_COLUMNS.items()
    }
    return OTHER_COLUMNS | metrics


def form_of(column: str) -> str:
    """How the numbers of a column `split_metric` are written."""
    return METRIC_COLUMNS[column.partition("_")[2]][1]


@st.fragment
def show_table(table: pd.DataFrame, key: str, leading: tuple[str, ...]) -> None:
    """A sortable table of runs for one split or all, the best of each data set and architecture shaded, to download."""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    name = left.segmented_control(
        "Images", list(SPLITS), default="Test", required=True, key=f"{key}_split", bind="query-params"
    )
    shown = [f"{split}_{metric}" for split in SPLITS[name or "Test"] for metric in METRIC_COLUMNS]
    right.download_button(
        "Download CSV", table.to_csv(index=False), f"{key}.csv", "text/csv", icon=":material/download:", width="stretch"
    )
    best = {column: is_best(table, column) for column in shown}
    style = table.style.apply(lambda values: np.where(best[values.name], SHADED, ""), subset=shown)
    style = style.format({column: form_of(column) for column in shown})
    order = [*leading, *shown, "parameters", "macs", "seconds"]
    st.dataframe(style, column_config=column_config(), column_order=order, hide_index=True, key=key)


def is_best(table: pd.DataFrame, column: str) -> np.ndarray:
    """Whether each run is the best, in a column, of the several on its data set by its architecture; bool (runs,)."""
    rivals = table.groupby(["dataset", "architecture"])[column]
    best, count = (np.asarray(rivals.transform(what)) for what in (BEST[column.partition("_")[2]], "size"))
    return (table[column].to_numpy() == best) & (count > 1)


SHADED = "font-weight: 700; background-color: #2e8b5733"


def unbroken(sentence: str) -> str:
    """A sentence in which no line begins with a percent sign."""
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")


def show_accuracies(table: pd.DataFrame) -> None:
    """Dots with intervals."""
    count = int(table["test_count"].iloc[0])
    low, high = np.transpose([accuracy_interval(wrong, count) for wrong in table["test_misclassified"]])
    shown = table[["run", "norm"]].assign(accuracy=table["test_accuracy"], low=low, high=high)
    st.altair_chart(charts.accuracy_chart(shown), alt="Test accuracy of each run with its 95 % interval")
    st.caption(
        f"Dot: accuracy on {count:,} test images. Line: its 95 % interval, that is, how far chance in the choice of "
        "these images could have moved it."
    )


def show_comparison(versus: pd.DataFrame, pairs: pd.DataFrame, labels: list[str], reference: str) -> None:
    """Differences to the reference, and every pair."""
    st.subheader("Is the difference real?")
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**Difference to {reference}**, in points of test accuracy")
        st.altair_chart(charts.differences_chart(versus), alt=f"Accuracy of each run minus that of {reference}")
    with right:
        st.markdown("**Every pair**: row minus column, in points")
        st.altair_chart(
            charts.pairs_chart(pairs, labels),
            alt="Difference in test accuracy of every pair of runs",
        )
    st.caption(
        "All runs saw the same test images, so they are compared image by image: exact McNemar test on the images that "
        "only one of the two gets wrong, p values Holm-corrected for the number of comparisons, so that every pair at "
        "once has to pass a harder test than the comparisons with one. Lines are 95 % intervals of a paired bootstrap. "
        "Filled dots and cells with a star are reliable (corrected p < 0.05)."
    )
    with st.expander("The figures behind it"):
        fractions = ("accuracy_a", "accuracy_b", "difference", "low", "high")
        st.dataframe(
            pairs.style.format(dict.fromkeys(fractions, "{:.2%}") | dict.fromkeys(("p", "p_holm"), "{:.4f}")),
            hide_index=True,
            column_config={
                "run_a": "Run A",
                "run_b": "Run B",
                "accuracy_a": "Accuracy A",
                "accuracy_b": "Accuracy B",
                "difference": "A − B",
                "low": "from",
                "high": "to",
                "only_a_wrong": "Only A wrong",
                "only_b_wrong": "Only B wrong",
                "p_holm": "p corrected",
            },
        )


def all_seeds() -> pd.DataFrame | None:
    """The runs of the selection with all their seeds, where some norm has several and nothing else tells runs apart."""
    runs = selection(seed=ALL)
    table = runs_table(runs.runs, runs.labels)
    only_seeds_differ = not table.duplicated(["norm", "seed"]).to_numpy().any()
    return table if only_seeds_differ and not table["norm"].is_unique else None


@st.fragment
def show_seeds(table: pd.DataFrame) -> None:
    """Every seed as a dot, and mean and standard deviation of every metric."""
    st.subheader("Would another training say the same?")
    accuracies = {"norm": table["norm"], "seed": table["seed"], "accuracy": table["test_accuracy"]}
    st.altair_chart(
        charts.seeds_chart(pd.DataFrame(accuracies)),
        alt="Test accuracy of each seed by norm, with mean and standard deviation",
    )
    name = st.segmented_control(
        "Images", list(SPLITS), default="Test", required=True, key="seeds_split", bind="query-params"
    )
    columns = [f"{split}_{metric}" for split in SPLITS[name or "Test"] for metric in METRIC_COLUMNS]
    found = {column: seed_summary(table, column) for column in columns}
    figures: dict[str, Any] = {key: found[columns[0]][key] for key in ("norm", "n")}
    config: dict = column_config() | {"norm": OTHER_COLUMNS["run"], "n": "Seeds"}
    forms = {}
    for column, summary in found.items():
        spread = f"{column}_std"
        figures |= {column: summary["mean"], spread: summary["std"]}
        config[spread] = st.column_config.NumberColumn("±", width="small")
        form = form_of(column)
        forms |= dict.fromkeys((column, spread), "{:,.1f}" if form == "{:,}" else form)  # a mean of counts
    shown = pd.DataFrame(figures).sort_values(columns[0], ascending=False).style.format(forms, na_rep="–")
    st.dataframe(shown, hide_index=True, column_order=list(figures), column_config=config)
    st.caption(
        "Ring: one training, from other first weights, in another order of the images. Upright line: their mean. Bar "
        "and ±: one standard deviation (n − 1). The test images are the same for all."
    )


def show_fairness(table: pd.DataFrame, labels: list[str], seeds_shown: bool) -> None:
    """What differs besides the norm; one seed is said to be one unless other seeds are shown above."""
    st.subheader("Is the comparison fair?")
    said = fairness([dict(zip(FAIR, row, strict=True)) for row in zip(*(table[f] for f in FAIR), strict=True)], labels)
    same = [name for name in FAIR if len(set(table[name])) == 1 and name != "seconds"]
    words = {"macs": "MACs", "batch_size": "batch size", "learning_rate": "learning rate"}
    st.markdown(f"The same for all: {', '.join(words.get(name, name) for name in same) or 'nothing'}.")
    for sentence in said:
        st.markdown(f"- {sentence}")
    if not seeds_shown and len(set(table["seed"])) == 1:
        st.caption("One seed per norm: how much another training would change the figures is not seen here.")


def show_calibration(found: dict[str, Predictions], norms: dict[str, str]) -> None:
    """Whether confidence can be believed."""
    st.subheader("Can its confidence be believed?")
    tables = {label: reliability_table(p.probabilities, p.labels, 10) for label, p in found.items()}
    errors = {label: calibration_error(table) for label, table in tables.items()}
    points = pd.concat([t.assign(run=label, norm=norms[label]) for label, t in tables.items()], ignore_index=True)
    left, right = st.columns([3, 2], gap="large")
    left.altair_chart(charts.reliability_chart(points.query("count > 0")), alt="Accuracy against confidence, by run")
    worst_last = pd.DataFrame({"run": list(errors), "error": list(errors.values())}).sort_values("error")
    right.dataframe(
        worst_last.style.format({"error": "{:.2%}"}),
        hide_index=True,
        column_config={"run": "Norm", "error": "Expected calibration error"},
    )
    right.caption(
        "Of the answers given with 80 % confidence, 80 % should be right: the dashed line. Below it a norm is too sure "
        "of itself. The error is the mean distance from the line (ten bins, weighted by images). A large dot stands "
        f"for many answers; lines leave out those of fewer than {charts.FEW}."
    )


def show_all_runs() -> None:
    """Every run of every data set and architecture."""
    st.subheader("All runs")
    runs, _ = runs_and_problems()
    groups: dict[tuple[str, str], list] = {}
    for run in runs:
        groups.setdefault((run.card.dataset.name, run.card.architecture.name), []).append(run)
    labels = {key: label for group in groups.values() for key, label in labels_of(group).items()}
    show_table(runs_table(runs, labels), "all_runs", ("dataset", "architecture", "run"))


chosen = selection()
table = runs_table(chosen.runs, chosen.labels).sort_values("test_accuracy", ascending=False, ignore_index=True)
labels = table["run"].tolist()
norms = table.set_index("run")["norm"].to_dict()
found = {label: stored_predictions(chosen.run(label)) for label in labels}
card = chosen.runs[0].card

st.title("Which normalization wins?")
said, chosen_reference = st.columns([3, 1], vertical_alignment="center")
reference = (
    chosen_reference.selectbox(
        "Compared with",
        labels,
        index=labels.index("batch") if "batch" in labels else 0,
        key="reference",
        bind="query-params",
    )
    or labels[0]
)
same_images = len({p.ids for p in found.values()}) == 1
wrong = np.stack([p.wrong for p in found.values()]) if same_images else None
versus = compare_to_reference(wrong, labels, reference) if wrong is not None else None
if versus is None:
    said.warning("These runs were tested on different images, so they cannot be compared image by image.")
else:
    said.markdown(f"#### {unbroken(verdict(versus))}")
seeds = all_seeds()
if seeds is not None:
    st.markdown(unbroken(seeds_verdict(seed_summary(seeds, "test_accuracy"))))
show_table(table, "runs", ("run", "architecture"))
st.subheader("Test accuracy")
show_accuracies(table)
if wrong is not None and versus is not None and len(labels) > 1:
    show_comparison(versus, compare_all_pairs(wrong, labels), labels, reference)
if seeds is not None:
    show_seeds(seeds)
show_fairness(table, labels, seeds_shown=seeds is not None)
show_calibration(found, norms)
show_all_runs()
st.caption(f"Data: {card.dataset.source}")
