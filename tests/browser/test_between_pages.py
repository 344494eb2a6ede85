"""The way between pages keeps what one looks at, and each of its steps is one of the browser's history."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from explorer_page import settle
from playwright.sync_api import Page, expect

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
CHEAP = "steps=5&draws=1&method=ibp&left=mnist-mlp-robust-0.1&right=mnist-mlp-standard"


def go(page: Page, name: str) -> None:
    """By the navigation."""
    page.get_by_test_id("stTopNavLink").filter(has_text=name).first.click()


def shows(page: Page, path: str, settings: str) -> None:
    """Wait for a page and, among its settings, these."""
    expect(page).to_have_url(re.compile(f"/{path}\\?.*{settings}"))
    page.wait_for_selector(IDLE)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def asked(page: Page) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(page.url).query))


def test_the_navigation_takes_along_what_one_looks_at_and_back_is_one_step(page: Page, server: str):
    page.goto(f"{server}/?{CHEAP}&index=3&eps=0.02")
    page.wait_for_selector(IDLE)
    steps = page.evaluate("history.length")
    go(page, "Inspect")
    shows(page, "inspect", "index=3&eps=0.02")
    assert asked(page)["model"] == "mnist-mlp-robust-0.1"
    go(page, "Results")
    expect(page).to_have_url(f"{server}/results")
    expect(page.get_by_role("heading", name="Results")).to_be_visible()
    go(page, "Present")
    shows(page, "present", "index=3&eps=0.02")
    assert asked(page)["left"] == "mnist-mlp-robust-0.1"
    settle(page)
    page.keyboard.press("n")
    shows(page, "present", "index=4&eps=0.02")
    assert page.evaluate("history.length") == steps + 4
    # One press of back for each of these, and each page shows what it showed.
    for path, settings, title in (
        ("present", "index=3&eps", "ELBO under attack"),
        ("results", "", "Results"),
        ("inspect", "index=3", "Inspect"),
        ("", "index=3", "ELBO under attack"),
    ):
        page.go_back()
        # The address changes before the page does: going on at once takes one page's settings to another.
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        if settings:
            shows(page, path, settings)
        else:
            expect(page).to_have_url(f"{server}/{path}")
            page.wait_for_selector(IDLE)
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value("3")


def test_a_browser_without_network_says_so(page: Page, server: str):
    page.goto(f"{server}/?{CHEAP}")
    page.wait_for_selector(IDLE)
    expect(page.get_by_text("You are offline")).to_have_count(0)
    page.context.set_offline(True)
    try:
        expect(page.get_by_text("You are offline")).to_be_in_viewport()
    finally:
        page.context.set_offline(False)
    expect(page.get_by_text("You are offline")).to_have_count(0)


def test_an_address_that_was_wrong_leaves_no_step_behind(page: Page, server: str):
    page.goto("about:blank")
    page.goto(f"{server}/?{CHEAP}&eps=abc")
    expect(page.get_by_text("must be a number")).to_be_visible()
    expect(page).not_to_have_url(re.compile("abc"))
    page.go_back()
    expect(page).to_have_url("about:blank")
