"""What each norm gets wrong: maps of the failures, filters, a grid of pictures, and one image through all norms."""

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
import torch

from explorer import images as pictures
from explorer.app import charts
from explorer.app.gallery import Tile, show_gallery
from explorer.app.heatmap_settings import HeatmapSettings, choose_heatmap_settings, say_how, show_legend
from explorer.app.session import Selection, answers_of, explain_test_image, heatmaps, images_of, model, selection, sheet
from explorer.heatmaps.bundle import zip_bytes
from explorer.heatmaps.explanation import Explained, scaled
from explorer.heatmaps.methods import heatmaps_by
from explorer.marks import MARKS
from explorer.predictions.filters import (
    ALL,
    ANY,
    ONLY,
    ORDERS,
    THIS,
    Answers,
    Question,
    find_images,
    images_table,
    set_label,
)
from explorer.predictions.metrics import confusion
from explorer.predictions.overlap import failure_overlap
from explorer.runs import Run

if TYPE_CHECKING:
    from torch import Tensor

    from explorer.datasets import Split

PER_PAGE = 24
MOST_SETS = 9
ANY_CLASS = charts.SUM


@dataclass(frozen=True)
class Found:
    """The images that match the filters, in order, and all that it takes to draw them as one run sees them."""

    chosen: Selection
    answers: Answers
    run: Run
    split: "Split"
    positions: np.ndarray
    settings: HeatmapSettings

    @property
    def row(self) -> int:
        """The row of the run among the answers."""
        return self.answers.runs.index(self.chosen.label(self.run))

    @property
    def order(self) -> list[str]:
        """The ids of the images."""
        return [self.split.ids[position] for position in self.positions]


def first_page() -> None:
    """Goes back to page 1: with another filter the old page number means nothing."""
    st.session_state["page"] = 1


def reset_filters(runs: tuple[str, ...]) -> None:
    """Takes every filter off."""
    off = {"true": ANY_CLASS, "predicted": ANY_CLASS, "failed_by": THIS, "confidence": (0, 100), "doubtful": False}
    st.session_state.update(off | {"among": list(runs)})
    first_page()


def take_cell(key: str) -> None:
    """Makes the clicked cell of the confusion matrix the filter; a cell of sums stands for any class."""
    if chosen := st.session_state[key].selection["cell"]:
        for field in ("true", "predicted"):
            st.session_state[field] = chosen[0][field]
        first_page()


def take_set(key: str, sets: dict[str, tuple[str, ...]]) -> None:
    """Makes the clicked set of norms, by its label, the filter."""
    if chosen := st.session_state[key].selection["set"]:
        st.session_state.update({"failed_by": ONLY, "among": list(sets[chosen[0]["set"]])})
        first_page()


def select_filters(answers: Answers, run: int, classes: tuple[str, ...]) -> tuple[Question, str]:
    """What the filters above the grid ask for, and the order."""
    bound = {"bind": "query-params", "on_change": first_page}
    first, second, third, fourth = st.columns(4)
    true = first.selectbox("True class", [ANY_CLASS, *classes], key="true", **bound)
    predicted = second.selectbox("Predicted class", [ANY_CLASS, *classes], key="predicted", **bound)
    several = [ANY, ALL, ONLY] if len(answers.runs) > 1 else []
    failed_by = third.selectbox("Failed by", [THIS, *several], key="failed_by", **bound) or THIS
    order = fourth.selectbox("Order", list(ORDERS), key="order", **bound)
    low, high = sorted(first.slider("Confidence", 0, 100, (0, 100), format="%d %%", key="confidence", **bound))
    doubtful = second.toggle(
        "Likely label errors",
        key="doubtful",
        help="Images whose label the norm finds implausible (confident learning, Northcutt et al. 2021).",
        **bound,
    )
    fourth.button(
        "Reset filters",
        on_click=reset_filters,
        args=(answers.runs,),
        icon=":material/filter_alt_off:",
        width="stretch",
    )
    among = select_norms(answers.runs, failed_by == THIS) if several else ()
    question = Question(
        run,
        failed_by,
        among,
        None if true == ANY_CLASS else classes.index(true),
        None if predicted == ANY_CLASS else classes.index(predicted),
        (low / 100, high / 100),
        doubtful,
    )
    return question, order


