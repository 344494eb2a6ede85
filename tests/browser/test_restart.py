"""A server that is killed and started again: the address brings everything back."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.running import start

QUERY = "?index=7&eps=0.07&left=mnist-conv-standard&target=reconstruction&draws=2&method=crown-ibp&seed=3"


def said(page: Page) -> str:
    """All that a finished page says to somebody who does not see it: verdicts, numbers, pictures."""
    expect(page.get_by_text("All proofs are in")).to_be_visible()
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
    end, last, body = time.monotonic() + 60, "", page.locator("body")
    while (now := body.aria_snapshot()) != last and time.monotonic() < end:
        last = now
        page.wait_for_timeout(2000)  # charts are drawn a little later than the rest
    return now


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_reload_shows_the_same_after_the_server_was_killed(
    page: Page, tmp_path: Path, number: signal.Signals
):
    with start(tmp_path / "first") as app:
        page.goto(f"http://{app.host}/{QUERY}")
        before = said(page)
        assert "at eps 0.07" in before
        app.stop(number)
    with start(tmp_path / "second", port=int(app.host.split(":")[1])):
        page.reload()
        assert said(page) == before
