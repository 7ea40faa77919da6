"""Images of your own, every variant: what each predicts and where each looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer import images as pictures
from explorer.app import urlstate
from explorer.app.caches import comparison_here, explained, model_of, read_upload, test_images
from explorer.app.charts.your_image import likeliest_chart, probability_chart
from explorer.app.frame import fragment
from explorer.app.gallery import Tile, show_gallery
from explorer.app.heatmap_settings import show_legend
from explorer.app.image_dialog import failing_seeds
from explorer.app.notices import images_of
from explorer.app.selection import View, current_view
from explorer.app.text import plain
from explorer.app.uploads import Upload, show_uploader
from explorer.heatmaps.bundle import Answer, Subject, bundle_files, zip_bytes
from explorer.heatmaps.explanation import SCALES, Explained, scaled
from explorer.predictions.votes import likeliest_classes, votes_sentence
from explorer.runs import DamagedRun, Run
from explorer.words import percent

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from torch import Tensor

    from explorer.datasets import Split

PREDICTED = -1  # the target that is whatever class each model predicts
SAMPLES = 12
MOST_CLASSES, MOST_BARS = 20, 10  # whose probabilities are shown, of several models and of one
MOST_LINES = 3
WIDTH = 200  # the least of a picture on the page, in CSS pixels
OWN, SHARED = SCALES
SCALE_TITLES = {OWN: "each map its own", SHARED: "one for all"}
PEAK = "Peak: the maximum of a map, in units of its model's logits."
SCALE_WORDS = {
    OWN: f"Each map is stretched to its own maximum: colours say where, not how much. {PEAK}",
    SHARED: "The maps of an image share one scale, set by the strongest: a map ten times weaker looks ten times "
    f"weaker. {PEAK}",
}


@dataclass(frozen=True)
class Models:
    """The models that are asked: the run and the colour of each variant by its label, and what a variant is."""

    runs: dict[str, Run]
    colours: dict[str, str]
    noun: str

    @property
    def several(self) -> bool:
        """Whether there is anything to compare."""
        return len(self.runs) > 1

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of each model's input."""
        return tuple((run.spec.input.height, run.spec.input.width) for run in self.runs.values())

    @property
    def classes(self) -> tuple[str, ...]:
        """What they tell apart, the same for all."""
        return next(iter(self.runs.values())).card.classes


@dataclass(frozen=True)
class Shown:
    """An image at the input size of each model, uint8 (3, H, W); `sha256` is that of what `hashed` names."""

    name: str
    sha256: str
    hashed: str
    images: tuple["Tensor", ...]
    truth: str | None = None


@dataclass(frozen=True)
class Look:
    """On which of SCALES maps are drawn, and the opacity of the heat in [0, 1]."""

    scale: str
    opacity: float


def show_page() -> None:
    """Draws the page."""
    view = current_view()
    asked = f"each {plain(view.noun)}" if len(view.labels) > 1 else "the model"
    st.title(f"What does {asked} see in your image?")
    left, right = st.columns(2, gap="medium")
    sample, details = right.container(), right.container(horizontal=True)
    models = choose_models(view, details)
    if not models.runs:
        st.info("None of these runs has weights that load, so there is no model to ask.", icon=":material/info:")
        return
    with left:
        uploads = show_uploader()
    with sample:
        chosen = choose_sample(models, bool(uploads))
        if chosen is not None:
            show_failing_seeds(view, chosen.name)
    images = read_uploads(uploads, models.sizes) if uploads else [chosen] if chosen else []
    target = choose_target(models, details)
    if images:
        show_images(models, images, target)
    else:
        st.info("Upload an image to see what is predicted for it, and why.", icon=":material/upload:")


def choose_models(view: View, place: "DeltaGenerator") -> Models:
    """The run of each variant at the seed chosen there, without those that cannot be asked: these get a line."""
    seeds = view.grouping.seeds
    seed = urlstate.select(place.selectbox, "seed", "Seed", seeds, width=120) if seeds else None
    runs: dict[str, Run] = {}
    lines = []
    for label, run in view.grouping.at_seed(seed).items():
        problem = what_hinders(run, next(iter(runs.values()), run))
        if problem:
            lines.append(f"{plain(label)} is left out: {plain(problem)}")
        else:
            runs[label] = run
    if lines:
        more = [f"{len(lines) - MOST_LINES} more are left out."] if len(lines) > MOST_LINES else []
        st.warning("  \n".join([*lines[:MOST_LINES], *more]), icon=":material/folder_off:")
    return Models(runs, {label: view.marks[label].colour for label in runs}, view.noun)


def what_hinders(run: Run, first: Run) -> str | None:
    """Why a run cannot be asked beside the first one, None if it can."""
    try:
        model_of(run)
    except DamagedRun as error:
        return str(error)
    if run.card.classes != first.card.classes:
        return f"{run.path.name} knows other classes than {first.path.name}"
    return None