def select_norms(runs: tuple[str, ...], unused: bool) -> tuple[str, ...]:
    """The norms that `any of these`, `all of these` and `only these` speak of, at first all."""
    if "among" in st.session_state:
        known = [run for run in st.session_state["among"] if run in runs]
        st.session_state["among"] = known or list(runs)
    picked = st.pills(
        "These norms",
        runs,
        selection_mode="multi",
        default=runs,
        disabled=unused,  # and yet drawn: a click on a bar reaches the URL only through a widget that was there before
        key="among",
        bind="query-params",
        on_change=first_page,
    )
    return tuple(picked)


def overlap(answers: Answers) -> pd.DataFrame:
    """The exclusive failure sets, largest first, without the images that nobody fails."""
    table = failure_overlap(answers.wrong, answers.runs)
    return table.iloc[[i for i, failing in enumerate(table["failing"]) if failing]]


def show_confusion(answers: Answers, question: Question, classes: tuple[str, ...], other: str) -> None:
    """The confusion matrix of the run, or its difference to another run; a click filters the grid."""
    counts = confusion(answers.predicted[question.run], answers.labels, len(classes))
    signed = other in answers.runs
    if signed:
        counts = counts - confusion(answers.predicted[answers.runs.index(other)], answers.labels, len(classes))
    true, predicted = (ANY_CLASS if k is None else classes[k] for k in (question.true, question.predicted))
    key = f"confusion-{answers.runs[question.run]}-{other}-{true}-{predicted}"
    st.vega_lite_chart(
        spec=charts.confusion_chart(charts.confusion_table(counts, classes, (true, predicted)), "cell", signed),
        key=key,
        on_select=lambda: take_cell(key),
        selection_mode="cell",
        alt="Images by true and predicted class; the selectors below do the same by keyboard",
    )


def show_overlap(answers: Answers, question: Question) -> None:
    """The sets of norms that fail together; a click filters the grid."""
    table = overlap(answers)
    sets = {set_label(failing, answers.runs): failing for failing in table["failing"]}
    wanted = set(question.among) if question.failed_by == ONLY else None
    chosen = [set(failing) == wanted for failing in sets.values()]
    shown = table.assign(set=list(sets), chosen=chosen).drop(columns="failing")
    key = f"overlap-{question.failed_by}-{question.among}"
    st.vega_lite_chart(
        spec=charts.overlap_chart(shown.head(MOST_SETS), "set"),
        key=key,
        on_select=lambda: take_set(key, sets),
        selection_mode="set",
        alt="Images by which norms fail on them; the selectors Failed by and These norms do the same by keyboard",
    )
    nobody, rest = int((~answers.wrong).all(0).sum()), shown["observed"].tolist()[MOST_SETS:]
    smaller = f" {sum(rest):,} are in {len(rest)} smaller sets;" if rest else ""
    st.caption(
        f"Nobody fails on {nobody:,};{smaller} together {len(answers.labels):,} test images. Orange tick: as many as "
        "there would be if norms failed independently."
    )


def show_maps(answers: Answers, question: Question, classes: tuple[str, ...]) -> None:
    """Confusion and overlap side by side."""
    left, right = st.columns([1, 1], gap="large")
    with left:
        others = [run for run in answers.runs if run != answers.runs[question.run]]
        title, selector = st.columns([3, 2], vertical_alignment="center")
        title.markdown("**Confused classes.** Click a cell.")
        other = selector.selectbox(
            "Minus",
            ["nothing", *others],
            key="minus",
            bind="query-params",
            format_func=lambda name: f"minus {name}",
            label_visibility="collapsed",
        )
        show_confusion(answers, question, classes, other or "nothing")
    with right:
        st.markdown("**Who fails together?** Click a bar.")
        if len(answers.runs) > 1:
            show_overlap(answers, question)
        else:
            st.caption("Train runs with other norms to see which images they all fail on.")


