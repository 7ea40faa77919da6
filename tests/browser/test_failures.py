"""The Failures page in a real browser: charts that filter, the way through the images, downloads and the link."""

import csv
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from explorer.predictions.metrics import confusion
from explorer.runs import Run, StoredPredictions, label_of, list_runs
from tests.browser.driving import (
    PATIENCE,
    App,
    Settled,
    choose,
    descriptions,
    expect_explained,
    expect_query,
    query,
    tiles,
)

RUN = "group"


@pytest.fixture
def predictions(coloured) -> dict[str, StoredPredictions]:
    """What each variant says of the test images."""
    return {variant_of(run): run.predictions("test") for run in list_runs(coloured.checkpoints)[0]}


def variant_of(run: Run) -> str:
    """What a run goes by where norms are compared."""
    return label_of("norm", "" if run.spec.norm is None else run.spec.norm.name)


@pytest.fixture
def run(coloured) -> Run:
    return next(run for run in list_runs(coloured.checkpoints)[0] if variant_of(run) == RUN)


@pytest.fixture
def failures(page: Page, app: App, settled: Settled) -> Page:
    page.goto(app.at("failures", run=RUN))
    settled(page, PATIENCE)
    expect(tiles(page)).not_to_have_count(0, timeout=PATIENCE)
    return page


def expect_found(page: Page, count: int) -> None:
    expect(page.get_by_text(f"{count} images match the filters")).to_be_visible(timeout=PATIENCE)


def expect_images(page: Page, wanted: set[str]) -> None:
    """Waits until the grid shows its first page of these images and no others."""
    shown: list[str] = []
    for _ in range(300):
        shown = tiles(page).evaluate_all("all => all.map(tile => tile.dataset.id)")
        if set(shown) <= wanted and len(shown) == min(24, len(wanted)):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the grid shows {sorted(set(shown) - wanted)} beside {len(wanted)} wanted images")


def wrong_images(found: StoredPredictions) -> set[str]:
    return {image for image, wrong in zip(found.ids, found.outcomes.wrong, strict=True) if wrong}


def test_a_cell_of_the_matrix_fills_the_grid(failures: Page, predictions: dict[str, StoredPredictions], run: Run):
    stored, classes = predictions[RUN], run.card.classes
    found = stored.outcomes
    counts = confusion(found.predicted, found.labels, len(classes))
    true, seen = max(((i, k) for i in range(3) for k in range(3) if i != k), key=lambda cell: counts[cell])
    before = tiles(failures).count()
    failures.locator(f"path[aria-label*='predicted: {classes[seen]}; true: {classes[true]};']").click(force=True)
    expect_query(failures, true=classes[true], predicted=classes[seen])
    expect_found(failures, int(counts[true, seen]))
    cell = (found.labels == true) & (found.predicted == seen)
    expect_images(failures, {image for image, chosen in zip(stored.ids, cell, strict=True) if chosen})
    wanted = f"predicted {classes[seen]}, true {classes[true]}"
    assert all(wanted in description for description in descriptions(failures))
    failures.get_by_role("button", name="Reset filters").click()
    expect_query(failures, true=None, predicted=None)
    expect(tiles(failures)).to_have_count(before)
    expect_found(failures, int(found.wrong.sum()))


def test_a_sum_of_the_matrix_stands_for_its_row(failures: Page, predictions: dict[str, StoredPredictions], run: Run):
    found = predictions[RUN].outcomes
    label = run.card.classes[0]
    failures.locator(f"path[aria-label*='predicted: any class; true: {label};']").click(force=True)
    expect_query(failures, true=label, predicted=None)
    expect_found(failures, int((found.wrong & (found.labels == 0)).sum()))


