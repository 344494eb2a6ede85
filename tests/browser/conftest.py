"""The real app in a real browser. No browser is a failure, not a skip."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from tests.evaluation.results_files import write_results

ROOT = Path(__file__).resolve().parents[2]
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",
)
PATIENCE = 60_000
"""Milliseconds; a loaded machine is slow, a broken page stays broken."""


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The app on a free port, as a visitor's browser finds it."""
    with _serve("-m", "streamlit", "run", "dashboard/app.py") as address:
        yield address


@pytest.fixture(scope="session")
def results_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same with a small evaluation of made-up numbers in place of the shipped one."""
    folder = write_results(tmp_path_factory.mktemp("results") / "paper")
    with _serve("tests/browser/serve_results.py", str(folder)) as address:
        yield address


@contextmanager
def _serve(*command: str) -> Iterator[str]:
    """Run the app until the block ends; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.headless=true", "--server.address=127.0.0.1", f"--server.port={port}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *command, *options], cwd=ROOT, stdout=quiet, stderr=quiet)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(process, f"{address}/_stcore/health")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], health: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"The app ended with exit status {process.returncode} before it could be visited.")
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.fail(
        "The app did not become healthy within 60 s; run `streamlit run dashboard/app.py` to see why."
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: $CHROMIUM, one on the path, or Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=found, args=QUIET)
        except Error as error:
            pytest.fail(
                "These tests need Chromium: install it, name it in the variable CHROMIUM, or run "
                f"`python -m playwright install chromium`. ({error.message.splitlines()[0]})"
            )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A desk where one visitor follows another: the app's scripts are fetched and compiled once for all."""
    desk = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    desk.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    # An empty page of the app's site keeps the process alive that has the compiled scripts.
    keeper = desk.new_page()
    keeper.route("**", lambda route: route.fulfill(body=""))
    keeper.goto("http://127.0.0.1/")
    yield desk
    desk.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A fresh visitor at a desk."""
    with new_page(context) as page:
        yield page


@contextmanager
def new_page(context: BrowserContext) -> Iterator[Page]:
    """The same for a longer time: what a page shows need not be loaded for each look at it."""
    page = context.new_page()
    yield page
    page.close()
    context.set_storage_state({"cookies": [], "origins": []})