def tile(found: Found, position: int) -> Tile:
    """The caption of one image as the run sees it."""
    answers, row, classes, name = found.answers, found.row, found.run.card.classes, found.split.ids[position]
    true, seen = classes[answers.labels[position]], classes[answers.predicted[row, position]]
    wrong, sure = bool(answers.wrong[row, position]), f"{answers.confidence[row, position]:.0%} sure"
    failing = [run for run, fails in zip(answers.runs, answers.wrong[:, position], strict=True) if fails]
    letters = [found.chosen.letters[run] for run in failing]
    return Tile(
        id=name,
        title=f"seen as {seen}",
        lines=(f"is {true}" if wrong else "rightly", sure, who_fails(letters, answers)),
        tone="wrong" if wrong else "right",
        description=f"{name}: predicted {seen}, truly {true}, {sure}, {who_fails(failing, answers)}",
    )


def who_fails(failing: list[str], answers: Answers) -> str:
    """Who fails in the fewest words."""
    if len(failing) in (0, len(answers.runs)):
        return "all fail" if failing else "nobody fails"
    return f"{' '.join(failing)} {'fail' if len(failing) > 1 else 'fails'}"


def show_downloads(found: Found) -> None:
    """The current images as a table, and the heatmaps of the predicted class over them as a ZIP of PNGs."""
    run, split, positions, settings = found.run, found.split, found.positions, found.settings
    network, targets = model(run), torch.from_numpy(found.answers.predicted[found.row, positions])

    def table() -> str:
        return images_table(found.answers, found.row, split.ids, run.card.classes, positions).to_csv(index=False)

    def overlays() -> bytes:
        # Outside any run of the script, where the app's caches would complain: nothing of them is called in here.
        inputs = run.card.input.normalise(split.images[positions])
        maps = heatmaps_by(settings.method, network, inputs, targets, settings.stage)
        names = [f"{i:04d}-{name.replace('/', '_')}.png" for i, name in enumerate(found.order, 1)]
        files = {
            name: pictures.png_bytes(pictures.overlay(split.images[p], m, settings.opacity))
            for name, p, m in zip(names, positions, maps, strict=True)
        }
        return zip_bytes(files | {"images.csv": table().encode()})

    with st.container(horizontal=True):
        st.download_button(
            "Images as CSV", table, "failures.csv", "text/csv", on_click="ignore", icon=":material/download:"
        )
        st.download_button(
            "Heatmaps as ZIP",
            overlays,
            "failures.zip",
            "application/zip",
            on_click="ignore",
            icon=":material/folder_zip:",
        )


def close_image() -> None:
    """Takes the image out of the URL."""
    st.query_params.pop("image", None)


def step_to(image: str) -> None:
    """Puts another image in the URL."""
    st.query_params["image"] = image


@st.dialog("One image, every norm", width="large", on_dismiss=close_image)
def show_image(found: Found) -> None:
    """The image of the URL through every norm: heatmaps of the predicted and the true class and their contrast."""
    answers, split, classes, image = found.answers, found.split, found.run.card.classes, st.query_params.get("image")
    if image not in split.ids:
        return
    position = split.ids.index(image)
    true = int(answers.labels[position])
    picture, facts = st.columns([1, 4], vertical_alignment="center")
    pixels = pictures.enlarge(pictures.to_pixels(split.images[position]), 256)
    picture.image(pictures.png_bytes(pixels), output_format="PNG", width="stretch", alt=f"{image}, {classes[true]}")
    with facts:
        failing = int(answers.wrong[:, position].sum())
        st.markdown(f"### {classes[true]}\n\nIts true class. **{failing} of {len(answers.runs)}** norms fail on it.")
        st.caption(" · ".join(f"{key}: {_words(value)}" for key, value in _facts(image, split.facts.iloc[position])))
        show_steps(found.order, image)
    show_norms(found, position)


