"""Images of your own, every norm: what each predicts and where each looks."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from explorer import images as pictures
from explorer.app import charts
from explorer.app.gallery import Tile, show_gallery
from explorer.app.heatmap_settings import show_legend
from explorer.app.session import dataset, explain, images_of, read_upload, selection
from explorer.heatmaps.bundle import Answer, Subject, bundle_files, zip_bytes
from explorer.heatmaps.explanation import SCALES, Explained, scaled
from explorer.marks import MARKS
from explorer.runs import Run

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.runtime.uploaded_file_manager import UploadedFile
    from torch import Tensor

PREDICTED = "the class each norm predicts"
SAMPLES = 12
MOST_FILES = 12
WIDTH = 168  # the least of a picture on the page, in CSS pixels
LIMITS = (
    f"PNG, JPEG or WEBP, up to 20 MB and 40 megapixels each, {MOST_FILES} at a time. The centre square is cut out and "
    "scaled to what the models eat. Files are read where this app runs and not kept."
)
SCALE_TITLES = {"own": "each map its own", "shared": "one for all norms"}
SCALE_WORDS = {
    "own": "Each map is stretched to its own maximum, so colours say where, not how much: a map ten times weaker looks "
    "just as bright. Compare the peaks, the maps' raw maxima, or choose one scale for all norms.",
    "shared": "All maps of an image share one scale, set by the strongest: a map ten times weaker looks ten times "
    "weaker. Peaks, the maps' raw maxima, are in units of each model's own logits.",
}


@dataclass(frozen=True)
class Shown:
    """An image at the size each run eats, uint8 (3, H, W); `sha256` is that of what `hashed` names."""

    name: str
    sha256: str
    hashed: str
    images: tuple["Tensor", ...]
    truth: str | None = None


def choose_images() -> list[Shown]:
    """The readable uploads, or else the chosen test image."""
    left, right = st.columns(2, gap="medium")
    files = left.file_uploader(
        "Your images", type=["png", "jpg", "jpeg", "webp"], accept_multiple_files=True, key="upload"
    )
    left.caption(LIMITS)
    sample = choose_sample(right, bool(files))
    if files:
        return read_uploads(files)
    return [sample] if sample else []


def choose_sample(place: "DeltaGenerator", unused: bool) -> Shown | None:
    """The chosen test image; none where the pictures are not here or uploads stand in its place."""
    with place:
        split = images_of(chosen.runs[0])
        if split is None:
            return None
        step = max(1, len(split.ids) // SAMPLES)
        names = {f"{classes[split.labels[i]]}, {split.ids[i]}": i for i in range(0, len(split.ids), step)[:SAMPLES]}
        name = st.selectbox("Or a test image", list(names), key="sample", bind="query-params", disabled=unused)
        if unused:
            st.caption("Remove your images to choose a test image.")
            return None
    i = names[name]
    images = tuple(dataset(run).splits["test"].images[i] for run in chosen.runs)
    digest = sha256(pictures.to_pixels(split.images[i]).tobytes()).hexdigest()
    return Shown(split.ids[i], digest, "the pixels (H, W, 3) of the test image", images, classes[split.labels[i]])


def read_uploads(files: "Sequence[UploadedFile]") -> list[Shown]:
    """The uploads that are pictures, after a line for each that is not."""
    shown, problems = [], []
    for file in files[:MOST_FILES]:
        try:
            digest, images = read_upload(file.file_id, tuple(map(size_of, chosen.runs)), file.getvalue())
        except pictures.UnreadableImage as error:
            problems.append(f"{file.name}: {error}")
        else:
            shown.append(Shown(file.name, digest, "the file", images))
    if problems:
        one = len(problems) == 1
        st.error(
            f"{'This file' if one else f'These {len(problems)} files'} cannot be used.", icon=":material/broken_image:"
        )
        for problem in problems:
            st.text(problem)
    if len(files) > MOST_FILES:
        st.warning(f"The first {MOST_FILES} of {len(files)} files are shown; remove some to see the others.")
    return shown


def size_of(run: Run) -> tuple[int, int]:
    """Height and width of what a run's model eats."""
    return run.card.input.height, run.card.input.width


def choose_view() -> tuple[int | None, str, float]:
    """The class to explain (none: the predicted one), the scale and the opacity."""
    left, middle, right = st.columns([3, 3, 2], gap="medium")
    target = left.selectbox("Heatmap for", [PREDICTED, *classes], key="explained", bind="query-params")
    scale = middle.segmented_control(
        "Scale of the maps",
        SCALES,
        default=SCALES[0],
        required=True,
        format_func=SCALE_TITLES.__getitem__,
        key="map_scale",
        bind="query-params",
    )
    opacity = right.slider("Opacity", 0, 100, 50, 5, format="%d %%", key="opacity", bind="query-params")
    return None if target == PREDICTED else classes.index(target), scale or SCALES[0], opacity / 100


