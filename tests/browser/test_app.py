"""The app in a real browser: open every page, click a failure, upload an image, follow a link."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from explorer.architectures import build_model
from explorer.runs import Choice, Run, list_runs, write_run

ROOT = Path(__file__).parents[2]
PATHS = ("", "failures", "classes", "your-image", "training", "capacity", "learn")
PATIENCE = 120_000  # milliseconds; the first view of a page imports and computes, beside whatever else runs
WIDTHS = "images => images.map(image => image.naturalWidth)"

PAINTED = """canvases => canvases.every(canvas => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return canvas.width > 1 && new Set(pixels).size > 20;
})"""

Settled = Callable[..., None]


@dataclass(frozen=True)
class App:
    """A server of the app with runs on two data sets, colours and shapes, by two architectures."""

    url: str

    def at(self, path: str = "", **query: str) -> str:
        """The address of a page, on the three runs of resnet8 on colours unless the query says otherwise."""
        return f"{self.url}/{path}?{urlencode({'dataset': 'colours', 'architecture': 'resnet8'} | query)}"


@pytest.fixture(scope="module")
def app(start_server, coloured, tmp_path_factory: pytest.TempPathFactory) -> App:
    """The app on the coloured runs, one of another architecture, and one on a copy of their images named shapes."""
    root = tmp_path_factory.mktemp("app")
    checkpoints = copytree(coloured.checkpoints, root / "checkpoints")
    images = copytree(coloured.images, coloured.images.with_name("shapes"))
    original = list_runs(checkpoints)[0][0]
    write_like(original, checkpoints, dataset=replace(original.card.dataset, name=f"folder:{images}"))
    write_like(original, checkpoints, architecture=Choice("resnet14", original.card.architecture.arguments))
    environment = {"NORMSCOPE_CHECKPOINTS": str(checkpoints), "NORMSCOPE_CACHE": str(coloured.cache)}
    return App(start_server(ROOT / "app.py", environment).url)


def write_like(run: Run, root: Path, **changes: object) -> None:
    """Writes a run like another, with changes in its card and with weights that nobody trained."""
    card = replace(run.card, **changes)
    classes, arguments = len(card.classes), card.architecture.arguments
    model = build_model(card.architecture.name, card.norm.name, classes=classes, architecture_arguments=arguments)
    stored = {split: run.predictions(split) for split in ("val", "test")}
    write_run(root, card, model.state_dict(), run.history(), stored)


def tiles(page: Page) -> Locator:
    """The tiles of the grid of failures."""
    return page.get_by_role("group", name="Test images").get_by_role("button")


def descriptions(page: Page) -> list[str]:
    return tiles(page).evaluate_all("all => all.map(tile => tile.getAttribute('aria-label'))")


def query(page: Page) -> dict[str, str]:
    """The query of the page's address."""
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def expect_query(page: Page, **wanted: str | None) -> None:
    """Waits until the address has these values; None stands for a key that is not there, as for a default."""
    for key, value in wanted.items():
        has = "([key, value]) => new URLSearchParams(location.search).get(key) === value"
        page.wait_for_function(has, arg=[key, value])


def choose(page: Page, label: str, option: str) -> None:
    """Picks an option of the selectbox with that label; a run that ends just then closes its list: then again."""
    box = page.get_by_test_id("stSelectbox").filter(has_text=label).get_by_role("combobox")
    wanted = page.get_by_role("option", name=option, exact=True)
    for _ in range(10):
        box.click()
        try:
            wanted.click(timeout=6_000)
            return
        except PlaywrightTimeout:
            page.keyboard.press("Escape")
    raise AssertionError(f"the list of {label!r} never offered {option!r}")


def expect_pictures(images: Locator, count: int) -> None:
    """Waits until there are `count` pictures and each has arrived."""
    expect(images).to_have_count(count, timeout=PATIENCE)
    for image in images.all():
        expect(image).to_have_js_property("complete", True)
    assert all(width > 0 for width in images.evaluate_all(WIDTHS))


