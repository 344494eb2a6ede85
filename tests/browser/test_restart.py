"""A server that is killed and started again: the address brings everything back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import ROOT, _wait
from playwright.sync_api import Page, expect

QUERY = "?index=7&eps=0.07&left=mnist-conv-standard&target=reconstruction&draws=2&method=crown-ibp&seed=3"


@contextmanager
def serve(port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.headless=true"]
    options = ["--server.address=127.0.0.1", f"--server.port={port}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=quiet, stderr=quiet)
    try:
        _wait(process, f"http://127.0.0.1:{port}/_stcore/health")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=20)


def said(page: Page) -> list[str]:
    """What a finished page shows: its verdicts, its numbers, its controls."""
    expect(page.get_by_text("All proofs are in")).to_be_visible()
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
    numbers = page.get_by_test_id("stMetric").all_inner_texts()
    assert len(numbers) == 8
    images = [image.get_attribute("alt") or "" for image in page.locator("img[alt]").all()]
    fields = [field.input_value() for field in page.locator("input[type=number]").all()]
    return [*numbers, *images, *fields, page.url]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_reload_shows_the_same_after_the_server_was_killed(page: Page, number: signal.Signals):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serve(port) as process:
        page.goto(f"http://127.0.0.1:{port}/{QUERY}")
        before = said(page)
        assert any("0.07" in text for text in before)
        os.kill(process.pid, number)
        process.wait(timeout=20)
    with serve(port):
        page.reload()
        assert said(page) == before
