"""One class through every variant: how much of it each recognises, and where each looks when right and when wrong."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
import torch

from explorer.app.caches import (
    Compared,
    agreement_of,
    class_recalls_of,
    comparison_here,
    heatmap_rows,
    mean_heatmap_of,
    model_of,
)
from explorer.app.charts.classes import (
    FEW_CLASSES,
    agreement_chart,
    class_chart,
    most_classes,
    one_variant_chart,
    recall_chart,
)
from explorer.app.frame import PAGES, fragment
from explorer.app.gallery import Tile, show_gallery
from explorer.app.heatmap_settings import HeatmapSettings, choose_heatmap_settings, say_how, show_legend
from explorer.app.notices import images_of
from explorer.app.selection import View, current_view
from explorer.app.text import plain
from explorer.app.urlstate import carried, segments, select, several, switch
from explorer.heatmaps.agreement import Measure, at_one_size, maps_verdict
from explorer.images import colours, contact_sheet, png_bytes
from explorer.predictions.recall import (
    Recalls,
    evenly_spread,
    failing_replicates,
    mean_recalls,
    most_confident,
    recall_table,
    right_and_wrong,
    run_recall_table,
    telling_classes,
)
from explorer.runs import DamagedRun, Run
from explorer.words import count_of, percent

if TYPE_CHECKING:
    from torch import Tensor

    from explorer.datasets import Split

PER_SIDE = 4  # images that a variant gets right, and as many that it gets wrong
MOST_PICTURED = 8  # variants whose images are shown at a time
MOST_COMPARED = 60  # images whose heatmaps are compared between variants
MOST_AVERAGED = 1000  # images whose heatmaps are averaged
PREDICTED, TRUE = "the predicted class", "the true class"
EXPLAINED = ("Heatmap for", (PREDICTED, TRUE))
WHICH_MAP = "A heatmap shows what in the image speaks for one class. For missed images the two differ."
SIDES = ("recognised", "missed")
MEASURES: dict[str, Measure] = {"Rank correlation": "spearman", "Overlap": "overlap"}
FAILURES = next(page for page in PAGES if page.file == "failures")


@dataclass(frozen=True)
class Shown:
    """What is chosen on the page.

    Attributes:
        view: what the sidebar chooses.
        compared: all runs.
        single: one run of each variant, at the chosen seed.
        recalls: of all runs.
        label: the class.
        reference: the variant that others are compared with.
        target: the class that heatmaps explain; None for the one that is predicted.
        missing: variant -> why there is no model of its run; where images are shown, otherwise empty.
        settings: how heatmaps are made; None where no run has a model.
    """

    view: View
    compared: Compared
    single: Compared
    recalls: Recalls
    label: int
    reference: str
    target: int | None
    missing: dict[str, str]
    settings: HeatmapSettings | None

    @property
    def name(self) -> str:
        """The class, as Markdown shows it."""
        return plain(self.compared.comparison.classes[self.label])

    @property
    def variants(self) -> tuple[str, ...]:
        """The labels of the variants."""
        return self.compared.comparison.variants

    @property
    def replicated(self) -> bool:
        """Whether some variant has several runs."""
        return len(self.compared.runs) > len(self.variants)

    def run(self, variant: str) -> Run:
        """The run that stands for a variant at the chosen seed."""
        return self.single.runs[self.variants.index(variant)]


def show_page() -> None:
    """Draws the page."""
    view = current_view()
    st.title("How well is each class recognised?")
    here = images_of(view.grouping.runs[0])
    compared = comparison_here(view.grouping)
    if compared is None:
        raise DamagedRun("none of these runs has predictions that can be read; train them again")
    for line in compared.left_out:
        st.warning(f"Left out: {plain(line)}", icon=":material/folder_off:")
    shown = choose(view, compared, here.split is not None)
    show_recalls(shown)
    if here.split is not None:
        show_pictures(shown, here.split)


def choose(view: View, compared: Compared, pictured: bool) -> Shown:
    """The selectors above the page; those of images only where there are any, and none with a single choice."""
    comparison = compared.comparison
    contrasted, replicated = len(comparison.variants) > 1, len(comparison.runs) > len(comparison.variants)
    count = 1 + contrasted + pictured * (2 + replicated)
    columns = iter(st.columns(max(count, 3), vertical_alignment="bottom"))
    name = select(next(columns).selectbox, "class", "Class", comparison.classes)
    label, reference = comparison.classes.index(name), comparison.variants[0]
    if contrasted:
        default = view.reference if view.reference in comparison.variants else reference
        reference = select(next(columns).selectbox, "reference", "Compared with", comparison.variants, default)
    single, target, settings, missing = compared.at_seed(None), None, None, {}
    if pictured:
        target = label if select(next(columns).selectbox, "target", *EXPLAINED, help=WHICH_MAP) == TRUE else None
        if replicated:
            single = compared.at_seed(select(next(columns).selectbox, "seed", "Seed", comparison.seed_choices))
        missing = missing_models(single)
        with_model = [
            run for variant, run in zip(comparison.variants, single.runs, strict=True) if variant not in missing
        ]
        with next(columns):
            settings = choose_heatmap_settings(*with_model) if with_model else None
    return Shown(view, compared, single, class_recalls_of(comparison), label, reference, target, missing, settings)


def missing_models(single: Compared) -> dict[str, str]:
    """Label -> why its model cannot be loaded, of the runs of which that is so."""
    reasons = {}
    for label, run in zip(single.comparison.runs, single.runs, strict=True):
        try:
            model_of(run)
        except DamagedRun as error:
            reasons[label] = str(error)
    return reasons


def show_recalls(shown: Shown) -> None:
    """Recall of the classes by each variant, and of the chosen class with its uncertainty."""
    comparison, variants = shown.compared.comparison, shown.variants
    means, reference = mean_recalls(comparison, shown.recalls), variants.index(shown.reference)
    most = most_classes(len(variants), len(comparison.classes))
    labels = telling_classes(means, reference, shown.label, most)
    table = recall_table(comparison, shown.recalls, shown.reference, labels)
    runs = run_recall_table(comparison, shown.recalls, labels)
    chosen = comparison.classes[shown.label]
    if len(variants) == 1:
        colour = shown.view.marks[variants[0]].colour
        st.altair_chart(one_variant_chart(table, runs, chosen, colour), alt="Recall of each class")
    else:
        left, right = st.columns((3, 2)) if len(labels) <= FEW_CLASSES else (st.container(), st.container())
        left.altair_chart(recall_chart(table, chosen), alt=f"Recall of each class by each {shown.view.noun}")
        if shown.recalls.counts[shown.label]:
            by_variant = {label: shown.view.marks[label].colour for label in variants}
            of_class, its_runs = (pd.DataFrame(part[part["class"] == chosen]) for part in (table, runs))
            right.markdown(f"**{shown.name}**, {'seed by seed' if shown.replicated else 'with 95% intervals'}")
            right.altair_chart(
                class_chart(of_class, its_runs, by_variant), alt=f"Recall of {chosen} by each {shown.view.noun}"
            )
    st.caption(" ".join(recall_notes(shown, labels)))


def recall_notes(shown: Shown, labels: list[int]) -> list[str]:
    """What the charts of recall show, in sentences."""
    comparison = shown.compared.comparison
    notes, replicates = [], [len(comparison.replicates(variant)) for variant in range(len(shown.variants))]
    share = "Recall: the share of a class's test images that are recognised"
    if max(replicates) > 1:
        seeds = f"{min(replicates)}" if len(set(replicates)) == 1 else f"{min(replicates)} to {max(replicates)}"
        notes.append(f"{share}; mean over the seeds of each {shown.view.noun} ({seeds} each), a dot a seed.")
    else:
        notes.append(f"{share}.")
    if min(replicates) == 1:
        notes.append("Lines: the 95% interval that the choice of test images allows.")
    if len(shown.variants) > 1:
        notes.append(f"Green: more than {plain(shown.reference)}, purple: less.")
    if len(labels) < len(comparison.classes):
        kinds = "the lowest recall" + (" or the largest differences" if len(shown.variants) > 1 else "")
        notes.append(
            f"Of {count_of(len(comparison.classes), 'class', 'classes')}, the chosen one and {len(labels) - 1} with "
            f"{kinds} are drawn."
        )
    return notes


def show_pictures(shown: Shown, split: "Split") -> None:
    """Images of the class with heatmaps by each variant, and what heatmaps of many images say."""
    if not shown.recalls.counts[shown.label]:
        st.info(f"No test image is of the class {shown.name}.", icon=":material/info:")
        return
    pictured = choose_pictured(shown)
    with_model = tuple(variant for variant in pictured if variant not in shown.missing)
    if shown.settings is not None and with_model:
        left, right = st.columns((2, 1), gap="medium", vertical_alignment="center")
        left.caption(
            f"Images whose true class is **{shown.name}**: the {PER_SIDE} most confident right and wrong answers"
            f"{f' of each {shown.view.noun}' if len(shown.variants) > 1 else ''}. "
            f"{say_how(shown.settings, *map(shown.run, with_model))} "
            f"{'Last line: how many of the seeds miss it. ' * shown.replicated}Click one to see it large."
        )
        with right:
            show_legend()
    for variant in pictured:
        show_variant(shown, split, variant)
    if len(with_model) > 1:
        show_agreement(shown, with_model)
    if with_model:
        show_means(shown, with_model)


def choose_pictured(shown: Shown) -> list[str]:
    """The variants whose images are shown: all of a few, of many those that are chosen."""
    variants = list(shown.variants)
    if len(variants) <= MOST_PICTURED:
        return variants
    title = f"Images of {MOST_PICTURED} of {count_of(len(variants), shown.view.noun)} at a time"
    chosen = several(st.multiselect, "pictures", title, variants, variants[:MOST_PICTURED])
    return [variant for variant in variants if variant in chosen[:MOST_PICTURED]]


def show_variant(shown: Shown, split: "Split", variant: str) -> None:
    """What one variant recognises and what it misses of the class, in a row: figures, images, images."""
    run, outcomes = shown.run(variant), shown.single.comparison.outcomes[shown.variants.index(variant)]
    sides = dict(zip(SIDES, right_and_wrong(outcomes, shown.recalls.images(shown.label)), strict=True))
    left, *columns = st.columns((3, 8, 8), gap="medium")
    total, right = sum(map(len, sides.values())), len(sides["recognised"])
    if len(shown.variants) > 1:
        left.markdown(f"#### {plain(variant)}")
    seed = f", seed {run.spec.seed}" if shown.replicated else ""
    left.markdown(f"**{percent(right / total)}** of {count_of(total, 'image')}{seed}")
    if variant in shown.missing:
        columns[0].caption(f"No heatmaps: {plain(shown.missing[variant])}")
        return
    rows = [most_confident(outcomes, positions, PER_SIDE) for positions in sides.values()]
    sheets = sheets_of(shown, run, rows, outcomes.predicted)
    for column, side, row, sheet in zip(columns, SIDES, rows, sheets, strict=True):
        with column:
            st.markdown(f"{len(sides[side]):,} {side}")
            if not len(row):
                st.caption("No such image.")
            elif clicked := show_row(shown, split, variant, row, sheet, side):
                open_failure(shown, variant, clicked)


def sheets_of(shown: Shown, run: Run, rows: list[np.ndarray], predicted: np.ndarray) -> tuple[bytes, ...]:
    """A picture of each row of images under their heatmaps."""
    assert shown.settings is not None  # there is a model, or nobody asks
    targets = [predicted[row] if shown.target is None else np.full(len(row), shown.target) for row in rows]
    chosen, targets = (tuple(tuple(part.tolist()) for part in parts) for parts in (rows, targets))
    stage = shown.settings.stage
    return heatmap_rows(run, chosen, targets, method=shown.settings.method, stage=stage, opacity=shown.settings.opacity)


def show_row(shown: Shown, split: "Split", variant: str, row: np.ndarray, sheet: bytes, side: str) -> str | None:
    """A row of images with their heatmaps; the clicked one's id."""
    run = shown.run(variant)
    return show_gallery(
        tiles_of(shown, split, variant, row),
        sheet,
        columns=len(row),
        key=f"{run.key}-{side}",
        tile_size=76,
        pixelated=run.spec.input.height <= 48,
        label=f"Images that {variant} has {side}",
    )


