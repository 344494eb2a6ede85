"""A server that is killed and started again: the address brings everything back."""

from __future__ import annotations

import signal
from pathlib import Path

from explorer_page import settle
from playwright.sync_api import Page, expect

from tests.running import start

QUERY = "?index=7&eps=0.07&left=mnist-mlp-gaussian-standard&target=reconstruction&draws=2&method=crown-ibp"
QUERY += "&seed=3&steps=5"


def said(page: Page) -> str:
    """All that the page says to somebody who does not see it: verdicts, numbers, pictures."""
    return page.locator("body").aria_snapshot()


def finished(page: Page) -> None:
    expect(page.get_by_text("Proofs complete")).to_be_visible()
    settle(page)


def test_a_reload_shows_the_same_after_the_server_was_killed(page: Page, tmp_path: Path):
    """Killed twice, the second time politely."""
    with start(tmp_path / "first") as app:
        page.goto(f"http://{app.host}/{QUERY}")
        finished(page)
        before = ""
        while (now := said(page)) != before:
            before = now
            page.wait_for_timeout(1000)
        assert "at eps 0.07" in before
        app.stop(signal.SIGKILL)
    port = int(app.host.split(":")[1])
    with start(tmp_path / "second", port=port) as app:
        page.reload()
        shows(page, before)
        app.stop(signal.SIGTERM)
    with start(tmp_path / "third", port=port):
        page.reload()
        shows(page, before)


def shows(page: Page, wanted: str) -> None:
    finished(page)
    for _ in range(120):
        if said(page) == wanted:
            return
        page.wait_for_timeout(500)
    assert said(page) == wanted
