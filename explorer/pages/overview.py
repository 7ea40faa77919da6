"""Which variant wins, and whether that is real: verdict, figures, what else differs, and calibration."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from explorer.app.caches import (
    Compared,
    changed_images,
    comparison_of,
    figures_of,
    figures_of_all,
    reliability_of,
    specification_of,
    standings_of,
)
from explorer.app.charts.capacity import COSTS, accuracy_costs_chart
from explorer.app.charts.overview import RARE, pairs_chart, reliability_chart, standings_chart
from explorer.app.frame import fragment
from explorer.app.selection import TITLES, View, current_view
from explorer.app.text import csv_text, plain
from explorer.app.urlstate import segments, select
from explorer.places import checkpoints_root
from explorer.predictions.baselines import most_common_class
from explorer.predictions.calibration import variants_calibration
from explorer.predictions.comparison import Comparison
from explorer.predictions.standings import pair_differences, single_runs
from explorer.predictions.verdict import alone, spread, verdict
from explorer.runs import list_runs
from explorer.runs.axes import ARCHITECTURE, SEED
from explorer.runs.differences import what_differs, what_is_same
from explorer.runs.tables import is_best
from explorer.words import MINUS, count_of, percent

CHOICES = {"Test": ("test",), "Validation": ("val",), "Train": ("train",), "All three": ("test", "val", "train")}
IMAGES = {"figures": "Images", "figures_of_runs": "Images, of every run", "all_runs": "Images, of all runs"}
WORDS = {"test": "Test", "val": "Val", "train": "Train"}
KEY_METRICS = {
    "accuracy": "Accuracy",
    "balanced": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "loss": "Loss",
    "misclassified": "Misclassified",
}
SHADED = "font-weight: 700; background-color: #2e8b5733"
MOST_PAIRED = 12  # variants of which every pair is shown
MOST_CURVES = 12  # variants whose calibration is drawn
TEST = "Of the test over seeds and images where both have several seeds, else McNemar's."
PAIRINGS = "Pairs of a run of it and one of the other in which it is the more accurate."
CALIBRATION_ERROR = "The mean distance from the dashed line, over ten bins weighted by their answers."
FLOOR = "About the error that a perfectly calibrated model would show with as many images."
NO_RANKING = "Errors that differ by no more than what chance gives do not rank anything."


@dataclass(frozen=True)
class Metric:
    """A column of the tables: its title, how its numbers are written, what it is, and whether more of it is better."""

    title: str
    form: str
    help: str
    more_is_better: bool = True

    def words(self, value: float) -> str:
        """A value as it stands alone: `84.3%`, `0.412`, `1,663`."""
        return percent(value) if self.form.endswith("%}") else self.form.format(value)


METRICS = {
    "accuracy": Metric("accuracy", "{:.2%}", "The share of images that are predicted right."),
    "balanced": Metric(
        "balanced", "{:.2%}", "Balanced accuracy: the mean over the classes of the share that is right."
    ),
    "macro_f1": Metric("macro F1", "{:.2%}", "The mean over the classes of F1, so that a rare class counts as much."),
    "micro_f1": Metric("micro F1", "{:.2%}", "F1 over all images together; with one label per image, the accuracy."),
    "loss": Metric("loss", "{:.3f}", "Mean cross entropy in nats; lower is better.", more_is_better=False),
    "misclassified": Metric("misclassified", "{:,.0f}", "The number of wrong predictions.", more_is_better=False),
}
OTHERS = {
    "runs": st.column_config.NumberColumn("Seeds", help="How many trainings; ± is their standard deviation (n − 1)."),
    "dataset": "Data set",
    "architecture": "Architecture",
    "norm": "Norm",
    "seed": "Seed",
    "batch_size": "Batch size",
    "parameters": st.column_config.NumberColumn("Parameters", help="Learnable numbers."),
    "macs": st.column_config.NumberColumn("MACs", format="compact", help="Multiply-accumulate operations per image."),
    "seconds": st.column_config.NumberColumn("Training", help="Time on its hardware, beside other work."),
}
PAIRS = (
    "Row minus column, in points of test accuracy. Coloured: reliable differences to {reference}, as above. Other "
    "pairs have no verdict: choose another {noun} to compare with to test them. Whoever tries each {noun} until one "
    "differs finds some by chance."
)
CONFIDENCE = (
    "Of the answers given with 80% confidence, 80% should be right: the dashed line. Below it a model is too sure of "
    f"itself. A large dot stands for many answers; lines leave out those of fewer than {RARE}."
)


def show_page() -> None:
    """Draws the page."""
    view = current_view()
    st.title(question_of(view))
    note = st.empty()
    compared = comparison_of(view.grouping)
    if compared is None:
        st.warning("No run here has predictions that can be read, so there is nothing to compare image by image.")
    else:
        for line in compared.left_out:
            st.warning(f"Left out: {plain(line)}", icon=":material/folder_off:")
        show_standings(view, compared)
    show_figures(view)
    if len(view.labels) > 1:
        show_differences(view)
    if compared is not None:
        show_calibration(view, compared.comparison)
    show_all_runs()
    st.caption(f"Data: {plain(view.grouping.runs[0].card.source)}")
    if line := changed_images(view.grouping.runs[0]):  # last, since nothing above waits for the images
        note.info(plain(line), icon=":material/image_not_supported:")


def question_of(view: View) -> str:
    """What the page answers."""
    if len(view.labels) == 1:
        return "How good is it?"
    return "How much does the seed change?" if view.grouping.axis == SEED else f"Which {plain(view.noun)} wins?"


# The verdict ---------------------------------------------------------------------------------------------------------


def show_standings(view: View, compared: Compared) -> None:
    """The verdict in a sentence, a row per variant, and what both are read from."""
    comparison = compared.comparison
    if len(comparison.variants) == 1:
        table = standings_of(comparison, None)
        st.markdown(f"#### {plain(alone(table, len(comparison.ids)))}")
        show_key_figures(view, compared)
    else:
        table = choose_reference(view, comparison)
    if len(comparison.runs) > 1:
        chart = specification_of(standings_chart, table, single_runs(comparison))
        st.vega_lite_chart(spec=chart, alt="; ".join(map(row_words, table.to_dict("records"))))
        st.caption(how_to_read(comparison, table))
    if view.grouping.axis == ARCHITECTURE and len(table) > 1:
        show_costs(view, table)
    if 2 < len(table) <= MOST_PAIRED:
        with st.expander("Every pair"):
            show_pairs(view, table)
    if len(table) > 1:
        with st.expander("The figures behind the verdict"):
            show_tests(table)


def choose_reference(view: View, comparison: Comparison) -> pd.DataFrame:
    """The verdict beside the selector of what others are compared with, and the standings against that."""
    said, chosen = st.columns([3, 1], vertical_alignment="center", gap="medium")
    first = view.reference if view.reference in comparison.variants else comparison.variants[0]
    reference = select(chosen.selectbox, "reference", "Compared with", comparison.variants, first)
    table = standings_of(comparison, reference)
    first_words, limits = verdict(table, len(comparison.ids))
    if view.grouping.axis == SEED:
        first_words, limits = spread(table), f"{first_words} {limits}"
    said.markdown(f"#### {plain(first_words)}\n\n{plain(limits)}")
    return table


def show_key_figures(view: View, compared: Compared) -> None:
    """The metrics of a single variant, beside the share of the most common class."""
    row = figures_of(view.grouping)[0].iloc[0]
    common, share = most_common_class(compared.comparison.true)
    figures = {title: METRICS[key].words(row[f"test_{key}"]) for key, title in KEY_METRICS.items()}
    figures[f"Most common class: {plain(compared.comparison.classes[common])}"] = percent(share)
    with st.container(horizontal=True):
        for name, value in figures.items():
            st.metric(name, value, border=True, width="content")


def row_words(row: dict) -> str:
    """A row of the chart, for who cannot see it."""
    words = f"{row['variant']} {percent(row['accuracy'])}"
    return f"{words}, {row['verdict']}" if "verdict" in row else words


def how_to_read(comparison: Comparison, table: pd.DataFrame) -> str:
    """What the marks of the chart mean, and what an accuracy is to be read against."""
    images, several = count_of(len(comparison.ids), "test image"), bool((table["runs"] > 1).any())
    common, share = most_common_class(comparison.true)
    notes = [f"Ring: accuracy on {images}. Line: its 95% interval over other test images."]
    if several:
        notes = [
            f"Ring: mean accuracy on {images}; dots: single trainings. Line: the 95% interval of the mean over other "
            "seeds and other test images."
        ]
    if len(table) > 1:
        notes.append(
            f"Right: the difference with the interval that the verdict is read from, Holm-corrected for "
            f"{count_of(len(table) - 1, 'comparison')}; filled and blue where it is reliable."
        )
    if len(table) > 1 and np.any(table["single"]):
        notes.append("\\*: one training against one, so not the difference of the means.")
    notes.append(
        f"Whoever always answers {plain(comparison.classes[common])}, the most common class, is right on "
        f"{percent(share)}."
    )
    return " ".join(notes)


def says(table: pd.DataFrame, column: str) -> bool:
    """Whether a table has anything in a column."""
    return column in table and bool(np.any(pd.notna(table[column])))


def show_costs(view: View, table: pd.DataFrame) -> None:
    """Accuracy against parameters and against MACs."""
    shown = table.merge(figures_of(view.grouping)[0][["variant", *COSTS]], on="variant")
    colours = {label: view.marks[label].colour for label in table["variant"]}
    for column, key in zip(st.columns(2), COSTS, strict=True):
        if says(shown, key):
            chart = specification_of(accuracy_costs_chart, shown, key, colours)
            column.vega_lite_chart(spec=chart, alt=f"Test accuracy against {COSTS[key]}, one dot per architecture")


def show_pairs(view: View, table: pd.DataFrame) -> None:
    """Every variant against every other."""
    reference = table.loc[table["difference"].isna(), "variant"].iloc[0]
    chart = specification_of(pairs_chart, pair_differences(table), table["variant"].tolist())
    st.vega_lite_chart(spec=chart, alt="Difference in test accuracy of every pair")
    st.caption(PAIRS.format(reference=plain(reference), noun=plain(view.noun)))


def show_tests(table: pd.DataFrame) -> None:
    """The tests, one row each."""
    rows = table.dropna(subset=["difference"])
    forms = {"accuracy": "{:.2%}", "p": p_words, "p_holm": p_words}
    forms |= dict.fromkeys(("difference", "difference_low", "difference_high"), points_words)
    forms |= dict.fromkeys(("pairings_better", "pairings", "only_a_wrong", "only_b_wrong"), "{:,.0f}")
    config = {
        "variant": st.column_config.TextColumn("Variant", pinned=True),
        "accuracy": "Mean accuracy",
        "difference": st.column_config.NumberColumn("Difference", help="In percentage points of accuracy."),
        "difference_low": "from",
        "difference_high": "to",
        "p": st.column_config.NumberColumn("p", help=TEST),
        "p_holm": "p corrected",
        "pairings_better": st.column_config.NumberColumn("Better in", help=PAIRINGS),
        "pairings": "of pairs",
        "only_a_wrong": "Only it wrong",
        "only_b_wrong": "Only the other wrong",
    }
    single = bool(np.all(rows["runs_compared"] == 1))
    shown = [key for key in config if says(rows, key) and not (single and key.startswith("pairings"))]
    st.dataframe(rows.style.format(forms, na_rep="–"), hide_index=True, column_order=shown, column_config=config)


def points_words(fraction: float) -> str:
    """A difference in points with two digits and a real minus."""
    return f"{100 * fraction + 0.0:+.2f}".replace("-", MINUS)


def p_words(p: float) -> str:
    """A p value with four digits."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


