"""One class through every norm: how much of it each recognises, and where each looks when right and when wrong."""

from dataclasses import astuple
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import streamlit as st

from explorer import images as pictures
from explorer.app import charts
from explorer.app.gallery import Tile, show_gallery
from explorer.app.heatmap_settings import choose_heatmap_settings, say_how, show_legend
from explorer.app.session import answers_of, images_of, mean_heatmap, raw_maps, selection, sheet
from explorer.heatmaps.agreement import compare_all_maps, maps_verdict
from explorer.marks import MARKS
from explorer.predictions.filters import Answers
from explorer.predictions.metrics import recall
from explorer.runs import Run

if TYPE_CHECKING:
    from explorer.datasets import Split

PER_NORM = 4
MOST_COMPARED = 60  # images whose maps are compared between norms
MEASURES: dict[str, Literal["spearman", "overlap"]] = {"Rank correlation": "spearman", "Overlap": "overlap"}
PREDICTED, TRUE = "the predicted class", "the true class"


def sample(answers: Answers, row: int, label: int, wrong: bool) -> np.ndarray:
    """Up to PER_NORM positions of images of a class, the most confident ones that a run gets right, or wrong."""
    positions = np.flatnonzero((answers.labels == label) & (answers.wrong[row] == wrong))
    return positions[np.argsort(-answers.confidence[row, positions], kind="stable")][:PER_NORM]


def show_recall(answers: Answers, reference: str) -> None:
    """Recall of every class by every norm, coloured by the difference to the reference."""
    rows = [recall(predicted, answers.labels, len(classes)) for predicted in answers.predicted]
    base = rows[answers.runs.index(reference)]
    table = pd.DataFrame(
        [
            {"run": run, "class": name, "recall": float(value), "difference": float(value - compared)}
            for run, values in zip(answers.runs, rows, strict=True)
            for name, value, compared in zip(classes, values, base, strict=True)
        ]
    )
    st.altair_chart(charts.recall_chart(table), alt="Recall of each class by each norm")
    st.caption(
        "Recall: the share of a class's test images that a norm recognises. "
        f"Colour: more (green) or less (purple) than {reference}."
    )


def show_images(run: Run, split: "Split", row: int, positions: np.ndarray, target: int | None, key: str) -> str | None:
    """A row of images with their heatmaps, for one class or, without, for the predicted one; the clicked one's id."""
    targets = answers.predicted[row, positions] if target is None else np.full(len(positions), target)
    columns = len(positions)
    return show_gallery(
        [tile(split, row, p) for p in positions],
        sheet(run, positions.tolist(), columns, targets.tolist(), *astuple(settings)),
        columns=columns,
        key=key,
        tile_size=84,
        pixelated=run.card.input.height <= 48,
        label="Images with heatmaps",
    )


def tile(split: "Split", row: int, position: int) -> Tile:
    """The caption of one image."""
    seen, sure = classes[answers.predicted[row, position]], f"{answers.confidence[row, position]:.0%} sure"
    return Tile(
        id=split.ids[position],
        title=seen,
        lines=(sure,),
        tone="wrong" if answers.wrong[row, position] else "right",
        description=f"{split.ids[position]}: predicted {seen}, {sure}",
        colour=MARKS[runs[row].card.norm.name].colour,
    )


def show_norm(run: Run, split: "Split", row: int, label: int, target: int | None) -> None:
    """What one norm recognises and what it misses of the class."""
    of_class = answers.labels == label
    wrong, total = int((answers.wrong[row] & of_class).sum()), int(of_class.sum())
    share = f" ({1 - wrong / total:.0%})" if total else ""
    st.subheader(answers.runs[row], divider="gray")
    headings = (f"**{total - wrong} of {total} recognised**{share}", f"**{wrong} missed**")
    for column, heading, is_wrong in zip(st.columns(2, gap="medium"), headings, (False, True), strict=True):
        with column:
            st.markdown(heading)
            positions = sample(answers, row, label, is_wrong)
            if not len(positions):
                st.caption("No such image.")
            elif clicked := show_images(run, split, row, positions, target, f"{run.key}-{is_wrong}"):
                open_failure(answers.runs[row], clicked)


def open_failure(run: str, image: str) -> None:
    """Opens an image on the Failures page, through every norm."""
    # The selectors beside every page put themselves into the URL again; Streamlit refuses to be given them.
    st.switch_page("explorer/pages/failures.py", query_params={"run": run, "image": image})


