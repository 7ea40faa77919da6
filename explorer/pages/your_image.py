"""One image, every norm: what each predicts and where each looks."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from explorer import charts
from explorer import images as pictures
from explorer.session import Explained, explain, images_of, selection

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile
    from torch import Tensor

PREDICTED = "the class each norm predicts"
SAMPLES = 12
LIMITS = "PNG, JPEG or WEBP, up to 20 MB and 40 megapixels. It is read where this app runs and not kept."


def read_upload(file: "UploadedFile") -> "Tensor | None":
    """The uploaded image at the models' size, or None after a line that says what is wrong with it."""
    try:
        picture = pictures.read_image(file.getvalue())
    except pictures.UnreadableImage as error:
        st.error("This file cannot be used.", icon=":material/broken_image:")
        st.text(f"{file.name}: {error}")
        return None
    return pictures.fit(picture, card.input.height, card.input.width)


def choose_image() -> "Tensor | None":
    """The uploaded image or the chosen sample, uint8 (3, H, W)."""
    left, right = st.columns(2, gap="medium")
    file = left.file_uploader("Your image", type=["png", "jpg", "jpeg", "webp"], key="upload")
    left.caption(LIMITS)
    split = images_of(chosen.runs[0])
    if split is None:
        return read_upload(file) if file else None
    step = max(1, len(split.ids) // SAMPLES)
    names = {f"{classes[split.labels[i]]}, {split.ids[i]}": i for i in range(0, step * SAMPLES, step)}
    name = right.selectbox("Or a test image", list(names), key="sample", bind="query-params", disabled=file is not None)
    if file:
        right.caption("Remove your image to choose a test image.")
        return read_upload(file)
    right.caption(f"True class: {classes[split.labels[names[name]]]}")
    return split.images[names[name]]


def show_norms(image: "Tensor", found: list[Explained]) -> None:
    """The image and, for each norm, its heatmap over the image with what it predicts."""
    st.subheader("Where each norm looks")
    with st.container(horizontal=True, gap="medium"):
        show_picture(pictures.to_pixels(image), "**Image**", f"{card.input.width} × {card.input.height} pixels")
        for one in found:
            name = classes[one.target]
            show_picture(
                pictures.overlay(image, one.heatmap),
                f"**{one.label}**",
                f"{classes[one.predicted]}, {one.probabilities[one.predicted]:.0%} sure"
                + ("" if one.target == one.predicted else f"; {name} {one.probabilities[one.target]:.0%}")
                + (f". {one.blank}" if one.blank else ""),
            )


def show_picture(pixels: pictures.Pixels, title: str, caption: str) -> None:
    """A picture of a fixed width with its title above and a line below."""
    with st.container(width=210):
        st.markdown(title)
        st.image(pictures.enlarge(pixels, 384), output_format="PNG", width=210, alt=f"{title.strip('*')}: {caption}")
        st.caption(caption)


chosen = selection()
card = chosen.runs[0].card
classes = card.classes
st.title("What does each norm see in your image?")
image = choose_image()
target = st.selectbox("Heatmap for", [PREDICTED, *classes], key="explained", bind="query-params")
if image is None:
    st.info("Upload an image to see what each norm predicts and where it looks.", icon=":material/upload:")
else:
    found = explain(chosen, image, None if target == PREDICTED else classes.index(target))
    show_norms(image, found)
    st.subheader("How sure each norm is")
    table = pd.DataFrame(
        [
            {"run": one.label, "class": name, "probability": float(p)}
            for one in found
            for name, p in zip(classes, one.probabilities, strict=True)
        ]
    )
    st.altair_chart(charts.probability_chart(table), alt="Probability of each class by norm")
    st.caption(
        f"A model answers with one of its {len(classes)} classes whatever it is shown; it knows only "
        f"{', '.join(classes[:6])}{' and more' if len(classes) > 6 else ''}."
    )
