"""A server that is killed and started again: the address brings everything back."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.running import start

QUERY = "?index=7&eps=0.07&left=mnist-conv-standard&target=reconstruction&draws=2&method=crown-ibp&seed=3"


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
def test_a_reload_shows_the_same_after_the_server_was_killed(
    page: Page, tmp_path: Path, number: signal.Signals
):
    with start(tmp_path / "first") as app:
        page.goto(f"http://{app.host}/{QUERY}")
        before = said(page)
        assert any("0.07" in text for text in before)
        app.stop(number)
    with start(tmp_path / "second", port=int(app.host.split(":")[1])):
        page.reload()
        assert said(page) == before