def _facts(image: str, row: pd.Series) -> list[tuple[str, object]]:
    return [("image", image), *((str(name), value) for name, value in row.items())]


def _words(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def show_steps(order: list[str], image: str) -> None:
    """Buttons to the previous and the next image of the current filter."""
    if image not in order:
        return
    at = order.index(image)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Previous",
            icon=":material/arrow_back:",
            disabled=at == 0,
            on_click=step_to,
            args=(order[max(0, at - 1)],),
            shortcut="Left",
        )
        st.button(
            "Next",
            icon=":material/arrow_forward:",
            disabled=at == len(order) - 1,
            on_click=step_to,
            args=(order[min(len(order) - 1, at + 1)],),
            shortcut="Right",
        )
        st.caption(f"{at + 1:,} of {len(order):,}")


def show_norms(found: Found, position: int) -> None:
    """A row of tiles per question: predicted class, true class, and what speaks for one rather than the other."""
    image, true, settings = found.split.images[position], int(found.answers.labels[position]), found.settings
    questions = {
        "predicted": ("Why this answer?", "What speaks for the class that each norm predicts."),
        "true": (f"Where is {found.run.card.classes[true]}?", "What speaks for the true class."),
        "contrast": ("What tipped the scales?", "What speaks for the predicted rather than the true class."),
    }
    own_engine = settings.method == "gradcam"
    shared = own_engine and st.toggle(
        "One scale for all norms",
        key="shared_scale",
        help="Off: each map is stretched to its own maximum, which hides that one may be far weaker than another.",
    )
    runs = {name: found.chosen.run(name) for name in found.answers.runs}
    explained = {name: explain_test_image(run, position, settings.stage) for name, run in runs.items()}
    sides = [side for side in questions if any(side in one for one in explained.values())]
    if not own_engine:
        sides = [side for side in sides if side != "contrast"]
    tiles, overlays = [], []
    for side in sides:
        maps = {name: one[side] for name, one in explained.items() if side in one}
        if own_engine:
            heats = scaled(list(maps.values()), "shared" if shared else "own")
        else:
            heats = [heatmap_by_library(runs[name], position, one.target, settings) for name, one in maps.items()]
        shown = {name: pictures.overlay(image, heat, settings.opacity) for name, heat in zip(maps, heats, strict=True)}
        overlays += [shown.get(name, pictures.to_pixels(image)) for name in explained]
        tiles += [explained_tile(side, name, run, maps.get(name), true, own_engine) for name, run in runs.items()]
    show_gallery(
        tiles,
        pictures.jpeg_bytes(pictures.contact_sheet(overlays, len(explained))),
        columns=len(explained),
        key="explained",
        tile_size=144,
        clickable=False,
        pixelated=found.run.card.input.height <= 48,
        label="Heatmaps of every norm",
        headings=[questions[side] for side in sides],
    )
    show_legend()
    scale = "one scale for all norms" if shared else "each map on its own scale"
    peak = "Peak: the map's raw maximum." if own_engine else "The contrast of two classes is Grad-CAM's alone."
    st.caption(f"{say_how(settings, found.run, scale)} Tick: that norm is right. {peak}")


def heatmap_by_library(run: Run, position: int, target: int, settings: HeatmapSettings) -> "Tensor":
    """The heatmap (H, W) of one test image by the chosen method."""
    return heatmaps(run, [position], [target], settings.method, settings.stage)[0]