# The figures ---------------------------------------------------------------------------------------------------------


def show_figures(view: View) -> None:
    """Every metric of every variant and, below, of every run."""
    st.subheader("All figures")
    table, each = figures_of(view.grouping)
    several = len(each) > len(table)
    title = view.noun[:1].upper() + view.noun[1:]
    show_table(table, "variant", title, "figures", ("runs",) if several else ())
    if several:
        with st.expander("Figures of every run"):
            show_table(each, "run", "Run", "figures_of_runs", ("seed",))


@fragment
def show_table(table: pd.DataFrame, pinned: str, title: str, key: str, leading: tuple[str, ...]) -> None:
    """A sortable table of the metrics of one split or all, best first, the best shaded, to download."""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    chosen = segments(left.segmented_control, key, IMAGES[key], list(CHOICES))
    right.download_button(
        "Download CSV",
        lambda: csv_text(table),
        f"{key}.csv",
        "text/csv",
        key=f"{key}_csv",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )
    found = [f"{split}_{metric}" for split in CHOICES[chosen] for metric in METRICS]
    found = [column for column in found if says(table, column)]
    spread = [f"{column}_std" for column in found if says(table, f"{column}_std")]
    shown = [name for column in found for name in (column, f"{column}_std") if name in (*found, *spread)]
    rows = table if "dataset" in leading else table.sort_values(found[0], ascending=False, ignore_index=True)
    st.dataframe(
        styled(rows, found, spread),
        column_config={pinned: st.column_config.TextColumn(title, pinned=True)} | column_config(),
        column_order=[pinned, *leading, *shown, "parameters", "macs", "seconds"],
        hide_index=True,
        placeholder="–",
        key=f"{key}_table",
    )