def show_image(shown: Shown, found: list[Explained], scale: str, opacity: float, key: str) -> None:
    """One image's block: name, agreement, the image and where each run looks in it, probabilities."""
    image = max(shown.images, key=lambda image: image.shape[1])
    heats = [pictures.overlay(image, heat, opacity) for heat in scaled(found, scale)]
    answers = [answer_tile(run, one, shown.truth) for run, one in zip(chosen.runs, found, strict=True)]
    with st.container(border=True):
        st.text(shown.name)
        st.markdown(f"#### {agreement([one.predicted for one in found])}")
        show_gallery(
            [image_tile(shown, image), *answers],
            pictures.jpeg_bytes(pictures.contact_sheet([pictures.to_pixels(image), *heats], 1 + len(heats))),
            columns=1 + len(heats),
            key=key,
            tile_size=WIDTH,
            clickable=False,
            pixelated=image.shape[1] <= 48,
            label=f"{shown.name} and where each norm looks",
        )
        with st.expander("How sure each norm is of each class"):
            st.altair_chart(charts.probability_chart(probabilities(found)), alt="Probability of each class by norm")


def image_tile(shown: Shown, image: "Tensor") -> Tile:
    """The caption of the image itself."""
    lines = (f"{image.shape[2]} × {image.shape[1]} pixels", *([f"is {shown.truth}"] if shown.truth else []))
    return Tile("image", "Image", lines, description=f"{shown.name}: {', '.join(lines)}")


def answer_tile(run: Run, one: Explained, truth: str | None) -> Tile:
    """The caption of one run's map: what it predicts, how sure it is, how strong its map is or why it is blank."""
    predicted = classes[one.predicted]
    lines = [f"{predicted} {one.probabilities[one.predicted]:.0%}"]
    if one.target != one.predicted:
        lines.append(f"{classes[one.target]} {one.probabilities[one.target]:.0%}")
    lines.append(one.blank or f"peak {one.raw_maximum:.2g}")
    return Tile(
        id=run.key,
        title=chosen.label(run),
        lines=tuple(lines),
        tone="plain" if truth is None else "right" if predicted == truth else "wrong",
        colour=MARKS[run.card.norm.name].colour,
        description=f"{chosen.label(run)}, stage {one.stage}: {', '.join(lines)}",
    )


def agreement(predicted: list[int]) -> str:
    """Who says what in a sentence, most votes first, as Markdown."""
    runs, counts = chosen.runs, Counter(predicted).most_common()
    who = "norm" if len({run.card.norm.name for run in runs}) == len(runs) else "run"
    if len(counts) == 1:
        named = {1: f"The only {who} here says", 2: f"Both {who}s say"}.get(len(runs), f"All {len(runs)} {who}s say")
        return f"{named} {plain(classes[predicted[0]])}"
    said_by = {index: [] for index, _ in counts}
    for run, index in zip(runs, predicted, strict=True):
        said_by[index].append(chosen.label(run))
    rest = "; ".join(f"{plain(classes[index])} ({', '.join(said_by[index])})" for index, _ in counts[1:])
    index, votes = counts[0]
    return f"{votes} of {len(runs)} {who}s {'say' if votes > 1 else 'says'} {plain(classes[index])}, others {rest}"


def probabilities(found: list[Explained]) -> pd.DataFrame:
    """Columns run, class, probability."""
    return pd.DataFrame(
        [
            {"run": chosen.label(run), "class": name, "probability": float(p)}
            for run, one in zip(chosen.runs, found, strict=True)
            for name, p in zip(classes, one.probabilities, strict=True)
        ]
    )


def show_save(subjects: list[Subject], scale: str, opacity: float) -> None:
    """The download of all that is shown; it is built when asked for."""

    def build() -> bytes:
        created = datetime.now(UTC).isoformat(timespec="seconds")
        return zip_bytes(bundle_files(subjects, scale=scale, opacity=opacity, created=created))

    st.download_button(
        "Save bundle",
        build,
        "normscope-heatmaps.zip",
        "application/zip",
        key="bundle",
        on_click="ignore",
        icon=":material/folder_zip:",
        width="stretch",
        help="A ZIP with every overlay as PNG, every map as NPY, and manifest.json, which says what made them.",
    )


def plain(text: str) -> str:
    """The text with what Markdown would read as marks escaped."""
    return re.sub(r"([\\`*_{}\[\]#$~<>|])", r"\\\1", text)


chosen = selection()
classes = chosen.runs[0].card.classes
st.title("What does each norm see in your image?")
images = choose_images()
target, scale, opacity = choose_view()
if not images:
    st.info("Upload an image to see what each norm predicts and where it looks.", icon=":material/upload:")
else:
    left, right = st.columns([4, 1], vertical_alignment="center")
    with left:
        show_legend()
        st.caption(SCALE_WORDS[scale])
    answers = [
        [explain(run, image, shown.sha256, target) for run, image in zip(chosen.runs, shown.images, strict=True)]
        for shown in images
    ]
    cards = [run.card.to_json() for run in chosen.runs]
    with right:
        subjects = [
            Subject(s.name, s.sha256, s.hashed, [Answer(*one) for one in zip(cards, s.images, found, strict=True)])
            for s, found in zip(images, answers, strict=True)
        ]
        show_save(subjects, scale, opacity)
    for number, (shown, found) in enumerate(zip(images, answers, strict=True)):
        show_image(shown, found, scale, opacity, key=f"image-{number}")
    st.caption(
        f"A model answers with one of its {len(classes)} classes whatever it is shown; it knows only "
        f"{plain(', '.join(classes[:6]))}{' and more' if len(classes) > 6 else ''}. "
        "The same from the command line: `python -m explorer heatmap IMAGE --runs RUN --out DIR`."
    )