def tiles_of(shown: Shown, split: "Split", variant: str, row: np.ndarray) -> list[Tile]:
    """The captions of the images at some positions, as one variant sees them."""
    comparison, place = shown.single.comparison, shown.variants.index(variant)
    outcomes, everything = comparison.outcomes[place], shown.compared.comparison
    replicates = len(everything.replicates(place))
    tiles = []
    for position, failing in zip(row.tolist(), failing_replicates(everything, place, row), strict=True):
        predicted = comparison.classes[outcomes.predicted[position]]
        lines = (f"{percent(float(outcomes.confidence[position]))} sure",)
        if replicates > 1:
            lines += (f"{failing} of {replicates} seeds",)
        tiles.append(
            Tile(
                id=split.ids[position],
                title=predicted,
                lines=lines,
                tone="right" if outcomes.predicted[position] == outcomes.labels[position] else "wrong",
                description=f"{split.ids[position]}: {variant} predicted {predicted}, {', missed by '.join(lines)}",
                colour=shown.view.marks[variant].colour,
            )
        )
    return tiles


def open_failure(shown: Shown, variant: str, image: str) -> None:
    """Opens an image on the Failures page, through every variant."""
    asked = {"run": [variant], "image": [image]}
    seed = shown.run(variant).spec.seed
    if shown.replicated and seed is not None:
        asked["seed"] = [str(seed)]
    # On the way Streamlit leaves an entry with this query in the history of this page: Back must find the class in it.
    address = {key: st.query_params.get_all(key) for key in st.query_params}
    st.switch_page(FAILURES.path, query_params=address | carried() | asked)


