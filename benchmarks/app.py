"""How long a person waits for the app, measured in a real Chromium, from the click until the pictures are there.

    pip install -r requirements-benchmarks.txt   # and Chromium on the PATH
    python -m benchmarks.app

The app runs on the committed runs, or on those that NORMSCOPE_CHECKPOINTS names. Every repeat is two new servers, each
with a new browser profile. On one, the Failures page is opened as soon as the first page is there. On the other, the
first page is read for five seconds, then come each other page for the first and for the second time, clicks on failures
that were not opened before, filters and pages of the grid. A page counts as there when its run is over, nothing is
still loading, every picture has arrived and every chart is drawn.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.browser import ROOT, VIEWPORT, launch_chromium, launch_server, wait_until_settled
from benchmarks.timing import print_provenance, print_table, verdict

PATIENCE = 120_000  # milliseconds
READING = 5_000  # milliseconds; the server imports torch meanwhile
CLICK_AIM, PAGE_AIM, FIRST_AIM = 0.2, 1.0, 4.0
# The clock is the browser's: it starts with the click itself, or else with the navigation, at 0.
START = "() => addEventListener('click', () => { window.clickedAt = performance.now(); }, {capture: true, once: true})"
DRAWN = """
const all = selector => [...document.querySelectorAll(selector)];
const drawn = () => all('[data-test-connection-state=CONNECTED][data-test-script-state=notRunning]').length
  && !all('[data-testid=stSkeleton]').length
  && all('img').every(image => image.complete)
  && all('[data-testid=stVegaLiteChart]').every(chart => chart.querySelector('canvas, svg'));
const title = () => document.querySelector('h1')?.innerText;
const inGalleries = (selector, place = '') => all(`${place} [data-testid=stBidiComponentIsolated]`)
  .flatMap(frame => [...(frame.shadowRoot?.querySelectorAll(`.gallery ${selector}`) ?? [])]);
const tiles = () => inGalleries('button').map(tile => tile.dataset.id).join();
const milliseconds = () => performance.now() - (window.clickedAt ?? 0);
"""
NEW_TITLE = f"before => {{ {DRAWN} return title() && title() !== before && drawn() && milliseconds(); }}"
NEW_TILES = f"before => {{ {DRAWN} return tiles() !== before && drawn() && milliseconds(); }}"
HEATMAPS = "all('[role=dialog] img').length && inGalleries('canvas', '[role=dialog]').length"
DIALOG = f"() => {{ {DRAWN} return {HEATMAPS} && drawn() && milliseconds(); }}"
TITLE, TILES = (f"() => {{ {DRAWN} return {what}(); }}" for what in ("title", "tiles"))

LINK = "stPageLink-NavLink"  # of the menu
Seconds = dict[str, list[float]]


def seconds_from(click: Callable[[], object], page: Page, there: str, before: str | None = None) -> float:
    """The seconds from a click until the JavaScript function `there`, asked at every frame, says yes to `before`."""
    page.evaluate(START)
    click()
    return page.wait_for_function(there, arg=before, timeout=PATIENCE).json_value() / 1000


def visit_page(page: Page, seconds: Seconds, number: int, when: str) -> None:
    """Follows a link of the navigation."""
    link = page.get_by_test_id(LINK).nth(number)
    name = link.inner_text().split("\n")[-1]  # above it stands the name of its icon
    seconds[f"{name}, {when}"].append(seconds_from(link.click, page, NEW_TITLE, page.evaluate(TITLE)))


def open_failures(page: Page, seconds: Seconds, clicks: int) -> None:
    """Clicks tiles of the grid, from the last one on, and closes what opens."""
    tiles = page.locator(".gallery button")
    for number in range(min(clicks, tiles.count())):
        seconds["click on a failure"].append(seconds_from(tiles.nth(-1 - number).click, page, DIALOG))
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0, timeout=PATIENCE)
        # Closing runs the page once more, and what that run ends with is the address without the image.
        page.wait_for_function("() => !new URLSearchParams(location.search).has('image')", timeout=PATIENCE)
        wait_until_settled(page, PATIENCE)


def filter_failures(page: Page, seconds: Seconds, clicks: int) -> None:
    """Chooses one true class after the other; unfolding the list is not counted."""
    box = page.get_by_test_id("stSelectbox").filter(has_text="True class").get_by_role("combobox")
    options = page.get_by_role("option")
    for number in range(1, clicks + 1):
        box.click()
        expect(options).not_to_have_count(0, timeout=PATIENCE)
        option = options.nth(number % options.count())
        seconds["filter"].append(seconds_from(option.click, page, NEW_TILES, page.evaluate(TILES)))
        expect(options).to_have_count(0, timeout=PATIENCE)


def turn_pages(page: Page, seconds: Seconds, clicks: int) -> None:
    """Goes to the next page of the grid, as often as there is one."""
    for _ in range(clicks):
        following = page.get_by_test_id("stPaginationNext")
        if not following.count() or following.is_disabled():
            return
        taken = seconds_from(following.click, page, NEW_TILES, page.evaluate(TILES))
        seconds["next page of the grid"].append(taken)


@contextmanager
def visitor(browser: Browser, seconds: Seconds) -> Iterator[tuple[Page, str]]:
    """A new server and a new profile, with the first page there; the page and the server's address."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        server = launch_server(ROOT / "app.py", Path(folder) / "log.txt")
        context = browser.new_context(viewport=VIEWPORT, reduced_motion="reduce")
        try:
            server.wait_for_health()
            seconds["server start"].append(time.perf_counter() - start)
            page = context.new_page()
            page.goto(server.url)
            arrived = page.wait_for_function(NEW_TITLE, timeout=PATIENCE)
            seconds["first page"].append(arrived.json_value() / 1000)
            yield page, server.url
        finally:
            context.close()
            server.stop()


