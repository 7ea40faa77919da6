"""How long a person waits for the app, measured in a real Chromium, from the click until the pictures are there.

    pip install -r requirements-benchmarks.txt   # and Chromium on the PATH
    python -m benchmarks.app

The app runs on the committed runs, or on those that NORMSCOPE_CHECKPOINTS names. Every repeat is a new server and a new
browser profile: the first page, each other page for the first and for the second time, then clicks on failures that
were not opened before, filters and pages of the grid. A page counts as there when its run is over, nothing is still
loading, every picture has arrived and every chart is drawn.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.browser import ROOT, VIEWPORT, launch_chromium, launch_server, wait_until_settled
from benchmarks.timing import print_provenance, print_table, verdict

PATIENCE = 120_000  # milliseconds
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
const tiles = () => all('[data-testid=stBidiComponentIsolated]')
  .flatMap(frame => [...frame.shadowRoot.querySelectorAll('.gallery button')])
  .map(tile => tile.dataset.id).join();
const milliseconds = () => performance.now() - (window.clickedAt ?? 0);
"""
NEW_TITLE = f"before => {{ {DRAWN} return title() && title() !== before && drawn() && milliseconds(); }}"
NEW_TILES = f"before => {{ {DRAWN} return tiles() !== before && drawn() && milliseconds(); }}"
DIALOG = f"() => {{ {DRAWN} return all('[role=dialog] img').length && drawn() && milliseconds(); }}"
TITLE, TILES = (f"() => {{ {DRAWN} return {what}(); }}" for what in ("title", "tiles"))

Seconds = dict[str, list[float]]


def seconds_from(click: Callable[[], object], page: Page, there: str, before: str | None = None) -> float:
    """The seconds from a click until the JavaScript function `there`, asked at every frame, says yes to `before`."""
    page.evaluate(START)
    click()
    return page.wait_for_function(there, arg=before, timeout=PATIENCE).json_value() / 1000


def visit_pages(page: Page, seconds: Seconds, when: str, first: int) -> None:
    """Follows the links of the navigation from number `first` on."""
    links = page.get_by_test_id("stSidebarNavLink")
    for number in range(first, links.count()):
        name = links.nth(number).inner_text().split("\n")[-1]  # above it stands the name of its icon
        taken = seconds_from(links.nth(number).click, page, NEW_TITLE, page.evaluate(TITLE))
        seconds[f"{name}, {when}"].append(taken)


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


def measure(browser: Browser, seconds: Seconds, clicks: int) -> None:
    """One repeat: a new server and a new profile."""
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
            visit_pages(page, seconds, "first time", first=1)
            visit_pages(page, seconds, "again", first=0)
            for act in (open_failures, filter_failures, turn_pages):
                page.goto(f"{server.url}/failures")  # anew: no dialog that is still closing takes the next click
                wait_until_settled(page, PATIENCE)
                expect(page.locator(".gallery button")).not_to_have_count(0, timeout=PATIENCE)
                act(page, seconds, clicks)
        finally:
            context.close()
            server.stop()


def aim_for(name: str) -> float | None:
    """The seconds that the median should not exceed."""
    if name in ("first page", "server start"):
        return FIRST_AIM if name == "first page" else None
    return PAGE_AIM if name.endswith((", first time", ", again")) else CLICK_AIM


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="servers that are started one after the other")
    parser.add_argument("--clicks", type=int, default=8, help="clicks of each kind on each server")
    options = parser.parse_args()
    print_provenance("benchmarks.app")
    print(f"Runs: {os.environ.get('NORMSCOPE_CHECKPOINTS', 'the committed ones')}; {options.repeats} servers.\n")
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
