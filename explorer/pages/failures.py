"""What a run gets wrong: its misclassified test images, filtered and sorted; a click opens one large."""

import numpy as np
import streamlit as st

from explorer import images as pictures
from explorer.pages.gallery import Tile, show_gallery
from explorer.runs import Predictions, Run
from explorer.session import heatmaps, images_of, predictions, selection

PER_PAGE = 24
ANY = "any class"
ORDERS = ("most confident first", "least confident first", "in the order of the data set")


def first_page() -> None:
    """Goes back to page 1: with another filter the old page number means nothing."""
    st.session_state["page"] = 1


def select_filters(classes: tuple[str, ...]) -> tuple[str, str, str]:
    """The chosen true class, predicted class and order."""
    true, predicted, order = st.columns(3)
    options = [ANY, *classes]
    bound = {"bind": "query-params", "on_change": first_page}
    return (
        true.selectbox("True class", options, key="true", **bound),
        predicted.selectbox("Predicted class", options, key="predicted", **bound),
        order.selectbox("Order", ORDERS, key="order", **bound),
    )


def failures(found: Predictions, classes: tuple[str, ...], true: str, predicted: str, order: str) -> np.ndarray:
    """Positions in the test split of the misclassified images that pass the filters, in order."""
    keep = found.wrong
    if true != ANY:
        keep = keep & (found.labels == classes.index(true))
    if predicted != ANY:
        keep = keep & (found.predicted == classes.index(predicted))
    positions = np.flatnonzero(keep)
    if order == ORDERS[2]:
        return positions
    ranked = positions[np.argsort(found.confidence[positions], kind="stable")]
    return ranked[::-1] if order == ORDERS[0] else ranked


def tile(found: Predictions, classes: tuple[str, ...], position: int) -> Tile:
    """The caption of one misclassified image."""
    true, seen = classes[found.labels[position]], classes[found.predicted[position]]
    confidence = f"{found.confidence[position]:.0%} sure"
    return Tile(
        id=found.ids[position],
        title=f"seen as {seen}",
        lines=(f"is {true}", confidence),
        tone="wrong",
        description=f"{found.ids[position]}: predicted {seen}, truly {true}, {confidence}",
    )


def show_grid(run: Run, found: Predictions, positions: np.ndarray, with_heatmaps: bool) -> None:
    """Draws one page of failures; a click puts the image's id in the URL, which opens it."""
    split = images_of(run)
    if split is None:
        return
    if with_heatmaps:
        maps = heatmaps(run, positions.tolist(), found.predicted[positions].tolist())
        sheets = [pictures.overlay(split.images[p], m) for p, m in zip(positions, maps, strict=True)]
    else:
        sheets = [pictures.to_pixels(split.images[p]) for p in positions]
    columns = min(6, len(sheets))
    clicked = show_gallery(
        [tile(found, run.card.classes, p) for p in positions],
        pictures.png_bytes(pictures.contact_sheet(sheets, columns)),
        columns=columns,
        key="failures",
        tile_size=132,
        selected=st.query_params.get("image"),
        pixelated=run.card.input.height <= 48,
        label="Misclassified test images",
    )
    if clicked:
        st.query_params["image"] = clicked
        show_image(run, clicked)
    elif (image := st.query_params.get("image")) in found.ids:
        show_image(run, image)


def close_image() -> None:
    """Takes the image out of the URL."""
    st.query_params.pop("image", None)


@st.dialog("Misclassified image", width="large", on_dismiss=close_image)
def show_image(run: Run, image: str) -> None:
    """The image large, with the heatmaps of the predicted and of the true class beside it."""
    found, split, classes = predictions(run), images_of(run), run.card.classes
    if split is None:
        return
    position = found.ids.index(image)
    true, seen = int(found.labels[position]), int(found.predicted[position])
    probabilities = found.probabilities[position]
    maps = heatmaps(run, (position, position), (seen, true))
    picture = split.images[position]
    sheets = [pictures.to_pixels(picture), *(pictures.overlay(picture, m) for m in maps)]
    captions = [
        f"**The image.** True class: {classes[true]}",
        f"**Why {classes[seen]}?** Predicted, {probabilities[seen]:.1%} sure",
        f"**Where is {classes[true]}?** The true class, given {probabilities[true]:.1%}",
    ]
    for column, pixels, caption in zip(st.columns(3), sheets, captions, strict=True):
        column.image(pictures.enlarge(pixels, 384), output_format="PNG", width="stretch", alt=caption)
        column.markdown(caption)
    facts = dict(split.facts.iloc[position].items())
    details = {"image": image, "norm": run.card.norm.name, "stage": model_stage(run), **facts}
    st.caption(
        " · ".join(
            f"{key}: {value:.2g}" if isinstance(value, float) else f"{key}: {value}" for key, value in details.items()
        )
    )


def model_stage(run: Run) -> str:
    """The stage the heatmaps explain."""
    from explorer.session import model

    return model(run).cam_stage


chosen = selection()
st.title("What does each norm get wrong?")
label = st.pills(
    "Norm",
    [chosen.label(run) for run in chosen.runs],
    default=chosen.label(chosen.runs[0]),
    required=True,
    key="run",
    bind="query-params",
    on_change=first_page,
)
run = chosen.run(label or chosen.label(chosen.runs[0]))
found, classes = predictions(run), run.card.classes
true, predicted, order = select_filters(classes)
positions = failures(found, classes, true, predicted, order)
total = int(found.wrong.sum())

left, right = st.columns([3, 1], vertical_alignment="center")
left.markdown(
    f"**{total} of {len(found.ids):,}** test images are misclassified"
    + (f"; **{len(positions)}** of them match the filters." if len(positions) != total else ".")
)
with_heatmaps = right.toggle(
    "Heatmaps", key="heatmaps", bind="query-params", help="Where the predicted class was seen."
)

if not len(positions):
    st.info("No misclassified image matches these filters. Set both classes to “any class” to see all.")
else:
    pages = -(-len(positions) // PER_PAGE)
    number = st.session_state.get("page", 1)
    number = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
    show_grid(run, found, positions[(number - 1) * PER_PAGE : number * PER_PAGE], with_heatmaps)
