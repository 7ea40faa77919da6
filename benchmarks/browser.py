"""A Streamlit server of its own and a real Chromium, for the browser tests and the benchmark of the app."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Playwright, ViewportSize, expect

ROOT = Path(__file__).parents[1]
VIEWPORT = ViewportSize(width=1280, height=900)
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


class ChromiumMissing(Exception):
    """No Chromium is on the PATH; the message says how to get one."""


@dataclass(frozen=True)
class Server:
    """A running `streamlit run`: its address without a trailing slash, its process and the file that holds its log."""

    url: str
    process: subprocess.Popen
    log: Path

    def wait_for_health(self, seconds: float = 60) -> None:
        """Returns once the server answers. Raises RuntimeError, with the log, when it ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not self._is_healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = self.log.read_text()
                raise RuntimeError(f"the server did not become healthy within {seconds:g} s; its log:\n{log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Ends the process, politely first."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=5)
        try:
            connection.request("GET", "/_stcore/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def launch_server(script: Path, log: Path, environment: Mapping[str, str] | None = None) -> Server:
    """A server of the script on a free port, which may not answer yet; `environment` is added to this process's."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += ["--server.port", str(port), "--server.headless", "true"]
    # scripts outside the repository import explorer
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | dict(environment or {})
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=stream, stderr=subprocess.STDOUT)
    return Server(f"http://127.0.0.1:{port}", process, log)


def launch_chromium(playwright: Playwright) -> Browser:
    """The system's Chromium, headless. Raises ChromiumMissing when there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        raise ChromiumMissing(
            "expected `chromium` or `chromium-browser` on the PATH, found neither; install it (apt: chromium)"
        )
    return playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)


def wait_until_settled(page: Page, timeout: float = 30_000) -> None:
    """Returns once the app is connected and drawn; `timeout` is in milliseconds. It fails where an exception is shown.

    The state can be read before a click has started its run: after a click, wait for the outcome instead.
    """
    page.wait_for_selector(SETTLED, timeout=timeout)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=timeout)
    shown = page.get_by_test_id("stException").all_inner_texts()
    assert not shown, f"the app shows an exception:\n{shown[0]}"