def styled(table: pd.DataFrame, found: list[str], spread: list[str]) -> Styler:
    """The table with its numbers written out and, where several compete, the best of each metric shaded."""
    alike = [key for key in ("dataset", "architecture") if key in table]
    best = {column: is_best(table, column, metric_of(column).more_is_better, alike) for column in found}
    style = table.style.apply(lambda values: np.where(best[values.name], SHADED, ""), subset=found)
    forms = {column: metric_of(column).form for column in (*found, *spread)}
    style.format(forms | {"seconds": "{:,.0f} s", "parameters": "{:,.0f}"})
    return style


def metric_of(column: str) -> Metric:
    """The metric of a column `<split>_<metric>`, or of the spread of one."""
    return METRICS[column.partition("_")[2].removesuffix("_std")]


def column_config() -> dict:
    """How every column of a table reads."""
    config: dict = dict(OTHERS)
    spread = st.column_config.NumberColumn("±", width=72)
    for split, word in WORDS.items():
        for key, metric in METRICS.items():
            column = st.column_config.NumberColumn(f"{word} {metric.title}", help=metric.help)
            config |= {
                f"{split}_{key}": column,
                f"{split}_{key}_std": spread,
            }
    return config


def show_all_runs() -> None:
    """Every run of every data set and architecture."""
    st.subheader("All runs")
    runs, _ = list_runs(checkpoints_root())
    table = figures_of_all(tuple(runs)).replace({"dataset": TITLES})
    show_table(table, "run", "Run", "all_runs", ("dataset", "architecture", "norm", "seed"))


