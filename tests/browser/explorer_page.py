"""The explorer as tests use it."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
CHART, CURVE = "[data-testid=stPlotlyChart] .main-svg", ".plot svg polyline"
"""What pages draw: plotly, or the explorer's screen."""
CHEAP = "steps=5&draws=1&method=ibp"


def visit(page: Page, address: str, query: str = CHEAP) -> None:
    """Open the page and wait until it is complete."""
    page.goto(f"{address}/?{query}")
    settle(page)


def settle(page: Page) -> None:
    page.wait_for_selector(f"{CHART}, {CURVE}", state="attached")
    page.wait_for_selector(IDLE)
    expect(page.locator("section[aria-busy=true]:visible")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def numbers(page: Page) -> list[str]:
    """Clean, attained, proved, open of the left model, then of the right one."""
    return page.get_by_test_id("number").all_inner_texts()


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name=re.compile("eps"))


def unfold(page: Page) -> None:
    """Open the settings that are not needed at first sight."""
    settings = page.locator("[data-testid=stSidebar] details").first
    if settings.get_attribute("open") is None:
        settings.locator("summary").first.click()
        page.wait_for_timeout(500)  # until it is open: what it holds moves so long


def choose(page: Page, label: str, option: str) -> None:
    """Pick from a list of the sidebar."""
    if "model" not in label:
        unfold(page)
    box = page.get_by_role("combobox", name=label, exact=True)
    # A list that is opened while the sidebar still scrolls closes again.
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box.click()
    page.get_by_role("option", name=re.compile(option)).click()


def address_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


WATCH = """
globalThis.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shifts.push(entry.value);
}).observe({ type: "layout-shift", buffered: true });
"""
"""A script for a page that is to be opened: it counts what jumps."""
SHIFT = 0.05
"""The most that may jump, as browsers count it: the share of the window that moves, times how far."""


def jumped(page: Page) -> float:
    """How much jumped since the page was opened, with WATCH."""
    page.wait_for_timeout(500)
    return sum(page.evaluate("globalThis.shifts"))
