"""What the browser tests share: the app on made-up runs, and the ways to read and to work its pages."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

ROOT = Path(__file__).parents[2]
PATHS = ("", "failures", "classes", "your-image", "training", "capacity", "learn")
TITLES = ("Overview", "Failures", "Classes", "Your image", "Training", "Capacity", "Learn")
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


def tiles(page: Page) -> Locator:
    """The tiles of the grid of failures."""
    return page.get_by_role("group", name="Test images").get_by_role("button")


def image_of(tile: Locator) -> str:
    """The image that a tile shows."""
    image = tile.get_attribute("data-id")
    assert image
    return image


def descriptions(page: Page) -> list[str]:
    return tiles(page).evaluate_all("all => all.map(tile => tile.getAttribute('aria-label'))")


def follow(page: Page, title: str) -> None:
    """Follows a link of the menu."""
    page.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=True).click()


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
    expect_pictures(dialog.get_by_test_id("stImage").get_by_role("img"), 1)
    expect(dialog).to_contain_text(image)
    for question in ("Why this answer?", "Where is"):
        expect_painted(page, question, norms)
    return dialog


def expect_painted(page: Page, group: str, count: int) -> None:
    """Waits until a group of tiles has `count` pictures and each has been drawn."""
    pictures = page.get_by_role("group", name=group).locator("canvas")
    expect(pictures).to_have_count(count, timeout=PATIENCE)
    page.wait_for_function(PAINTED, arg=[picture.element_handle() for picture in pictures.all()])
