"""The app in a real browser: open every page, click a failure, upload an image, follow a link."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import (
    PATHS,
    PATIENCE,
    ROOT,
    TITLES,
    App,
    Settled,
    choose,
    descriptions,
    expect_explained,
    expect_painted,
    expect_query,
    follow,
    image_of,
    query,
    tiles,
)


def open_every_page(page: Page, url: str, settled: Settled) -> None:
    """Follows each link of the navigation; each page has its own title and shows no alarm."""
    page.goto(url)
    settled(page, PATIENCE)
    titles = set()
    for title, path in zip(TITLES, PATHS, strict=True):
        follow(page, title)
        page.wait_for_function("path => location.pathname === path", arg=f"/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE)
        settled(page, PATIENCE)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        titles.add(page.get_by_role("heading", level=1).inner_text())
        expect(page.get_by_test_id("stAlert")).to_have_count(0)
    assert len(titles) == len(PATHS)


def test_every_page_opens(page: Page, app: App, settled: Settled):
    open_every_page(page, app.at(), settled)


def test_every_page_opens_on_the_committed_runs(page: Page, start_server, settled: Settled, tmp_path: Path):
    committed = ROOT / "checkpoints"
    assert (committed / "elpv").is_dir(), f"expected the runs of the repository in {committed / 'elpv'}"
    server = start_server(
        ROOT / "app.py", {"NORMSCOPE_CHECKPOINTS": str(committed), "NORMSCOPE_CACHE": str(tmp_path / "cache")}
    )
    open_every_page(page, server.url, settled)
    page.goto(f"{server.url}/failures")
    settled(page, PATIENCE)
    image = image_of(tiles(page).first)
    tiles(page).first.click()
    expect_explained(page, image, norms=page.get_by_test_id("stButtonGroup").first.get_by_role("radio").count())


def test_a_click_on_a_failure_opens_it_and_escape_closes_it(page: Page, app: App, settled: Settled):
    page.goto(app.at("failures", run="group"))
    settled(page, PATIENCE)
    for number in (2, 2, 5):  # the same one opens again
        tile = tiles(page).nth(number)
        image, _, description = (tile.get_attribute("aria-label") or "").partition(": ")
        predicted, true = (description.split(word)[1].split(",")[0] for word in ("predicted ", "true "))
        tile.click()
        dialog = expect_explained(page, image, norms=3)
        expect(dialog.get_by_role("heading", name=true)).to_be_visible()
        expect(dialog.get_by_role("img", name=predicted)).not_to_have_count(0)
        expect_query(page, image=image)
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect_query(page, image=None, run="group")
    settled(page, PATIENCE)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_click_on_a_wrong_image_of_a_class_opens_it_among_the_failures(page: Page, app: App, settled: Settled):
    page.goto(app.at("classes", **{"class": "red"}))
    settled(page, PATIENCE)
    tile = page.locator(".gallery button[data-tone=wrong]").last
    image = image_of(tile)
    tile.click()
    expect_explained(page, image, norms=3)
    assert urlsplit(page.url).path == "/failures"
    expect_query(page, image=image, run="no norm", architecture="resnet8")


def test_an_upload_gets_one_heatmap_per_norm(page: Page, app: App, coloured, settled: Settled):
    page.goto(app.at("your-image"))
    settled(page, PATIENCE)
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(coloured.images / "train" / "red" / "00.png")
    expect(page.get_by_text("Remove your image")).to_be_visible(timeout=PATIENCE)
    settled(page, PATIENCE)
    expect_painted(page, "00.png", 4)
    for norm in ("batch", "group", "no norm"):
        expect(page.get_by_role("img", name=f"{norm}, stage ")).to_have_count(1)


def test_a_link_shows_the_same_view_to_somebody_else(page: Page, open_page, app: App, settled: Settled):
    page.goto(app.at("failures"))
    settled(page, PATIENCE)
    page.get_by_role("radio", name="group").click()
    expect_query(page, run="group")
    choose(page, "True class", "red")
    expect_query(page, true="red")
    page.get_by_text("Heatmaps", exact=True).click()
    expect_query(page, heatmaps="true")
    settled(page, PATIENCE)
    image = image_of(tiles(page).nth(1))
    tiles(page).nth(1).click()
    expect_explained(page, image, norms=3)
    assert {"run", "true", "heatmaps", "image", "architecture"} <= set(query(page))

    other = open_page()
    other.goto(page.url)
    settled(other, PATIENCE)
    expect_explained(other, image, norms=3)
    assert other.get_by_role("dialog").inner_text() == page.get_by_role("dialog").inner_text()
    assert descriptions(other) == descriptions(page)
    assert all("true red" in description for description in descriptions(other))
    assert sheet(other) == sheet(page)


def sheet(page: Page) -> list[str]:
    """What is drawn on each tile."""
    return tiles(page).evaluate_all("all => all.map(tile => tile.querySelector('canvas').toDataURL())")


def test_the_chosen_runs_stay_chosen_on_every_page(page: Page, app: App, settled: Settled):
    page.goto(app.url)
    settled(page, PATIENCE)
    choose(page, "Data set", "shapes")
    expect_query(page, dataset="shapes")
    for title, path in zip(TITLES, PATHS, strict=True):
        follow(page, title)
        page.wait_for_function("path => location.pathname === path", arg=f"/{path}")
        settled(page, PATIENCE)
        expect_query(page, dataset="shapes")
    choose(page, "Data set", "colours")
    expect_query(page, dataset="colours", architecture="resnet8")
    choose(page, "Architecture", "resnet14")
    expect_query(page, architecture="resnet14")
    choose(page, "Architecture", "resnet8")
    expect_query(page, architecture="resnet8")
    follow(page, "Failures")
    expect(page.get_by_role("radio", name="group")).to_be_visible(timeout=PATIENCE)
    expect_query(page, architecture="resnet8")


@pytest.mark.parametrize("path", PATHS)
def test_a_narrow_screen_never_scrolls_sideways(open_page, app: App, settled: Settled, path: str):
    page = open_page(viewport={"width": 420, "height": 900})
    page.goto(app.at(path))
    settled(page, PATIENCE)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE)
    overhang = "element => element.scrollWidth - element.clientWidth"
    assert page.get_by_test_id("stMain").evaluate(overhang) <= 0
    assert page.locator("html").evaluate(overhang) <= 0


def test_a_dark_browser_gets_dark_pages(open_page, app: App, settled: Settled):
    page = open_page(color_scheme="dark")
    open_every_page(page, app.at(), settled)
    background = page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
    assert all(int(part) < 60 for part in background.removeprefix("rgb(").removesuffix(")").split(","))