def test_a_bar_of_the_overlap_fills_the_grid(failures: Page, predictions: dict[str, StoredPredictions]):
    bar = failures.locator("path[aria-roledescription='bar']").first
    label = bar.get_attribute("aria-label") or ""
    count = int(re.search(r"images: (\d+)", label)[1])  # type: ignore[index]
    bar.click(force=True)
    expect_query(failures, failed_by="only these")
    expect_found(failures, count)
    failing = set(failures.evaluate("() => new URLSearchParams(location.search).getAll('among')")) or set(predictions)
    wanted = set.intersection(*(wrong_images(predictions[norm]) for norm in failing))
    wanted -= set().union(*(wrong_images(found) for norm, found in predictions.items() if norm not in failing))
    assert len(wanted) == count
    expect_images(failures, wanted)


def last_of_the_filter(found: StoredPredictions, run: Run) -> str:
    """The red image that the run fails on with the least confidence."""
    failed = found.outcomes.wrong & (found.outcomes.labels == run.card.classes.index("red"))
    return found.ids[int(np.flatnonzero(failed)[::-1][found.outcomes.confidence[failed][::-1].argmin()])]


def test_next_and_previous_walk_through_the_filter(failures: Page, predictions: dict[str, StoredPredictions], run: Run):
    choose(failures, "True class", "red")
    expect_query(failures, true="red")
    expect_images(failures, {image for image in wrong_images(predictions[RUN]) if "/red/" in image})
    images = tiles(failures).evaluate_all("all => all.map(tile => tile.dataset.id)")
    last = last_of_the_filter(predictions[RUN], run)
    tiles(failures).first.click()
    dialog = expect_explained(failures, images[0], norms=3)
    dialog.get_by_role("button", name="Previous").click()  # round and round
    expect_query(failures, image=last)
    dialog.get_by_role("button", name="Next").click()
    expect_query(failures, image=images[0])
    dialog.get_by_role("button", name="Next").click()
    expect_query(failures, image=images[1])
    expect_explained(failures, images[1], norms=3)
    failures.keyboard.press("ArrowRight")
    expect_query(failures, image=images[2])
    expect_explained(failures, images[2], norms=3)
    dialog.get_by_role("button", name="Previous").click()
    expect_query(failures, image=images[1])


def test_the_keyboard_alone_opens_and_closes_an_image(failures: Page):
    tiles(failures).first.focus()
    failures.keyboard.press("ArrowRight")
    failures.keyboard.press("ArrowRight")
    image = tiles(failures).nth(2).get_attribute("data-id")
    failures.keyboard.press("Enter")
    dialog = expect_explained(failures, image or "", norms=3)
    failures.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect_query(failures, image=None)


def test_downloads_hold_the_images_that_match(
    failures: Page, predictions: dict[str, StoredPredictions], run: Run, tmp_path: Path
):
    choose(failures, "True class", "red")
    expect_query(failures, true="red")
    found = predictions[RUN]
    red = run.card.classes.index("red")
    wanted = {
        image for image, label in zip(found.ids, found.outcomes.labels, strict=True) if label == red
    } & wrong_images(found)
    expect_found(failures, len(wanted))
    table = download(failures, "Images as CSV", tmp_path / "images.csv")
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    assert {row["image"] for row in rows} == wanted
    assert {row["label"] for row in rows} == {"red"}
    archive = zipfile.ZipFile(io.BytesIO(download(failures, "Heatmaps as ZIP", tmp_path / "maps.zip")))
    assert len([name for name in archive.namelist() if name.endswith(".png")]) == len(wanted)
    assert archive.read("images.csv") == table


def download(page: Page, button: str, path: Path) -> bytes:
    with page.expect_download(timeout=PATIENCE) as begun:
        page.get_by_role("button", name=button).click()
    begun.value.save_as(path)
    return path.read_bytes()


def test_the_copied_link_is_the_view(open_page, app: App, settled: Settled):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(app.at("failures", run=RUN))
    settled(page, PATIENCE)
    choose(page, "Predicted class", "blue")
    expect_query(page, predicted="blue")
    page.get_by_role("button", name="Copy link to this view").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("() => navigator.clipboard.readText()")
    assert link == page.url
    other = open_page()
    other.goto(link)
    settled(other, PATIENCE)
    expect_images(other, set(tiles(page).evaluate_all("all => all.map(tile => tile.dataset.id)")))
    assert query(other) == query(page)
    assert descriptions(other) == descriptions(page)