def expect_explained(page: Page, image: str, norms: int) -> Locator:
    """The dialog, once it shows an image and the heatmaps of every norm for the predicted and for the true class."""
    dialog = page.get_by_role("dialog")
    expect_pictures(dialog.get_by_role("img"), 1)
    expect(dialog).to_contain_text(image)
    for question in ("Why this answer?", "Where is"):
        maps = dialog.get_by_role("group", name=question).locator("canvas")
        expect(maps).to_have_count(norms, timeout=PATIENCE)
        page.wait_for_function(PAINTED, arg=[map.element_handle() for map in maps.all()])
    return dialog


def open_every_page(page: Page, url: str, settled: Settled) -> None:
    """Follows each link of the navigation; each page has its own title and shows no alarm."""
    page.goto(url)
    settled(page, PATIENCE)
    links = page.get_by_test_id("stSidebarNavLink")
    expect(links).to_have_count(len(PATHS))
    titles = set()
    for number, path in enumerate(PATHS):
        links.nth(number).click()
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
    image = tiles(page).first.get_attribute("data-id")
    tiles(page).first.click()
    expect_explained(page, image, norms=page.get_by_test_id("stButtonGroup").first.get_by_role("radio").count())


def test_a_click_on_a_failure_opens_it_and_escape_closes_it(page: Page, app: App, settled: Settled):
    page.goto(app.at("failures", run="group"))
    settled(page, PATIENCE)
    for number in (2, 2, 5):  # the same one opens again
        tile = tiles(page).nth(number)
        image, _, description = tile.get_attribute("aria-label").partition(": ")
        predicted, true = (description.split(word)[1].split(",")[0] for word in ("predicted ", "truly "))
        tile.click()
        dialog = expect_explained(page, image, norms=3)
        expect(dialog.get_by_role("heading", name=true)).to_be_visible()
        expect(dialog.get_by_role("button", name=predicted)).not_to_have_count(0)
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
    image = tile.get_attribute("data-id")
    tile.click()
    expect_explained(page, image, norms=3)
    assert urlsplit(page.url).path == "/failures"
    expect_query(page, image=image, run="group", architecture="resnet8")


def test_an_upload_gets_one_heatmap_per_norm(page: Page, app: App, coloured, settled: Settled):
    page.goto(app.at("your-image"))
    settled(page, PATIENCE)
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(coloured.images / "train" / "red" / "00.png")
    expect(page.get_by_text("Remove your image")).to_be_visible(timeout=PATIENCE)
    settled(page, PATIENCE)
    expect_pictures(page.get_by_test_id("stImage").get_by_role("img"), 4)
    for norm in ("batch", "group", "none"):
        expect(page.get_by_test_id("stImage").get_by_role("img", name=f"{norm}: ")).to_have_count(1)


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
    image = tiles(page).nth(1).get_attribute("data-id")
    tiles(page).nth(1).click()
    expect_explained(page, image, norms=3)
    assert {"run", "true", "heatmaps", "image", "architecture"} <= set(query(page))

    other = open_page()
    other.goto(page.url)
    settled(other, PATIENCE)
    expect_explained(other, image, norms=3)
    assert other.get_by_role("dialog").inner_text() == page.get_by_role("dialog").inner_text()
    assert descriptions(other) == descriptions(page)
    assert all("truly red" in description for description in descriptions(other))
    assert sheet(other) == sheet(page)


def sheet(page: Page) -> list[str]:
    """What is drawn on each tile."""
    return tiles(page).evaluate_all("all => all.map(tile => tile.querySelector('canvas').toDataURL())")


def test_the_chosen_runs_stay_chosen_on_every_page(page: Page, app: App, settled: Settled):
    page.goto(app.url)
    settled(page, PATIENCE)
    choose(page, "Data set", "shapes")
    expect_query(page, dataset="shapes")
    for number, path in enumerate(PATHS):
        page.get_by_test_id("stSidebarNavLink").nth(number).click()
        page.wait_for_function("path => location.pathname === path", arg=f"/{path}")
        settled(page, PATIENCE)
        expect_query(page, dataset="shapes")
    choose(page, "Data set", "colours")
    expect_query(page, dataset="colours", architecture="resnet8")
    choose(page, "Architecture", "resnet14")
    expect_query(page, architecture="resnet14")
    choose(page, "Architecture", "resnet8")
    expect_query(page, architecture="resnet8")
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Failures").click()
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
