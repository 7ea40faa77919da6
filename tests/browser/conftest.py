"""Drives the app as a person does: a Streamlit server of its own and a real Chromium."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from benchmarks.browser import (
    ROOT,
    VIEWPORT,
    ChromiumMissing,
    Server,
    launch_chromium,
    launch_server,
    wait_until_settled,
)
from explorer.runs import Choice, DatasetRef, Predictions, Run, list_runs, write_run
from explorer.runs.weights import build_model_of
from tests.browser.driving import App

# Streamlit's page first asks for these below the path of a deep link, then below the root: the first answer is 404.
HARMLESS_404 = ("/_stcore/health", "/_stcore/host-config")

StartServer = Callable[..., Server]
OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("browser")


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """`start_server(script, env)` -> Server, healthy. Afterwards it is stopped, and its log must hold no complaint."""
    servers: list[Server] = []

    def start(script: Path, env: Mapping[str, str] | None = None) -> Server:
        server = launch_server(script, tmp_path_factory.mktemp("server") / "log.txt", env)
        servers.append(server)
        server.wait_for_health()
        return server

    yield start
    for server in servers:
        server.stop()
    logs = [server.log.read_text() for server in servers]
    complaints = [log for log in logs if "Traceback" in log or "warning" in log.lower()]
    assert not complaints, f"the server's log holds a traceback or a warning:\n{complaints[0]}"


@pytest.fixture(scope="module")
def app(start_server, coloured, tmp_path_factory: pytest.TempPathFactory) -> App:
    """The app on the coloured runs, one of another architecture, and one on a copy of their images named shapes."""
    root = tmp_path_factory.mktemp("app")
    checkpoints = copytree(coloured.checkpoints, root / "checkpoints")
    images = copytree(coloured.images, tmp_path_factory.mktemp("shapes") / "shapes")
    original = list_runs(checkpoints)[0][0]
    shapes = DatasetRef("shapes", f"folder:{images}")
    write_like(original, checkpoints, dataset=shapes)
    write_like(original, checkpoints, architecture=Choice("resnet14", original.spec.architecture.arguments))
    environment = {"NORMSCOPE_CHECKPOINTS": str(checkpoints), "NORMSCOPE_CACHE": str(coloured.cache)}
    return App(start_server(ROOT / "app.py", environment).url)


def write_like(run: Run, root: Path, **changes: object) -> None:
    """Writes a run like another, with changes in its card and with weights that nobody trained."""
    card = replace(run.card, spec=replace(run.spec, **changes))
    write_run(root, card, build_model_of(card).state_dict(), run.history(), read_back(run))


def read_back(run: Run) -> dict[str, Predictions]:
    """The stored predictions of val and test as what can be written again."""
    found = {}
    for split in ("val", "test"):
        stored = run.predictions(split)
        assert stored.probabilities is not None
        probabilities = np.concatenate(list(stored.probabilities.blocks()))
        found[split] = Predictions(list(stored.ids), stored.outcomes.labels, probabilities)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Per module: a sync Playwright keeps an event loop running, which tests elsewhere must not meet."""
    expect.set_options(timeout=60_000)  # how busy the machine is must not decide a test
    with sync_playwright() as playwright:
        try:
            chromium = launch_chromium(playwright)
        except ChromiumMissing as missing:
            pytest.fail(str(missing)) if os.environ.get("CI") == "true" else pytest.skip(str(missing))
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """`open_page(**context_options)` -> a page in a fresh profile, as in `open_page(color_scheme="dark")`.

    At the end it is an error if any page logged an error, threw one, or asked another machine for anything.
    """
    problems: list[str] = []
    contexts = []

    def open_one(**options: Any) -> Page:
        defaults: dict[str, Any] = {"viewport": VIEWPORT, "reduced_motion": "reduce"}
        context = browser.new_context(**(defaults | options))
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.extend(_problems_of_message(message)))
        page.on("pageerror", lambda error: problems.append(f"uncaught: {error}"))
        page.on("request", lambda request: problems.extend(_problems_of_request(request)))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not problems, "the browser met problems:\n" + "\n".join(problems)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """One page, 1280 x 900, light."""
    return open_page()


@pytest.fixture
def settled() -> Callable[[Page], None]:
    """`settled(page, timeout)` returns once the app is connected and drawn."""
    return wait_until_settled


def _problems_of_message(message: ConsoleMessage) -> list[str]:
    url = message.location.get("url", "")
    harmless = "404" in message.text and url.endswith(HARMLESS_404)
    return [f"console: {message.text} ({url})"] if message.type == "error" and not harmless else []


def _problems_of_request(request: Request) -> list[str]:
    address = urlsplit(request.url)
    local = address.scheme in ("blob", "data") or address.hostname == "127.0.0.1"
    return [] if local else [f"request to another machine: {request.url}"]
