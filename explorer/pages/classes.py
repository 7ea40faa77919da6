"""Where each norm looks in the images of one class, in those it gets right and in those it gets wrong."""

import numpy as np
import streamlit as st

from explorer import images as pictures
from explorer.pages.gallery import Tile, show_gallery
from explorer.runs import Predictions, Run
from explorer.session import heatmaps, images_of, predictions, selection

PER_NORM = 4


def sample(found: Predictions, label: int, wrong: bool) -> np.ndarray:
    """Up to PER_NORM positions of images of a class, the most confident ones that are right, or wrong."""
    positions = np.flatnonzero((found.labels == label) & (found.wrong == wrong))
    return positions[np.argsort(-found.confidence[positions], kind="stable")][:PER_NORM]


def show_images(run: Run, found: Predictions, positions: np.ndarray, target: int | None, key: str) -> None:
    """A row of images with their heatmaps, for one target class or, without, for the predicted one."""
    split, classes = images_of(run), run.card.classes
    if split is None or not len(positions):
        return
    targets = found.predicted[positions] if target is None else np.full(len(positions), target)
    maps = heatmaps(run, positions.tolist(), targets.tolist())
    sheets = [pictures.overlay(split.images[p], m) for p, m in zip(positions, maps, strict=True)]
    tiles = [
        Tile(
            id=found.ids[p],
            title=classes[found.predicted[p]],
            lines=(f"{found.confidence[p]:.0%} sure",),
            tone="wrong" if found.wrong[p] else "right",
            description=f"{found.ids[p]}: predicted {classes[found.predicted[p]]}, {found.confidence[p]:.0%} sure",
        )
        for p in positions
    ]
    clicked = show_gallery(
        tiles,
        pictures.png_bytes(pictures.contact_sheet(sheets, len(sheets))),
        columns=len(sheets),
        key=key,
        tile_size=104,
        pixelated=run.card.input.height <= 48,
        label="Images with heatmaps",
    )
    if clicked and clicked in found.ids and found.wrong[found.ids.index(clicked)]:
        # The selectors beside every page put themselves into the URL again; Streamlit refuses to be given them.
        st.switch_page("explorer/pages/failures.py", query_params={"run": chosen.label(run), "image": clicked})


chosen = selection()
classes = chosen.runs[0].card.classes
st.title("Where does each norm look?")
left, right = st.columns(2)
name = left.selectbox("Class", classes, key="class", bind="query-params")
explained = right.selectbox(
    "Heatmap for",
    ("the predicted class", "the true class"),
    key="target",
    bind="query-params",
    help="A heatmap shows what in the image speaks for one class. For wrong images the two differ.",
)
label = classes.index(name)
target = None if explained == "the predicted class" else label
st.caption(
    f"Images whose true class is **{name}**: the {PER_NORM} most confident right and wrong predictions of each norm. "
    "Bright is where the norm saw evidence. Click a wrong one to see it large."
)

for run in chosen.runs:
    found = predictions(run)
    of_class = found.labels == label
    wrong = int((found.wrong & of_class).sum())
    total = int(of_class.sum())
    st.subheader(chosen.label(run), divider="gray")
    for column, is_wrong in zip(st.columns(2, gap="medium"), (False, True), strict=True):
        with column:
            st.markdown(
                f"**{wrong} missed**"
                if is_wrong
                else f"**{total - wrong} of {total} recognised** ({1 - wrong / total:.0%})"
            )
            positions = sample(found, label, is_wrong)
            if len(positions):
                show_images(run, found, positions, target, key=f"{run.key}-{is_wrong}")
            else:
                st.caption("No such image.")
