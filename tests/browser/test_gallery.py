"""The gallery in a real browser: clicks, keyboard, pictures, and that a rerun keeps what the person was doing."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

# Six tiles in sheet rows of three; on the second sheet four. Every picture is one colour, told by its number.
SCRIPT = """
import io

import streamlit as st
from PIL import Image

from explorer.app.gallery import Tile, show_gallery

second, headed, large = st.toggle("Second sheet"), st.toggle("Headings"), st.toggle("Dialog")
count, green = (4, 200) if second else (6, 0)
sheet = Image.new("RGB", (3 * 8, 2 * 6))
for index in range(count):
    sheet.paste((40 * index, green, 0), (index % 3 * 8, index // 3 * 6, index % 3 * 8 + 8, index // 3 * 6 + 6))
file = io.BytesIO()
sheet.save(file, "PNG")

tiles = [
    Tile(f"image-{index}", f"<b>cell</b> {index}", ("is a", "seen as b"), "wrong", f"cell {index}, is a, seen as b")
    for index in range(count)
]
if st.checkbox("Forget"):
    st.session_state.remembered = None
before = st.session_state.get("gallery")
if before and before.clicked:
    st.session_state.remembered = before.clicked
    st.session_state.clicks = st.session_state.get("clicks", 0) + 1

clicked = show_gallery(
    tiles, file.getvalue(), columns=3, key="gallery", selected=st.session_state.get("remembered"), label="Failures",
    headings=[("Why?", "Upper row."), ("Where?", "Lower row.")] if headed else [],
)
st.write("Only to look at:")
show_gallery(tiles, file.getvalue(), columns=3, key="still", clickable=False, label="Still")


def forget():
    st.session_state.remembered, st.session_state.twice = None, True


if large and st.session_state.get("remembered"):

    @st.dialog("Large", on_dismiss=forget)
    def show_large():
        st.text(st.session_state.remembered)
        if st.button("Next"):
            st.session_state.remembered = "image-3"
            st.rerun()

    show_large()
clicks = st.session_state.get("clicks", 0)
st.text(f"clicked {clicked}, remembered {st.session_state.get('remembered')}, {clicks} in all")
if st.session_state.pop("twice", False):  # a run right after the one that closes the dialog
    st.rerun()
"""
FOCUSED = "() => document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.activeElement?.dataset.id"


@pytest.fixture(scope="module")
def address(start_server, tmp_path_factory: pytest.TempPathFactory) -> str:
    script = tmp_path_factory.mktemp("script") / "demo.py"
    script.write_text(SCRIPT)
    return start_server(script).url


@pytest.fixture
def tiles(page: Page, address: str, settled: Callable[[Page], None]) -> Locator:
    page.goto(address)
    settled(page)
    tiles = page.locator(".gallery button")
    expect(tiles).to_have_count(6)
    expect(page.get_by_role("group", name="Still").get_by_role("img")).to_have_count(6)
    return tiles


def colours(tiles: Locator) -> list[list[int]]:
    centre = "all => all.map(b => [...b.querySelector('canvas').getContext('2d').getImageData(4, 3, 1, 1).data])"
    return tiles.evaluate_all(centre)


def test_a_click_names_its_tile_and_selects_it(page: Page, tiles: Locator):
    tiles.nth(4).click()
    expect(page.get_by_text("clicked image-4, remembered image-4")).to_be_visible()
    expect(tiles.nth(4)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".gallery button[aria-pressed=true]")).to_have_count(1)


def test_headings_make_groups_of_the_rows_and_go_again(page: Page, tiles: Locator):
    tiles.evaluate_all("all => all.forEach((b, i) => { b.numbered = i; })")
    groups = [page.get_by_role("group", name=name).get_by_role("button") for name in ("Why? Upper", "Where? Lower")]
    for count in (3, 0):
        page.get_by_text("Headings").click()
        for group in groups:
            expect(group).to_have_count(count)
        assert page.get_by_text("Why? Upper row.").is_visible() == (count > 0)
        assert tiles.evaluate_all("all => all.map(b => b.numbered)") == [0, 1, 2, 3, 4, 5]
        assert colours(tiles) == [[40 * index, 0, 0, 255] for index in range(6)]


def test_a_click_fires_once_and_again_when_repeated(page: Page, tiles: Locator):
    tiles.nth(1).click()
    expect(page.get_by_text("clicked image-1, remembered image-1, 1 in all")).to_be_visible()
    page.get_by_text("Second sheet").click()
    expect(page.get_by_text("clicked None, remembered image-1, 1 in all")).to_be_visible()
    tiles.nth(1).click()
    expect(page.get_by_text("clicked image-1, remembered image-1, 2 in all")).to_be_visible()


def test_each_tile_shows_its_own_part_of_the_sprite(page: Page, tiles: Locator):
    assert colours(tiles) == [[40 * index, 0, 0, 255] for index in range(6)]
    page.get_by_text("Second sheet").click()
    expect(tiles).to_have_count(4)
    assert colours(tiles) == [[40 * index, 200, 0, 255] for index in range(4)]
    size = tiles.first.evaluate("b => [b.querySelector('canvas').width, b.querySelector('canvas').height]")
    assert size == [8, 6]
    width, height = tiles.first.locator("canvas").evaluate("c => [c.clientWidth, c.clientHeight]")  # without the stripe
    assert width >= 120
    assert height == pytest.approx(width * 6 / 8, abs=1)


def test_the_arrow_keys_move_the_focus_and_enter_and_space_click(page: Page, tiles: Locator):
    tiles.first.focus()
    for key, expected in [("ArrowRight", 1), ("End", 5), ("ArrowRight", 5), ("ArrowLeft", 4), ("Home", 0)]:
        page.keyboard.press(key)
        assert page.evaluate(FOCUSED) == f"image-{expected}"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("clicked image-1")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.get_by_text("clicked image-2")).to_be_visible()


def test_the_grid_is_one_tab_stop(page: Page, tiles: Locator):
    tiles.nth(3).focus()
    assert tiles.evaluate_all("all => all.map(b => b.tabIndex)") == [-1, -1, -1, 0, -1, -1]
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) is None


def test_tiles_that_are_not_clickable_are_pictures_without_a_tab_stop(page: Page, tiles: Locator):
    still = page.get_by_role("group", name="Still").get_by_role("img", name="cell 4, is a, seen as b")
    still.click()
    assert still.evaluate("tile => [tile.tabIndex, getComputedStyle(tile).cursor]") == [-1, "auto"]
    expect(page.get_by_text("clicked None, remembered None, 0 in all")).to_be_visible()
    assert colours(page.get_by_role("group", name="Still").get_by_role("img"))[4] == [160, 0, 0, 255]


def test_a_rerun_keeps_the_nodes_and_the_focus(page: Page, tiles: Locator):
    tiles.evaluate_all("all => all.forEach((b, i) => { b.numbered = i; })")
    tiles.nth(2).focus()
    page.keyboard.press("Enter")
    expect(tiles.nth(2)).to_have_attribute("aria-pressed", "true")
    assert tiles.evaluate_all("all => all.map(b => b.numbered)") == [0, 1, 2, 3, 4, 5]
    assert page.evaluate(FOCUSED) == "image-2"


@pytest.mark.parametrize("way", ["Escape", "Close"])
def test_the_focus_returns_to_the_tile_whose_dialog_is_dismissed(page: Page, tiles: Locator, way: str):
    page.get_by_text("Dialog").click()
    tiles.nth(1).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("image-2")).to_be_visible()
    dismiss(page, way)
    expect(page.get_by_text("remembered None, 1 in all")).to_be_visible()
    page.wait_for_function(f"({FOCUSED})() === 'image-2'")
    page.wait_for_timeout(500)  # what the dialog and the second run do after that
    assert page.evaluate(FOCUSED) == "image-2"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED) == "image-3"


def test_the_focus_goes_to_the_tile_that_the_dialog_showed_last(page: Page, tiles: Locator):
    page.get_by_text("Dialog").click()
    tiles.nth(1).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_text("image-3")).to_be_visible()
    dismiss(page, "Escape")
    page.wait_for_function(f"({FOCUSED})() === 'image-3'")


def test_the_focus_stays_where_the_person_put_it(page: Page, tiles: Locator):
    tiles.nth(1).click()
    expect(tiles.nth(1)).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Forget").focus()
    page.keyboard.press("Space")
    expect(tiles.nth(1)).to_have_attribute("aria-pressed", "false")
    page.wait_for_timeout(300)
    assert page.evaluate(FOCUSED) is None


def dismiss(page: Page, way: str) -> None:
    """Closes the dialog by that key or button."""
    if way == "Close":
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
    else:
        page.keyboard.press(way)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_captions_are_text_and_the_description_is_the_name(page: Page, tiles: Locator):
    expect(tiles.first.locator(".caption > span")).to_have_text(["<b>cell</b> 0", "is a", "seen as b"])
    expect(page.get_by_role("group", name="Failures")).to_be_visible()
    expect(page.get_by_role("button", name="cell 5, is a, seen as b")).to_be_visible()


def test_a_narrow_screen_has_two_columns_and_arrow_down_moves_a_row(open_page, address: str, settled):
    page = open_page(viewport={"width": 320, "height": 800})
    page.goto(address)
    settled(page)
    tiles = page.locator(".gallery button")
    expect(tiles).to_have_count(6)
    lefts = tiles.evaluate_all("all => all.map(b => b.offsetLeft)")
    assert len(set(lefts)) == 2
    tiles.first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED) == "image-2"