def show_means(label: int) -> None:
    """The mean heatmap of the class over right and over wrong images, one pair per norm."""
    st.subheader("On average")
    st.caption(
        f"The mean heatmap for {classes[label]} over its test images that a norm recognises, and over those it misses. "
        "Differences show whether misses come from looking elsewhere."
    )
    with st.container(horizontal=True, gap="medium"):
        for row, run in enumerate(runs):
            for is_wrong, word in ((False, "recognised"), (True, "missed")):
                positions = np.flatnonzero((answers.labels == label) & (answers.wrong[row] == is_wrong))
                if not len(positions):
                    continue
                mean = mean_heatmap(run, positions.tolist(), label)
                with st.container(width=132):
                    caption = f"{len(positions)} {word}"
                    st.image(
                        pictures.enlarge(pictures.colours(mean), 264),
                        output_format="PNG",
                        width=132,
                        alt=f"{answers.runs[row]}, mean heatmap over {caption}",
                    )
                    st.caption(f"**{answers.runs[row]}**  \n{caption}")


def show_agreement(label: int, reference: str) -> None:
    """How alike the maps of every two norms are, against how alike each norm's are to its own of mirrored images."""
    st.subheader("Do they look at the same places?")
    positions = np.flatnonzero(answers.labels == label)
    if not len(positions):
        st.caption("No test image is of this class.")
        return
    positions = positions[np.linspace(0, len(positions) - 1, min(MOST_COMPARED, len(positions))).round().astype(int)]
    measure = st.segmented_control(
        "Measure", MEASURES, default="Rank correlation", required=True, key="measure", bind="query-params"
    )
    kinds = {
        word: {
            name: raw_maps(run, positions.tolist(), label, word == "mirrored")
            for name, run in zip(answers.runs, runs, strict=True)
        }
        for word in ("maps", "mirrored")
    }
    table = compare_all_maps(kinds["maps"], kinds["mirrored"], MEASURES[measure or "Rank correlation"])
    st.markdown(maps_verdict(table, reference))
    st.altair_chart(charts.agreement_chart(table, answers.runs), alt="Agreement of the heatmaps of every two norms")
    st.caption(
        f"Mean over {len(positions)} test images of {classes[label]}, each map for that class. Rank correlation: "
        "Spearman's over the pixels of two maps, 1 if they rank them alike. Overlap: of the pixels among the hottest "
        "fifth of either map, the share that is so in both. Framed: a norm with itself on the mirrored image, mapped "
        "back; no more agreement than that can be asked of two norms. Star: the row agrees reliably less with the "
        "column than with itself (95 % interval over images). Choose all seeds on the left, where there are several, "
        "to see what another training alone changes."
    )


chosen = selection()
answers = answers_of(chosen)
runs = [chosen.run(label) for label in answers.runs]
classes = runs[0].card.classes
st.title("Where does each norm look?")
left, middle, right, last = st.columns(4, vertical_alignment="bottom")
name = left.selectbox("Class", classes, key="class", bind="query-params") or classes[0]
explained = middle.selectbox(
    "Heatmap for",
    (PREDICTED, TRUE),
    key="target",
    bind="query-params",
    help="A heatmap shows what in the image speaks for one class. For missed images the two differ.",
)
default = answers.runs.index("batch") if "batch" in answers.runs else 0
reference = right.selectbox("Compared with", answers.runs, index=default, key="reference", bind="query-params")
with last:
    settings = choose_heatmap_settings(runs[0])
show_recall(answers, reference or answers.runs[default])
split = images_of(runs[0])
if split is not None:
    st.caption(
        f"Images whose true class is **{name}**: the {PER_NORM} most confident right and wrong answers of each norm. "
        f"{say_how(settings, runs[0])} Click one to see it large, through every norm."
    )
    show_legend()
    label = classes.index(name)
    for row, run in enumerate(runs):
        show_norm(run, split, row, label, label if explained == TRUE else None)
    if st.toggle(
        "Agreement of heatmaps", key="agreement", bind="query-params", help="Takes some seconds the first time."
    ):
        show_agreement(label, reference or answers.runs[default])
    if st.toggle("Average heatmaps", key="means", bind="query-params", help="Takes some seconds the first time."):
        show_means(label)
