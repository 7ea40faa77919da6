"""Names are text: classes, files, runs and data sets that are called like Markdown, links or pictures do nothing."""

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.driving import PATHS, PATIENCE, ROOT, App, Settled, tiles
from tests.conftest import write_pictures

# `open_page` fails a test whose pages ask another machine for anything.
CLASSES = ("![x](http:::bad.invalid:x.png)", "[link](http:::bad.invalid)", "$x^2$ :red[a] <b>b<", "any class")
DATASET = "**bold** [d](http:::bad.invalid)"


@pytest.fixture(scope="module")
def hostile(start_server, tmp_path_factory: pytest.TempPathFactory) -> App:
    """The app on a data set whose every name is hostile, with two runs; a slash in a name is a colon here."""
    from train.job import Job, train_run
    from train.recipes import Recipe

    root = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(3)
    for name in CLASSES:
        write_pictures(root / DATASET / name, rng.choice(["blue", "green", "red"], 12), rng)
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.01, precision="fp32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NORMSCOPE_CACHE", str(root / "cache"))
        for norm in ("batch", "group"):
            job = Job(f"folder:{root / DATASET}", "resnet8", norm, recipe, size=32, out=root / "checkpoints")
            train_run(job, quiet=True)
    environment = {"NORMSCOPE_CHECKPOINTS": str(root / "checkpoints"), "NORMSCOPE_CACHE": str(root / "cache")}
    return App(start_server(ROOT / "app.py", environment).url)


def expect_text_only(page: Page) -> None:
    """Nothing of the names was taken for a link, a picture, a formula or a mark."""
    app, main = page.get_by_test_id("stApp"), page.get_by_test_id("stMain")
    foreign = "() => [...document.links].filter(link => link.hostname !== location.hostname).map(link => link.href)"
    assert page.evaluate(foreign) == []
    expect(app.locator("img[src*=bad]")).to_have_count(0)
    expect(main.locator("strong >> text=bold")).to_have_count(0)
    if "/learn" not in page.url:
        expect(main.locator(".katex")).to_have_count(0)
    expect(main.locator("b")).to_have_count(0)
    expect(app.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.parametrize("path", PATHS)
def test_no_page_takes_a_name_for_more_than_text(page: Page, hostile: App, settled: Settled, path: str):
    page.goto(f"{hostile.url}/{path}")
    settled(page, PATIENCE)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE)
    expect_text_only(page)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_of_any_name_can_be_chosen_by_link(page: Page, hostile: App, settled: Settled, name: str):
    from urllib.parse import urlencode

    page.goto(f"{hostile.url}/failures?{urlencode({'true': name})}")
    settled(page, PATIENCE)
    expect(page.get_by_text("The address asks for what is not here")).to_have_count(0)
    shown = tiles(page).evaluate_all("all => all.map(tile => tile.dataset.id)")
    assert all(f"/{name}/" in f"/{image}" for image in shown)
    if shown:
        tiles(page).first.click()
        expect(page.get_by_role("dialog")).to_be_visible(timeout=PATIENCE)
        settled(page, PATIENCE)
    expect_text_only(page)