# Fairness and calibration --------------------------------------------------------------------------------------------


def show_differences(view: View) -> None:
    """What else differs than what is compared."""
    st.subheader("What else differs?")
    said = what_differs(view.grouping)
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in said) or "Nothing that the runs' cards speak of.")
    if same := what_is_same(view.grouping):
        with st.expander(f"The same for all: {count_of(len(same), 'setting')}"):
            st.markdown(plain(", ".join(same)))


def show_calibration(view: View, comparison: Comparison) -> None:
    """Whether confidence can be believed."""
    st.subheader(f"Can {'its' if len(comparison.variants) == 1 else 'their'} confidence be believed?")
    points = reliability_of(comparison)
    colours = {label: view.marks[label].colour for label in comparison.variants[:MOST_CURVES]}
    shown = points[points["variant"].isin(list(colours)) & (points["count"] > 0)]
    left, right = st.columns([3, 2], gap="large")
    chart = specification_of(reliability_chart, shown, colours)
    left.vega_lite_chart(spec=chart, alt="Accuracy against confidence, one line per variant")
    config = {
        "variant": st.column_config.TextColumn(view.noun.capitalize(), pinned=True),
        "error": st.column_config.NumberColumn("Calibration error", help=CALIBRATION_ERROR),
        "floor": st.column_config.NumberColumn("By chance", help=FLOOR),
    }
    table = variants_calibration(comparison, points)
    right.dataframe(table.style.format({"error": "{:.1%}", "floor": "{:.1%}"}), hide_index=True, column_config=config)
    right.caption(CONFIDENCE if len(table) == 1 else f"{CONFIDENCE} {NO_RANKING}")
    if len(colours) < len(table):
        left.caption(f"The first {MOST_CURVES} of {count_of(len(table), 'variant')} are drawn.")


if __name__ == "__main__":
    show_page()
