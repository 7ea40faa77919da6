"""What each variant gets wrong: which classes are confused, which fail together, filters and a grid of pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from explorer.app import urlstate
from explorer.app.caches import (
    Compared,
    comparison_here,
    disagreement_of,
    heatmap_sheet,
    label_errors_of,
    model_of,
    overlap_of,
    plain_sheet,
    test_images,
)
from explorer.app.charts import failures as charts
from explorer.app.frame import fragment
from explorer.app.gallery import Tile, show_gallery
from explorer.app.heatmap_settings import HeatmapSettings, choose_heatmap_settings, say_how, show_legend
from explorer.app.image_dialog import Opened, open_image, show_opened
from explorer.app.notices import images_of
from explorer.app.selection import View, current_view
from explorer.app.text import csv_text, plain
from explorer.predictions.comparison import Comparison
from explorer.predictions.confusion import ANY, SUM, confused_pairs, confusion_table
from explorer.predictions.filters import (
    BY_ALL,
    BY_ANY,
    BY_ONLY,
    BY_THIS,
    DISAGREE,
    Question,
    find_images,
    images_table,
    orders_of,
    set_label,
)
from explorer.predictions.label_errors import label_errors
from explorer.predictions.metrics import confusion
from explorer.runs import DamagedRun, Run
from explorer.words import count_of

PER_PAGE = 24
MOST_SETS = 9
MOST_PILLS = 12
MOST_PAIRS = 12
MOST_IN_MATRIX = 24  # classes; of more, the most confused pairs are shown, and the matrix of a chosen few
PAIRS, MATRIX = "Most confused", "Matrix"
NOTHING = "nothing"


@dataclass(frozen=True)
class Shown:
    """What the page is about: one run per variant, and the one whose failures are looked at.

    Attributes:
        view: what the sidebar chose.
        full: all runs of all variants.
        each: the one run of each variant, by the chosen seed.
        runs: these runs.
        row: of the run that is looked at.
    """

    view: View
    full: Comparison
    each: Comparison
    runs: tuple[Run, ...]
    row: int

    @property
    def label(self) -> str:
        """The variant that is looked at."""
        return self.each.runs[self.row]

    @property
    def run(self) -> Run:
        """The run that is looked at."""
        return self.runs[self.row]

    def short(self, label: str) -> str:
        """A variant in the fewest letters."""
        return self.view.marks[label].short

    def seeds_words(self, variant: int, position: int) -> str:
        """In how many of its seeds a variant fails on an image; empty for a variant with one run."""
        count = len(self.full.replicates(variant))
        failing = int(self.full.failures[variant, position])
        return f"{failing} of {count} seeds fail" if count > 1 else ""


@dataclass(frozen=True)
class Found:
    """The images that match the filters, in order, and how their heatmaps are made."""

    shown: Shown
    positions: np.ndarray
    settings: HeatmapSettings | None

    def id(self, position: int) -> str:
        """The id of an image."""
        return self.shown.each.ids[int(position)]


def show_page() -> None:
    """Draws the page."""
    view = current_view()
    several = len(view.labels) > 1
    st.title(f"What does each {view.noun} get wrong?" if several else "What does it get wrong?")
    compared = comparison_here(view.grouping)
    if compared is None:
        raise DamagedRun("none of these runs has predictions that can be read; train them again")
    for line in compared.left_out:
        st.warning(f"Left out: {plain(line)}", icon=":material/folder_off:")
    shown = choose_run(view, compared)
    here = images_of(shown.run)
    show_failures(shown, here.split is not None)


def choose_run(view: View, compared: Compared) -> Shown:
    """The variant to look at and, where variants have several, the seed."""
    full = compared.comparison
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    label = full.variants[0]
    if len(full.variants) > 1:
        first = view.reference if view.reference in full.variants else label
        few = len(full.variants) <= MOST_PILLS
        choose, draw = (urlstate.segments, left.pills) if few else (urlstate.select, left.selectbox)
        more: dict[str, Any] = {"format_func": plain} if few else {}
        label = choose(draw, "run", view.noun.capitalize(), full.variants, first, on_change=first_page, **more)
    seed = None
    if len(full.runs) > len(full.variants):
        seed = urlstate.select(right.selectbox, "seed", "Seed", full.seed_choices, on_change=first_page)
    each = compared.at_seed(seed)
    return Shown(view, full, each.comparison, each.runs, each.comparison.row(label))


def first_page() -> None:
    """Goes back to page 1: with another filter the old page number means nothing."""
    st.session_state["page"] = 1


def reset_filters(runs: tuple[str, ...]) -> None:
    """Takes every filter off."""
    off = {"true": ANY, "predicted": ANY, "failed_by": BY_THIS, "confidence": (0, 100), "doubtful": False}
    st.session_state.update(off | {"among": list(runs)})
    first_page()


def take_cell(key: str) -> None:
    """Makes the clicked pair of classes the filter; a sum stands for any class."""
    if chosen := st.session_state[key].selection["cell"]:
        for field in ("true", "predicted"):
            st.session_state[field] = int(chosen[0][f"{field}_index"])
        first_page()


def take_set(key: str, sets: Sequence[tuple[str, ...]]) -> None:
    """Makes the clicked set of variants the filter."""
    if chosen := st.session_state[key].selection["set"]:
        st.session_state.update({"failed_by": BY_ONLY, "among": list(sets[int(chosen[0]["place"])])})
        first_page()


@fragment
def show_failures(shown: Shown, with_pictures: bool) -> None:
    """Maps on the left, filters and what they find on the right. A click in here leaves the frame alone."""
    rail, main = st.columns([5, 9], gap="medium")
    with main:
        question, order = select_filters(shown)
    with rail:
        show_confused(shown, question)
        if len(shown.each.runs) > 1:
            show_overlap(shown, question)
    doubtful = label_errors_of(shown.each, shown.row) if question.doubtful else None
    disagreement = disagreement_of(shown.each) if order == DISAGREE else None
    positions = find_images(shown.each, question, order, doubtful=doubtful, disagreement=disagreement)
    with main:
        show_found(shown, question, positions, with_pictures)


def select_filters(shown: Shown) -> tuple[Question, str]:
    """What the filters above the grid ask for, and the order."""
    each, classes = shown.each, shown.each.classes
    options = [ANY, *range(len(classes))]

    def name(index: int) -> str:
        return SUM if index < 0 else classes[index]

    first, second, third, fourth = st.columns(4)
    more: dict[str, Any] = {"on_change": first_page}
    # In the address a class stands by its name; `any class` itself is left out, so a class may be called that as well.
    true, predicted = (
        urlstate.select(column.selectbox, key, title, options, write=name, format_func=name, **more)
        for column, key, title in ((first, "true", "True class"), (second, "predicted", "Predicted class"))
    )
    ways = [BY_THIS, BY_ANY, BY_ALL, BY_ONLY] if len(each.runs) > 1 else [BY_THIS]
    failed_by = BY_THIS
    if len(ways) > 1:
        failed_by = urlstate.select(third.selectbox, "failed_by", "Failed by", ways, **more)
    order = urlstate.select(fourth.selectbox, "order", "Order", orders_of(each), **more)
    among = () if failed_by == BY_THIS else select_among(each.runs)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        with st.container(width=230):
            low, high = urlstate.span(st.slider, "confidence", "Confidence", 0, 100, format="%d%%", **more)
        doubtful = each.stored[shown.row] is not None and urlstate.switch(
            st.toggle,
            "doubtful",
            "Likely label errors",
            help="Images whose label the run finds implausible (confident learning, Northcutt et al. 2021).",
            **more,
        )
        st.button("Reset filters", on_click=reset_filters, args=(each.runs,), icon=":material/filter_alt_off:")
    question = Question(
        shown.row,
        failed_by,
        among,
        None if true < 0 else true,
        None if predicted < 0 else predicted,
        (low / 100, high / 100),
        doubtful,
    )
    return question, order


def select_among(runs: tuple[str, ...]) -> tuple[str, ...]:
    """The variants that `any of these`, `all of these` and `only these` speak of, at first all."""
    if "among" in st.session_state:
        known = [run for run in st.session_state["among"] if run in runs]
        st.session_state["among"] = known or list(runs)
    picked = urlstate.several(
        st.pills,
        "among",
        "These",
        runs,
        runs,
        selection_mode="multi",
        format_func=plain,
        on_change=first_page,
        label_visibility="collapsed",
    )
    return tuple(picked)


def show_confused(shown: Shown, question: Question) -> None:
    """Which classes are taken for which; a click filters the grid."""
    each = shown.each
    counts = confusion(each.predicted[shown.row], each.true, len(each.classes))
    title, aside = st.columns(2, vertical_alignment="center")
    title.markdown("**Confused classes**")
    chosen = (
        ANY if question.true is None else question.true,
        ANY if question.predicted is None else question.predicted,
    )
    way = MATRIX
    classes = list(range(len(each.classes)))
    if len(classes) > MOST_IN_MATRIX:
        way = urlstate.segments(
            st.segmented_control, "confused", "Confused", [PAIRS, MATRIX], label_visibility="collapsed"
        )
        if way == MATRIX:
            classes = choose_classes(counts, each.classes)
    key = f"confusion-{shown.label}-{way}-{chosen}-{shown.run.path.name}"
    if way == PAIRS:
        pairs = confused_pairs(counts, MOST_PAIRS)
        chart = charts.confused_pairs_chart(pairs, each.classes, chosen, "cell")
    else:
        other = choose_other(shown, aside)
        if other is not None:
            key += f"-{other}"
            counts = counts - confusion(each.predicted[other], each.true, len(each.classes))
        table = confusion_table(counts, each.classes, classes, chosen)
        chart = charts.confusion_chart(table, "cell", signed=other is not None)
    st.vega_lite_chart(
        spec=chart,
        key=key,
        on_select=lambda: take_cell(key),
        selection_mode="cell",
        alt="Images by true and predicted class; the selectors True class and Predicted class do the same by keyboard",
    )


def choose_classes(counts: np.ndarray, names: tuple[str, ...]) -> list[int]:
    """The classes of the matrix, at first those of the most confused pairs."""
    first = list(dict.fromkeys(int(k) for pair in confused_pairs(counts, 4) for k in (pair.true, pair.predicted)))
    picked = urlstate.several(
        st.multiselect,
        "classes",
        "Classes of the matrix",
        list(range(len(names))),
        first,
        write=names.__getitem__,
        format_func=names.__getitem__,
        max_selections=MOST_IN_MATRIX,
    )
    return picked or first


def choose_other(shown: Shown, place: DeltaGenerator) -> int | None:
    """The row of the run whose counts are taken off those of the run, if any."""
    others = [label for label in shown.each.runs if label != shown.label]
    if not others:
        return None
    other = urlstate.select(
        place.selectbox,
        "minus",
        "Minus",
        [NOTHING, *others],
        format_func=lambda name: f"minus {name}",
        label_visibility="collapsed",
    )
    return None if other == NOTHING else shown.each.runs.index(other)


def show_overlap(shown: Shown, question: Question) -> None:
    """The sets of variants that fail together; a click filters the grid."""
    each = shown.each
    table = overlap_of(each)
    sets = table["failing"].tolist()
    short = {label: shown.short(label) for label in each.runs}
    wanted = set(question.among) if question.failed_by == BY_ONLY else None
    drawn = table.assign(
        set=[set_label([short[run] for run in failing], list(short.values())) for failing in sets],
        chosen=[set(failing) == wanted for failing in sets],
        place=range(len(table)),
    ).drop(columns="failing")
    key = f"overlap-{question.failed_by}-{question.among}-{shown.run.path.name}"
    st.markdown("**Which fail together?**")
    st.vega_lite_chart(
        spec=charts.overlap_chart(drawn.head(MOST_SETS), "set"),
        key=key,
        on_select=lambda: take_set(key, sets),
        selection_mode="set",
        alt="Images by which variants fail on them; the selectors Failed by and These do the same by keyboard",
    )
    nobody, rest = int((~each.wrong).all(0).sum()), drawn["observed"].tolist()[MOST_SETS:]
    smaller = f" {sum(rest):,} are in {count_of(len(rest), 'smaller set')};" if rest else ""
    st.caption(
        f"All are right on {nobody:,};{smaller} together {count_of(len(each.ids), 'test image')}. Orange tick: as many "
        "as there would be if failures were independent."
    )
    if letters := [f"{mark} {plain(label)}" for label, mark in short.items() if mark != label]:
        st.caption(", ".join(letters))


@fragment
def show_found(shown: Shown, question: Question, positions: np.ndarray, with_pictures: bool) -> None:
    """How many images match, their grid and, over it, the one that is open. A click in here leaves the charts alone."""
    st.markdown(what_is_found(shown, question, len(positions)))
    if not with_pictures:
        show_list(shown, positions)
        return
    left, middle, right = st.columns([5, 2, 3], vertical_alignment="center")
    settings, with_heatmaps = None, False
    if shown.run.has_model:
        with_heatmaps = urlstate.switch(middle.toggle, "heatmaps", "Heatmaps")
        with right:
            settings = choose_heatmap_settings(shown.run)
    pages = -(-len(positions) // PER_PAGE)
    number = urlstate.pagination(left.pagination, "page", pages) if pages > 1 else 1
    page = positions[(number - 1) * PER_PAGE : number * PER_PAGE]
    if not len(positions):
        st.info("No image matches these filters.", icon=":material/filter_alt_off:")
    elif with_heatmaps and settings is not None:
        show_legend()
        st.caption(f"What speaks for the class that {plain(shown.label)} predicts: {say_how(settings, shown.run)}")
    found = Found(shown, positions, settings)
    show_grid(found, page, with_heatmaps and settings is not None)
    if len(positions):
        show_downloads(found)


def what_is_found(shown: Shown, question: Question, count: int) -> str:
    """What the filters ask for and how many images match, as Markdown."""
    each = shown.each
    wrong, total = int(each.wrong[shown.row].sum()), len(each.ids)
    seeds = len(shown.full.replicates(shown.row))
    seed = f" (seed {shown.run.spec.seed})" if seeds > 1 else ""
    true, predicted = (None if k is None else each.classes[k] for k in (question.true, question.predicted))
    asked = [f"true {plain(true)}"] if true is not None else []
    asked += [f"predicted {plain(predicted)}"] if predicted is not None else []
    said = f": {', '.join(asked)}" if asked else ""
    return (
        f"**{plain(shown.label)}**{seed} misclassifies **{wrong:,} of {total:,}** test images; "
        f"**{count_of(count, 'image')}** match the filters{said}."
    )


def show_list(shown: Shown, positions: np.ndarray) -> None:
    """The images by name, where their pictures are not here."""
    table = images_table(shown.each, shown.row, positions[: 10 * PER_PAGE])
    st.dataframe(table[["image", "label", "predicted", "confidence"]], hide_index=True)
    if len(positions) > len(table):
        st.caption(f"The first {len(table):,} of {len(positions):,}.")
    show_table_download(shown, positions)


@fragment
def show_grid(found: Found, page: np.ndarray, with_heatmaps: bool) -> None:
    """One page of pictures and, over it, the one that is open. To open one leaves all else alone."""
    shown, settings = found.shown, found.settings
    columns = min(6, len(page))
    chosen = tuple(page.tolist())
    sheet = b""
    if chosen and with_heatmaps and settings is not None:
        targets = tuple(shown.each.predicted[shown.row, page].tolist())
        how = {"method": settings.method, "stage": settings.stage, "opacity": settings.opacity}
        sheet = heatmap_sheet(shown.run, chosen, targets, columns, **how)
    elif chosen:
        sheet = plain_sheet(shown.run, chosen, columns)
    show_gallery(
        [tile(found, position) for position in chosen],
        sheet,
        columns=columns,
        key="failures",
        tile_size=112,
        selected=st.query_params.get("image"),
        pixelated=shown.run.spec.input.height <= 48,
        label="Test images",
        on_click=open_image,
    )
    show_opened(Opened(shown.view, shown.each, shown.full, shown.runs, found.positions, settings))


def tile(found: Found, position: int) -> Tile:
    """The caption of one image as the run sees it."""
    shown, each = found.shown, found.shown.each
    row, name = shown.row, found.id(position)
    true, predicted = each.classes[each.true[position]], each.classes[each.predicted[row, position]]
    wrong, sure = bool(each.wrong[row, position]), sure_words(float(each.confidence[row, position]))
    failing = [run for run, fails in zip(each.runs, each.wrong[:, position], strict=True) if fails]
    seeds = shown.seeds_words(row, position)
    lines = [f"true {true}" if wrong else "right", sure, seeds]
    if len(each.runs) > 1:
        lines.append(who_fails([shown.short(run) for run in failing], len(each.runs)))
    said = [f"predicted {predicted}, true {true}", sure, seeds]
    said += [who_fails(failing, len(each.runs))] if len(each.runs) > 1 else []
    return Tile(
        id=name,
        title=f"predicted {predicted}",
        lines=tuple(line for line in lines if line),
        tone="wrong" if wrong else "right",
        description=f"{name}: {', '.join(part for part in said if part)}",
    )


def sure_words(confidence: float) -> str:
    """A confidence; from 99.5% on with the digits that tell such ones apart."""
    return f"{confidence:.0%} sure" if confidence < 0.995 else f"{min(confidence, 0.9999):.2%} sure"


def who_fails(failing: Sequence[str], count: int) -> str:
    """Which variants fail, in the fewest words."""
    if not failing:
        return "none fails"
    if len(failing) == count:
        return "all fail"
    return f"{', '.join(failing)} {'fail' if len(failing) > 1 else 'fails'}"


def show_table_download(shown: Shown, positions: np.ndarray) -> Callable[[], str]:
    """The button that saves the images that match as a table; returns what makes the table's text."""
    stored = shown.each.stored[shown.row]
    seeds = shown.full.failures[shown.row] if len(shown.full.runs) > len(shown.each.runs) else None

    def table() -> str:
        doubtful = None if stored is None else label_errors(stored, shown.each.true)  # takes seconds, so only now
        found = images_table(shown.each, shown.row, positions, doubtful=doubtful, seeds_that_fail=seeds)
        return csv_text(found)

    st.download_button(
        "Images as CSV", table, "failures.csv", "text/csv", on_click="ignore", icon=":material/download:"
    )
    return table


def show_downloads(found: Found) -> None:
    """The images that match as a table, and the heatmaps of the predicted class over them as a ZIP of PNGs."""
    shown, settings, positions = found.shown, found.settings, found.positions
    with st.container(horizontal=True):
        table = show_table_download(shown, positions)
        split = test_images(shown.run).split
        if settings is None or split is None:
            return
        network, targets = model_of(shown.run), shown.each.predicted[shown.row, positions]
        names = [found.id(position) for position in positions]

        def overlays() -> bytes:
            # Outside any run of the script, where the app's caches would complain: nothing of them is called in here.
            from explorer.heatmaps.bundle import overlay_files, zip_bytes

            images, how = split.images[positions], (settings.method, settings.stage, settings.opacity)
            inputs = shown.run.spec.input.normalise(images)
            files = overlay_files(network, images, inputs, targets, names, *how)
            return zip_bytes(files | {"images.csv": table().encode()})

        st.download_button(
            "Heatmaps as ZIP",
            overlays,
            "failures.zip",
            "application/zip",
            on_click="ignore",
            icon=":material/folder_zip:",
        )


if __name__ == "__main__":
    show_page()