def explained_tile(side: str, name: str, run: Run, one: Explained | None, true: int, with_note: bool) -> Tile:
    """The caption of one run's map; the note says how strong Grad-CAM's raw map is, or why it is blank.

    No map is that of a norm that is right: there is no contrast of its answer and the truth.
    """
    colour = MARKS[run.card.norm.name].colour
    if one is None:
        return Tile(
            f"{side} {name}", name, ("nothing to contrast",), "right", f"{name} predicts the true class", colour
        )
    answer = f"{run.card.classes[one.target]} {one.probabilities[one.target]:.0%}"
    notes = (one.blank or f"peak {one.raw_maximum:.2g}",) if with_note else ()
    return Tile(
        id=f"{side} {name}",
        title=name,
        lines=(answer, *notes),
        tone="right" if one.predicted == true else "wrong",
        description=". ".join((f"{name}, stage {one.stage}: {answer}", *notes)),
        colour=colour,
    )


@st.fragment
def show_grid(found: Found, shown: np.ndarray, with_heatmaps: bool) -> None:
    """One page of pictures and, over it, the one that is open. To open one leaves all else alone."""
    columns = min(6, len(shown))
    heat = (found.answers.predicted[found.row, shown].tolist(), *astuple(found.settings)) if with_heatmaps else ()
    clicked = show_gallery(
        [tile(found, position) for position in shown],
        sheet(found.run, shown.tolist(), columns, *heat) if len(shown) else b"",
        columns=columns,
        key="failures",
        tile_size=132,
        selected=st.query_params.get("image"),
        pixelated=found.run.card.input.height <= 48,
        label="Test images",
    )
    if clicked:
        st.query_params["image"] = clicked
    if "image" in st.query_params:
        show_image(found)


@st.fragment
def show_found(chosen: Selection, answers: Answers, row: int, positions: np.ndarray) -> None:
    """How many images match, their grid and, over it, the one that is open. A click in here leaves the charts alone."""
    label = answers.runs[row]
    run = chosen.run(label)
    left, middle, right = st.columns([5, 2, 3], vertical_alignment="center")
    left.markdown(
        f"**{label}** misclassifies **{int(answers.wrong[row].sum()):,} of {len(answers.labels):,}** test images; "
        f"**{len(positions):,}** images match the filters."
    )
    with_heatmaps = middle.toggle(
        "Heatmaps", key="heatmaps", bind="query-params", help="Where the predicted class was seen."
    )
    with right:
        settings = choose_heatmap_settings(run)
    split = images_of(run)
    if split is None:
        return
    pages = -(-len(positions) // PER_PAGE)
    number = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
    shown = positions[(number - 1) * PER_PAGE : number * PER_PAGE]
    if not len(positions):
        st.info("No image matches these filters.", icon=":material/filter_alt_off:")
    elif with_heatmaps:
        show_legend()
        st.caption(f"Where {label} saw the class it predicts: {say_how(settings, run)}")
    found = Found(chosen, answers, run, split, positions, settings)
    show_grid(found, shown, with_heatmaps)
    if len(positions):
        show_downloads(found)


@st.fragment
def show_failures(chosen: Selection, answers: Answers, row: int, classes: tuple[str, ...]) -> None:
    """The charts, the filters and what they find. A click in here leaves the rest of the page and the frame alone."""
    maps = st.container()
    question, order = select_filters(answers, row, classes)
    with maps:
        show_maps(answers, question, classes)
    show_found(chosen, answers, row, find_images(answers, question, order))


chosen = selection()
st.title("What does each norm get wrong?")
answers = answers_of(chosen)
label = st.pills(
    "Norm",
    answers.runs,
    default=answers.runs[0],
    required=True,
    key="run",
    bind="query-params",
    on_change=first_page,
)
run = chosen.run(label or answers.runs[0])
if letters := [f"{chosen.letters[name]} {name}" for name in answers.runs if chosen.letters[name] != name]:
    st.caption(f"Letters stand for norms where there is little room: {', '.join(letters)}.")
show_failures(chosen, answers, answers.runs.index(chosen.label(run)), run.card.classes)
