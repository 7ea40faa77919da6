"""One test image through every variant, in a dialog that the address opens: `?image=ID`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from explorer import images as pictures
from explorer.app import urlstate
from explorer.app.caches import explained_test_image, heatmaps_of, test_images
from explorer.app.frame import in_one_line
from explorer.app.gallery import Tile, show_gallery
from explorer.app.heatmap_settings import HeatmapSettings, say_how, show_legend
from explorer.app.selection import View
from explorer.app.text import plain
from explorer.heatmaps.explanation import Explained, scaled
from explorer.predictions.comparison import Comparison
from explorer.runs import DamagedRun, Run
from explorer.words import listed


@dataclass(frozen=True)
class Opened:
    """What the dialog may show.

    Attributes:
        view: what the sidebar chose.
        each: one run of each variant.
        full: all runs of all variants.
        runs: those of `each`.
        positions: the images that Previous and Next walk through.
        settings: how heatmaps are made; None where there are none.
    """

    view: View
    each: Comparison
    full: Comparison
    runs: tuple[Run, ...]
    positions: np.ndarray
    settings: HeatmapSettings | None


def show_opened(opened: Opened) -> None:
    """The image of the address, if it names one that is here."""
    asked = st.query_params.get("image")
    if asked is None:
        return
    if opened.each.position(asked) is None:
        urlstate.ignore("image", asked)
        urlstate.put("image")
    else:
        show_image(opened)


def close_image() -> None:
    """Takes the image out of the address."""
    urlstate.put("image")


def open_image(image: str) -> None:
    """Puts an image in the address, which opens it."""
    urlstate.put("image", image)


@st.dialog("One image", width="large", on_dismiss=close_image)
def show_image(opened: Opened) -> None:
    """The image of the address: what is known of it, and heatmaps of the predicted and the true class."""
    image = st.query_params.get("image")
    position = None if image is None else opened.each.position(image)
    if image is None or position is None:
        return
    with in_one_line():
        show_facts(opened, image, position)
        if opened.settings is not None:
            show_variants(opened, opened.settings, position)


def show_facts(opened: Opened, image: str, position: int) -> None:
    """The picture, its true class, which variants fail on it and what else is known of it."""
    each, full = opened.each, opened.full
    true = each.classes[each.true[position]]
    picture, facts = st.columns([1, 4], vertical_alignment="center")
    split = max((test_images(run).split for run in opened.runs), key=lambda s: 0 if s is None else s.images.shape[2])
    if split is not None:
        pixels = pictures.enlarge(pictures.to_pixels(split.images[position]), 256)
        picture.image(pictures.png_bytes(pixels), output_format="PNG", width="stretch", alt=f"{image}, {true}")
    with facts:
        st.markdown(f"### {plain(true)}\n\nThe true class. {plain(who_fails_words(each, full, position, opened.view))}")
        known = [] if split is None else [*split.facts.iloc[position].items()]
        st.caption(plain(" · ".join(f"{key}: {value_words(value)}" for key, value in [("image", image), *known])))
        show_steps(opened, position)


def who_fails_words(each: Comparison, full: Comparison, position: int, view: View) -> str:
    """Which variants fail on an image, and in how many of their seeds."""
    if len(each.runs) == 1:
        said = f"Predicted {each.classes[each.predicted[0, position]]}."
    else:
        failing = int(each.wrong[:, position].sum())
        noun = view.noun if len(each.runs) == 1 else f"{view.noun}s"
        said = f"{failing} of {len(each.runs)} {noun} fail on it."
    return f"{said} {failing_seeds(full, position)}".strip()


def failing_seeds(full: Comparison, position: int) -> str:
    """In how many of its seeds each variant fails on an image; empty where each has one run."""
    if len(full.runs) == len(full.variants):
        return ""
    seeds = [
        f"{label} {full.failures[v, position]} of {len(full.replicates(v))}" for v, label in enumerate(full.variants)
    ]
    return f"Seeds that fail: {', '.join(seeds)}."


def value_words(value: object) -> str:
    """A fact of an image as text."""
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def show_steps(opened: Opened, position: int) -> None:
    """Buttons to the previous and the next image of the current filter."""
    order = opened.positions
    places = np.flatnonzero(order == position)
    if not len(places):
        return
    at = int(places[0])
    # Round and round: a button that is disabled under the focus loses it, and Escape no longer reaches the dialog.
    before, after = (opened.each.ids[int(order[i % len(order)])] for i in (at - 1, at + 1))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Previous",
            icon=":material/arrow_back:",
            disabled=len(order) == 1,
            on_click=open_image,
            args=(before,),
            shortcut="Left",
        )
        st.button(
            "Next",
            icon=":material/arrow_forward:",
            disabled=len(order) == 1,
            on_click=open_image,
            args=(after,),
            shortcut="Right",
        )
        st.caption(f"{at + 1:,} of {len(order):,}")


def show_variants(opened: Opened, settings: HeatmapSettings, position: int) -> None:
    """A row of tiles per question: predicted class, true class, and what speaks for one rather than the other."""
    each, first = opened.each, opened.runs[0]
    true = int(each.true[position])
    questions = {
        "predicted": ("Why this answer?", "What speaks for the class that is predicted."),
        "true": (f"Where is {each.classes[true]}?", "What speaks for the true class."),
        "contrast": ("What tipped the scales?", "What speaks for the predicted rather than the true class."),
    }
    own = settings.method == "gradcam"
    shared = (
        own
        and len(opened.runs) > 1
        and urlstate.switch(
            st.toggle,
            "shared_scale",
            f"One scale for every {opened.view.noun}",
            help="Off: each map is stretched to its own maximum, which hides that one may be far weaker than another.",
        )
    )
    explained = explain_each(opened, settings, position)
    if not explained:
        return
    sides = [side for side in questions if any(side in one for one in explained.values())]
    sides = sides if own else [side for side in sides if side != "contrast"]
    show_gallery(
        [
            explained_tile(opened, side, label, one.get(side), true, with_note=own)
            for side in sides
            for label, one in explained.items()
        ],
        overlays_sheet(opened, settings, position, explained, sides, shared),
        columns=len(explained),
        key="explained",
        tile_size=144,
        clickable=False,
        pixelated=first.spec.input.height <= 48,
        label="Heatmaps of every variant",
        headings=[questions[side] for side in sides],
    )
    show_legend()
    scale = "one scale for all" if shared else "each map on its own scale"
    peak = "Peak: the map's raw maximum." if own else "The contrast of two classes is Grad-CAM's alone."
    st.caption(f"{say_how(settings, first, scale=scale)} Tick: the answer is right. {peak}")


def explain_each(opened: Opened, settings: HeatmapSettings, position: int) -> dict[str, dict[str, Explained]]:
    """Variant -> its maps by side; a line for each whose model cannot be loaded or has no such stage."""
    found: dict[str, dict[str, Explained]] = {}
    missing = []
    for label, run in zip(opened.each.runs, opened.runs, strict=True):
        try:
            found[label] = explained_test_image(run, position, settings.stage)
        except (DamagedRun, ValueError) as error:
            missing.append(f"{label} ({error})")
    if missing:
        st.warning(f"No heatmaps of {plain(listed(missing))}", icon=":material/folder_off:")
    return found


def overlays_sheet(
    opened: Opened,
    settings: HeatmapSettings,
    position: int,
    explained: dict[str, dict[str, Explained]],
    sides: Sequence[str],
    shared: bool,
) -> bytes:
    """The pictures of all tiles in one: a row per side, a column per variant."""
    runs = dict(zip(opened.each.runs, opened.runs, strict=True))
    splits = (test_images(run).split for run in opened.runs)
    image = max((split.images[position] for split in splits if split is not None), key=lambda one: one.shape[1])
    overlays = []
    for side in sides:
        maps = {label: one[side] for label, one in explained.items() if side in one}
        if settings.method == "gradcam":
            heats = scaled(list(maps.values()), "shared" if shared else "own")
        else:
            heats = [
                heatmaps_of(runs[label], (position,), (one.target,), settings.method, settings.stage)[0]
                for label, one in maps.items()
            ]
        drawn = {label: pictures.overlay(image, h, settings.opacity) for label, h in zip(maps, heats, strict=True)}
        overlays += [drawn.get(label, pictures.to_pixels(image)) for label in explained]
    return pictures.jpeg_bytes(pictures.contact_sheet(overlays, len(explained)))


def explained_tile(opened: Opened, side: str, label: str, one: Explained | None, true: int, *, with_note: bool) -> Tile:
    """The caption of one variant's map; the note says how strong Grad-CAM's raw map is, or why it is blank.

    No map is that of a variant that is right: there is no contrast of its answer and the truth.
    """
    colour = opened.view.marks[label].colour
    if one is None:
        said = f"{label} predicts the true class"
        return Tile(f"{side} {label}", label, ("nothing to contrast",), "right", said, colour)
    answer = f"{opened.each.classes[one.target]} {one.probabilities[one.target]:.0%}"
    notes = (one.blank or f"peak {one.raw_maximum:.2g}",) if with_note else ()
    return Tile(
        id=f"{side} {label}",
        title=label,
        lines=(answer, *notes),
        tone="right" if one.predicted == true else "wrong",
        description=". ".join((f"{label}, stage {one.stage}: {answer}", *notes)),
        colour=colour,
    )