@fragment
def show_agreement(shown: Shown, labels: tuple[str, ...]) -> None:
    """How alike the heatmaps of every two variants are, against how alike each one's are to its own of mirrored images.

    They are computed when somebody asks for them.
    """
    if not switch(st.toggle, "agreement", "Agreement of heatmaps", help="Takes some seconds the first time."):
        return
    st.subheader("Do they look at the same places?")
    measure = segments(st.segmented_control, "measure", "Measure", list(MEASURES))
    chosen = evenly_spread(shown.recalls.images(shown.label), MOST_COMPARED)
    runs = tuple(map(shown.run, labels))
    table = agreement_of(labels, runs, tuple(chosen.tolist()), shown.label, MEASURES[measure])
    reference = shown.reference if shown.reference in labels else labels[0]
    st.markdown(plain(maps_verdict(table, reference)))
    st.altair_chart(agreement_chart(table, labels), alt=f"Agreement of the heatmaps of every two {shown.view.noun}s")
    st.caption(
        f"Mean over {count_of(len(chosen), 'test image')} of {shown.name}, each map by Grad-CAM for that class at the "
        "model's default stage. Rank correlation: Spearman's over the pixels of two maps, 1 if they rank them alike. "
        "Overlap: of the pixels among the hottest fifth of either map, the share that is so in both. Framed: a variant "
        "with itself on the mirrored image, mapped back; no more agreement than that can be asked of two variants. "
        "Star: the row agrees reliably less with the column than with itself (95% interval over images). What another "
        "training alone changes is seen by comparing seeds."
    )


