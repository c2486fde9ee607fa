"""Chromium for the checks of pages: where it is, and how it is started so that it asks nothing of the network
itself.

from tools.browser import find, opened
with opened() as chromium:
    page = chromium.new_page()
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tools import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
# Where Chrome stands on macOS and Windows, which put no programs on the path.
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
)
MISSING = (
    "no Chromium found: install chromium, or set CHROMIUM to its path, or run `playwright install chromium`"
)


def find() -> str | None:
    """The path of a Chromium: the one that CHROMIUM names, one on the path, or playwright's own."""
    chosen = os.environ.get("CHROMIUM")
    candidates = [chosen] if chosen else [path for path in map(shutil.which, NAMES) if path]
    if not chosen:
        candidates += PLACES
        candidates += sorted(
            map(str, Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
        )
    return next((path for path in candidates if Path(path).exists()), None)


@contextlib.contextmanager
def opened() -> Iterator:
    """A running browser (playwright's `Browser`), closed at the end."""
    from playwright.sync_api import sync_playwright

    path = find()
    if path is None:
        raise RuntimeError(MISSING)
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        arguments = [*QUIET, "--no-sandbox"] if as_root else list(QUIET)
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield chromium
        finally:
            chromium.close()


def run_tests(tests: list[str]) -> int:
    """Run tests of pages, two at once; the exit code. Whoever asks for them wants no test skipped for lack of
    a browser.
    """
    workers = str(min(os.cpu_count() or 1, 2))
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "-n", workers, *tests]
    return subprocess.run(command, cwd=ROOT, env={"CI": "true"} | os.environ, check=False).returncode


def is_local(address: str) -> bool:
    """Whether a request stays on this machine."""
    parts = urlsplit(address)
    return parts.scheme in ("file", "data", "blob", "about") or parts.hostname in ("127.0.0.1", "localhost")


class Watch:
    """What a page must not do: requests beyond this machine, errors in its console or its scripts."""

    def __init__(self, page):
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("requestfailed", self._failed)

    def _request(self, request) -> None:
        self.requests.append(request.url)

    def _console(self, message) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _failed(self, request) -> None:
        if request.failure != "net::ERR_ABORTED":  # a page that is left cancels what it still waits for
            self.errors.append(f"{request.url}: {request.failure}")

    @property
    def foreign(self) -> list[str]:
        """Requests that left this machine."""
        return [address for address in self.requests if not is_local(address)]
