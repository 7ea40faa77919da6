"""Back, Forward, reload and links: each gives the view of its address, and none of them is a dead end."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import (
    PATIENCE,
    App,
    Settled,
    choose,
    expect_explained,
    expect_query,
    follow,
    query,
    tiles,
)


def path_of(page: Page) -> str:
    return urlsplit(page.url).path.strip("/")


def expect_page(page: Page, path: str, settled: Settled) -> None:
    """Waits until a page of the app is shown, with its title and without an alarm."""
    page.wait_for_function("path => location.pathname === '/' + path", arg=path)
    settled(page, PATIENCE)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("No runs yet")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_back_and_forward_between_pages(page: Page, app: App, settled: Settled):
    page.goto(app.url)
    expect_page(page, "", settled)
    first = query(page)
    for title, path in (("Failures", "failures"), ("Training", "training"), ("Classes", "classes")):
        follow(page, title)
        expect_page(page, path, settled)
        assert first.items() <= query(page).items()
    for path in ("training", "failures", ""):
        page.go_back()
        expect_page(page, path, settled)
        assert first.items() <= query(page).items()
    page.go_forward()
    expect_page(page, "failures", settled)
    expect(tiles(page)).not_to_have_count(0, timeout=PATIENCE)


def test_back_from_the_first_address_leaves_the_app(page: Page, app: App, settled: Settled):
    page.goto("about:blank")
    page.goto(app.url)
    expect_page(page, "", settled)
    expect_query(page, dataset="colours")
    page.go_back()
    page.wait_for_url("about:blank")


def test_a_data_set_in_the_address_stays_there_and_a_copied_link_opens_it(
    page: Page, open_page, app: App, settled: Settled
):
    page.goto(f"{app.url}/?dataset=shapes")
    expect_page(page, "", settled)
    expect_query(page, dataset="shapes")
    follow(page, "Failures")
    expect_page(page, "failures", settled)
    expect_query(page, dataset="shapes")
    other = open_page()
    other.goto(page.url)
    expect_page(other, "failures", settled)
    expect_query(other, dataset="shapes")
    assert other.get_by_role("combobox", name="Data set").first.input_value() == "shapes"


def test_a_changed_selector_is_one_step_back(page: Page, app: App, settled: Settled):
    page.goto(app.at("failures"))
    expect_page(page, "failures", settled)
    count = tiles(page).count()
    choose(page, "True class", "red")
    expect_query(page, true="red")
    settled(page, PATIENCE)
    assert tiles(page).count() < count
    page.reload()
    expect_page(page, "failures", settled)
    expect_query(page, true="red")
    assert tiles(page).count() < count
    page.go_back()
    expect_query(page, true=None)
    settled(page, PATIENCE)
    expect(tiles(page)).to_have_count(count)
    page.go_forward()
    expect_query(page, true="red")


def test_back_closes_a_picture_and_forward_opens_it_again(page: Page, app: App, settled: Settled):
    page.goto(app.at("failures", run="group"))
    expect_page(page, "failures", settled)
    image = tiles(page).nth(1).get_attribute("data-id") or ""
    tiles(page).nth(1).click()
    dialog = expect_explained(page, image, norms=3)
    page.go_back()
    expect(dialog).to_have_count(0)
    expect_query(page, image=None, run="group")
    page.go_forward()
    expect_explained(page, image, norms=3)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect_query(page, image=None, run="group")


def test_back_from_a_picture_of_a_class_three_times(page: Page, app: App, settled: Settled):
    page.goto(app.at("classes", **{"class": "red"}))
    expect_page(page, "classes", settled)
    for _ in range(3):
        page.locator(".gallery button[data-tone=wrong]").last.click()
        page.wait_for_function("() => location.pathname === '/failures'")
        expect(page.get_by_role("dialog")).to_be_visible(timeout=PATIENCE)
        for _ in range(4):  # the dialog, and whatever the way there added
            page.go_back()
            page.wait_for_timeout(300)
            if path_of(page) == "classes":
                break
        expect_page(page, "classes", settled)
        expect_query(page, **{"class": "red"})
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_escape_gives_focus_back_to_the_tile(page: Page, app: App, settled: Settled):
    page.goto(app.at("failures", run="group"))
    expect_page(page, "failures", settled)
    image = tiles(page).nth(2).get_attribute("data-id") or ""
    tiles(page).nth(2).click()
    dialog = expect_explained(page, image, norms=3)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(tiles(page).nth(2)).to_be_focused()


def test_the_shared_scale_stands_in_the_address(page: Page, open_page, app: App, settled: Settled):
    page.goto(app.at("failures", run="group"))
    expect_page(page, "failures", settled)
    tiles(page).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("each map on its own scale")).to_be_visible(timeout=PATIENCE)
    dialog.get_by_text("One scale for every norm").click()
    expect_query(page, shared_scale="true")
    other = open_page()
    other.goto(page.url)
    expect(other.get_by_role("dialog").get_by_text("one scale for all")).to_be_visible(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("path", "junk"),
    [
        ("", {"dataset": "nothing", "compare": "colour"}),
        ("", {"reference": "x" * 5000}),
        ("failures", {"true": "[x](http://a.b)", "page": "1e999", "confidence": "a"}),
        ("failures", {"image": "no-such-image", "run": "batch-norm"}),
        ("failures", {"order": "\x00", "failed_by": "none of these"}),
        ("classes", {"class": "purple", "target": "nobody"}),
        ("your-image", {"opacity": "1000", "map_scale": "log"}),
        ("training", {"metric": "speed", "axis": "space"}),
        ("capacity", {"run": "-1"}),
        ("learn", {"draw": "1e999"}),
    ],
)
def test_junk_in_the_address_is_one_line(page: Page, app: App, settled: Settled, path: str, junk: dict[str, str]):
    page.goto(app.at(path, **junk))
    expect_page(page, path, settled)
    line = page.get_by_text("The address asks for what is not here")
    expect(line).to_have_count(1)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(line.get_by_role("link")).to_have_count(0)