@fragment
def show_means(shown: Shown, labels: tuple[str, ...]) -> None:
    """The mean heatmap of the class over right and over wrong images, one pair per variant, when asked for."""
    if not switch(st.toggle, "means", "Average heatmaps", help="Takes some seconds the first time."):
        return
    st.subheader("On average")
    found = mean_heatmaps(shown, labels)
    if len(shown.variants) == 1:
        sides = [(side.capitalize(), *parts[1:]) for side in SIDES for parts in found[side]]
        show_mean_row(sides, [shown.view.marks[labels[0]].colour] * len(sides), "means-all", "Mean heatmaps")
    for side in SIDES if len(shown.variants) > 1 else ():
        if found[side]:
            st.markdown(f"**{side.capitalize()}**")
            stripes = [shown.view.marks[variant].colour for variant, _, _ in found[side]]
            show_mean_row(found[side], stripes, f"means-{side}", f"Mean heatmaps of images {side}")
    st.caption(
        f"The mean heatmap for {shown.name}, by Grad-CAM at the model's default stage, over its test images that are "
        f"recognised, and over those that are missed (at most {MOST_AVERAGED:,}, evenly spread). A difference says "
        "that the model looks elsewhere in images that it misses."
    )


def mean_heatmaps(shown: Shown, labels: tuple[str, ...]) -> "dict[str, list[tuple[str, int, Tensor]]]":
    """Side -> each variant with images there, how many and their mean heatmap; a progress bar says how far it is."""
    found = {side: [] for side in SIDES}
    bar, done = st.progress(0.0), 0
    for variant in labels:
        outcomes = shown.single.comparison.outcomes[shown.variants.index(variant)]
        sides = right_and_wrong(outcomes, shown.recalls.images(shown.label))
        for side, positions in zip(SIDES, sides, strict=True):
            chosen = evenly_spread(positions, MOST_AVERAGED)
            images = count_of(len(chosen), "image")
            bar.progress(done / (2 * len(labels)), f"{plain(variant)}: heatmaps of {images} {side}")
            done += 1
            if len(chosen):
                mean = mean_heatmap_of(shown.run(variant), tuple(chosen.tolist()), shown.label)
                found[side].append((variant, len(chosen), mean))
    bar.empty()
    return found


def show_mean_row(found: "list[tuple[str, int, Tensor]]", stripes: list[str], key: str, label: str) -> None:
    """A row of mean heatmaps, each with its title, the number of its images and a stripe."""
    maps = at_one_size({title: mean[None].numpy() for title, _, mean in found})
    tiles = [
        Tile(title, title=title, lines=(count_of(count, "image"),), colour=stripe)
        for (title, count, _), stripe in zip(found, stripes, strict=True)
    ]
    show_gallery(
        tiles,
        png_bytes(contact_sheet([colours(torch.from_numpy(maps[tile.id][0])) for tile in tiles], len(tiles))),
        columns=len(tiles),
        key=key,
        tile_size=118,
        clickable=False,
        label=label,
    )


if __name__ == "__main__":
    show_page()