def measure(browser: Browser, seconds: Seconds, clicks: int) -> None:
    """One repeat: a visitor in a hurry, then one who reads the first page."""
    with visitor(browser, seconds) as (page, _):
        visit_page(page, seconds, 1, "at once after the first page")
    with visitor(browser, seconds) as (page, url):
        page.wait_for_timeout(READING)
        pages = range(page.get_by_test_id(LINK).count())
        for number in pages[1:]:
            visit_page(page, seconds, number, "first time")
        for number in pages:
            visit_page(page, seconds, number, "again")
        for act in (open_failures, filter_failures, turn_pages):
            page.goto(f"{url}/failures")  # anew: no dialog that is still closing takes the next click
            wait_until_settled(page, PATIENCE)
            expect(page.locator(".gallery button")).not_to_have_count(0, timeout=PATIENCE)
            act(page, seconds, clicks)


def aim_for(name: str) -> float | None:
    """The seconds that the median should not exceed."""
    if name in ("first page", "server start"):
        return FIRST_AIM if name == "first page" else None
    return PAGE_AIM if ", " in name else CLICK_AIM


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="how often two servers are started")
    parser.add_argument("--clicks", type=int, default=8, help="clicks of each kind in each repeat")
    options = parser.parse_args()
    print_provenance("benchmarks.app")
    print(f"Runs: {os.environ.get('NORMSCOPE_CHECKPOINTS', 'the committed ones')}; {options.repeats} repeats.\n")
    seconds: Seconds = defaultdict(list)
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        for _ in range(options.repeats):
            measure(browser, seconds, options.clicks)
        browser.close()
    rows = []
    for name, times in seconds.items():
        aim = aim_for(name)
        judged = ("", "") if aim is None else (f"{aim:g} s", verdict(median(times) <= aim))
        rows.append((name, str(len(times)), f"{median(times):.2f} s", f"{max(times):.2f} s", *judged))
    print_table(("", "times", "median", "longest", "aim", "median meets it"), rows)


if __name__ == "__main__":
    main()
