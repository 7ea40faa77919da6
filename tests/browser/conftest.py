"""Drives the app as a person does: a Streamlit server of its own and a real Chromium."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTLED = "[data-testid=stApp][data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"
# Streamlit's page first asks for these below the path of a deep link, then below the root: the first answer is 404.
HARMLESS_404 = ("/_stcore/health", "/_stcore/host-config")


@dataclass(frozen=True)
class Server:
    """A running `streamlit run`: its address without a trailing slash, its process and the file that holds its log."""

    url: str
    process: subprocess.Popen
    log: Path


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
        server = _launch(script, env or {}, tmp_path_factory.mktemp("server") / "log.txt")
        servers.append(server)
        _wait_for_health(server)
        return server

    yield start
    for server in servers:
        _stop(server)
    logs = [server.log.read_text() for server in servers]
    complaints = [log for log in logs if "Traceback" in log or "warning" in log.lower()]
    assert not complaints, f"the server's log holds a traceback or a warning:\n{complaints[0]}"


@pytest.fixture(scope="module")
def app_server(start_server: StartServer) -> Server:
    """A server of the real app on the committed runs, or on those that NORMSCOPE_CHECKPOINTS names."""
    return start_server(ROOT / "app.py")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Per module: a sync Playwright keeps an event loop running, which tests elsewhere must not meet."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        missing = "expected `chromium` or `chromium-browser` on the PATH, found neither; install it (apt: chromium)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    expect.set_options(timeout=15_000)  # the default 5 s is short for a first page on a busy machine
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """`open_page(**context_options)` -> a page in a fresh profile, as in `open_page(color_scheme="dark")`.

    At the end it is an error if any page logged an error, threw one, or asked another machine for anything.
    """
    problems: list[str] = []
    contexts = []

    def open_one(**options: object) -> Page:
        defaults = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
        context = browser.new_context(**(defaults | options))
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
    """`settled(page)` returns once the app is connected and drawn; it fails where an exception is shown.

    The state can be read before a click has started its run: after a click, `expect` the outcome instead.
    """

    def wait(page: Page, timeout: float = 30_000) -> None:
        page.wait_for_selector(SETTLED, timeout=timeout)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=timeout)
        shown = page.get_by_test_id("stException").all_inner_texts()
        assert not shown, f"the app shows an exception:\n{shown[0]}"

    return wait


def _launch(script: Path, env: Mapping[str, str], log: Path) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += ["--server.port", str(port), "--server.headless", "true"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | dict(env)  # scripts outside the repository import explorer
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    return Server(f"http://127.0.0.1:{port}", process, log)


def _wait_for_health(server: Server, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not _is_healthy(server):
        if server.process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the server did not become healthy within {seconds:g} s; its log:\n{server.log.read_text()}")
        time.sleep(0.1)


def _is_healthy(server: Server) -> bool:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _stop(server: Server) -> None:
    server.process.terminate()
    try:
        server.process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


def _problems_of_message(message: ConsoleMessage) -> list[str]:
    url = message.location.get("url", "")
    harmless = "404" in message.text and url.endswith(HARMLESS_404)
    return [f"console: {message.text} ({url})"] if message.type == "error" and not harmless else []


def _problems_of_request(request: Request) -> list[str]:
    address = urlsplit(request.url)
    local = address.scheme in ("blob", "data") or address.hostname == "127.0.0.1"
    return [] if local else [f"request to another machine: {request.url}"]