def choose_sample(models: Models, unused: bool) -> Shown | None:
    """The chosen test image; none where the images are not here or uploads stand in their place."""
    splits = splits_of(models)
    if splits is None:
        return None
    split = splits[0]
    step = max(1, len(split.ids) // SAMPLES)
    places = {split.ids[place]: place for place in range(0, len(split.ids), step)[:SAMPLES]}
    truths = {name: models.classes[int(split.labels[place])] for name, place in places.items()}
    name = urlstate.select(
        st.selectbox,
        "sample",
        "Or a test image",
        list(places),
        disabled=unused,
        format_func=lambda name: f"{truths[name]}, {name}",
    )
    if unused:
        st.caption("Remove your images to choose a test image.")
        return None
    digest = sha256(pictures.to_pixels(split.images[places[name]]).tobytes()).hexdigest()
    images = tuple(own.images[places[name]] for own in splits)
    return Shown(name, digest, "the pixels (H, W, 3) of the test image", images, truths[name])


def splits_of(models: Models) -> "list[Split] | None":
    """The test images at each model's input size, or None; says what there is to say of them."""
    runs = list(models.runs.values())
    images_of(runs[0])
    splits = [test_images(run).split for run in runs]
    return None if any(split is None for split in splits) else [split for split in splits if split is not None]


def show_failing_seeds(view: View, image: str) -> None:
    """In how many of its seeds each variant fails on a test image, where variants have several."""
    compared = comparison_here(view.grouping) if view.grouping.seeds else None
    position = None if compared is None else compared.comparison.position(image)
    if compared is not None and position is not None:
        st.caption(plain(failing_seeds(compared.comparison, position)))


def read_uploads(uploads: Sequence[Upload], sizes: tuple[tuple[int, int], ...]) -> list[Shown]:
    """The uploads that are pictures, after a line for each that is not."""
    shown, problems = [], []
    for upload in uploads:
        try:
            digest, images = read_upload(upload.file_id, sizes, upload.data)
        except pictures.UnreadableImage as error:
            problems.append(f"{upload.name}: {error}")
        else:
            shown.append(Shown(upload.name, digest, "the file", images))
    if problems:
        one = len(problems) == 1
        st.error(
            f"{'This file' if one else f'These {len(problems)} files'} cannot be used.", icon=":material/broken_image:"
        )
        for problem in problems:
            st.text(problem)
    return shown


def choose_target(models: Models, place: "DeltaGenerator") -> int | None:
    """The class to explain, None for whatever class each model predicts."""
    target = urlstate.select(
        place.selectbox,
        "explained",
        "Heatmap for",
        range(PREDICTED, len(models.classes)),
        write=lambda index: "" if index == PREDICTED else models.classes[index],  # no class is called ""
        format_func=lambda index: "the predicted class" if index == PREDICTED else models.classes[index],
    )
    return None if target == PREDICTED else target


def choose_look(models: Models) -> Look:
    """The opacity, and the scale where several maps could share one."""
    scale = OWN
    if models.several:
        scale = urlstate.segments(
            st.segmented_control, "map_scale", "Scale of the maps", SCALES, format_func=SCALE_TITLES.__getitem__
        )
    opacity = urlstate.number(st.slider, "opacity", "Opacity", 0, 100, 50, step=5, format="%d %%", width=240)
    return Look(scale, opacity / 100)


def show_images(models: Models, images: Sequence[Shown], target: int | None) -> None:
    """How the maps look, the download, and a block for each image."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        look, download = choose_look(models), st.container(width="content")
    show_legend()
    st.caption(SCALE_WORDS[look.scale])
    with st.spinner("Computing heatmaps"):
        answers = [answers_to(shown, models, target) for shown in images]
    with download:
        show_save(models, images, answers, look)
    for place, (shown, found) in enumerate(zip(images, answers, strict=True)):
        with st.container(border=True):
            st.text(shown.name)
            st.markdown(f"#### {plain(verdict(models, found))}")
            if models.several:
                show_maps(models, shown, found, look, f"image-{place}")
                show_probabilities(models, found, f"sure-{place}")
            else:
                left, right = st.columns(2, vertical_alignment="center")
                with left:
                    show_maps(models, shown, found, look, f"image-{place}")
                right.altair_chart(likeliest_chart(likeliest(models, found, MOST_BARS)), alt="Its likeliest classes")
    st.caption(
        f"A model answers with one of its {len(models.classes):,} classes whatever it is shown; it knows only "
        f"{plain(', '.join(models.classes[:6]))}{' and more' if len(models.classes) > 6 else ''}. "
        "The same from the command line: `python -m explorer heatmap IMAGE --runs RUN --out DIR`."
    )


def answers_to(shown: Shown, models: Models, target: int | None) -> list[Explained]:
    """What each model says of an image."""
    pairs = zip(models.runs.values(), shown.images, strict=True)
    return [explained(run, shown.sha256, target, image) for run, image in pairs]


def show_maps(models: Models, shown: Shown, found: Sequence[Explained], look: Look, key: str) -> None:
    """The image and where each model looks in it."""
    image = max(shown.images, key=lambda image: image.shape[1])
    heats = [pictures.overlay(image, heat, look.opacity) for heat in scaled(found, look.scale)]
    answers = [answer_tile(models, label, one, shown.truth) for label, one in zip(models.runs, found, strict=True)]
    show_gallery(
        [image_tile(shown, image), *answers],
        pictures.jpeg_bytes(pictures.contact_sheet([pictures.to_pixels(image), *heats], 1 + len(heats))),
        columns=1 + len(heats),
        key=key,
        tile_size=WIDTH,
        clickable=False,
        pixelated=image.shape[1] <= 48,
        label=f"{shown.name} and where each {models.noun} looks",
    )


def verdict(models: Models, found: Sequence[Explained]) -> str:
    """What is predicted, in a sentence."""
    if models.several:
        return votes_sentence([one.predicted for one in found], list(models.runs), models.classes, models.noun)
    (only,) = found
    return f"Predicted {models.classes[only.predicted]}, {percent(only.probabilities[only.predicted], 0)}"


def image_tile(shown: Shown, image: "Tensor") -> Tile:
    """The caption of the image itself."""
    lines = (f"{image.shape[2]} × {image.shape[1]} pixels", *([f"true {shown.truth}"] if shown.truth else []))
    return Tile("image", "Image", lines, description=f"{shown.name}: {', '.join(lines)}")


def answer_tile(models: Models, label: str, one: Explained, truth: str | None) -> Tile:
    """The caption of one run's map: what it predicts, how sure it is, how strong its map is or why it is blank."""
    predicted = models.classes[one.predicted]
    lines = [f"{predicted} {percent(one.probabilities[one.predicted], 0)}"]
    if one.target != one.predicted:
        lines.append(f"{models.classes[one.target]} {percent(one.probabilities[one.target], 0)}")
    lines.append(one.blank or f"peak {one.raw_maximum:.2g}")
    return Tile(
        id=models.runs[label].key,
        title=label,
        lines=tuple(lines),
        tone="plain" if truth is None else "right" if predicted == truth else "wrong",
        colour=models.colours[label],
        description=f"{label}, stage {one.stage}: {', '.join(lines)}",
    )


@fragment
def show_probabilities(models: Models, found: Sequence[Explained], key: str) -> None:
    """The probabilities of the classes, drawn when they are asked for."""
    with st.expander(f"How sure each {plain(models.noun)} is of each class", key=key, on_change="rerun") as expander:
        if not expander.open:
            return
        shown = likeliest(models, found, MOST_CLASSES)
        st.altair_chart(probability_chart(shown), alt=f"Probability of each class by {models.noun}")
        if len(models.classes) > MOST_CLASSES:
            st.caption(f"The {MOST_CLASSES} likeliest of {len(models.classes):,} classes.")


def likeliest(models: Models, found: Sequence[Explained], most: int) -> pd.DataFrame:
    """Columns `variant`, `class` and `probability`, of up to so many classes."""
    chosen = likeliest_classes(np.stack([one.probabilities for one in found]), most)
    rows = [
        (label, models.classes[index], float(one.probabilities[index]))
        for label, one in zip(models.runs, found, strict=True)
        for index in chosen
    ]
    return pd.DataFrame(rows, columns=["variant", "class", "probability"])


def show_save(models: Models, images: Sequence[Shown], answers: Sequence[Sequence[Explained]], look: Look) -> None:
    """The download of all that is shown; it is built when asked for."""

    def build() -> bytes:
        cards = [run.card.to_json() | {"name": run.path.name} for run in models.runs.values()]  # folders differ
        subjects = [
            Subject(s.name, s.sha256, s.hashed, [Answer(*one) for one in zip(cards, s.images, found, strict=True)])
            for s, found in zip(images, answers, strict=True)
        ]
        created = datetime.now(UTC).isoformat(timespec="seconds")
        return zip_bytes(bundle_files(subjects, scale=look.scale, opacity=look.opacity, created=created))

    st.download_button(
        "Save bundle",
        build,
        "normscope-heatmaps.zip",
        "application/zip",
        key="bundle",
        on_click="ignore",
        icon=":material/folder_zip:",
        help="A ZIP with every overlay as PNG, every map as NPY, and manifest.json, which says what made them.",
    )


if __name__ == "__main__":
    show_page()
