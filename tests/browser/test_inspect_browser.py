"""The page that looks inside, in a real browser, with shipped models."""

from __future__ import annotations

import re

from explorer_page import settle
from playwright.sync_api import Page, expect

QUICK = "model=mnist-mlp-robust-0.1&eps=0.05"


def visit(page: Page, address: str, query: str = QUICK) -> None:
    page.goto(f"{address}/inspect?{query}")
    settle(page)


def test_from_the_explorer_to_the_inside_of_a_model_and_back(page: Page, server: str):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{server}/?steps=5&draws=1&method=ibp&index=3&eps=0.05")
    settle(page)
    page.get_by_role("link", name=re.compile(r"Inside Robust MLP \(eps 0\.1\)")).click()
    expect(page.get_by_role("heading", name="Inspect")).to_be_visible()
    expect(page.locator("[aria-label*='Line chart of the mean width']")).to_have_count(1)
    settle(page)
    expect(page).to_have_url(re.compile(r"/inspect\?.*model=mnist-mlp-robust-0\.1"))
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value("3")
    expect(page.get_by_text(re.compile("At eps 0.05 the interval of a pixel's logit is"))).to_be_visible()
    # The list of layers and the address go together, with the keyboard alone.
    box = page.get_by_role("combobox", name="Layer")
    box.focus()
    box.press("ArrowDown")
    page.keyboard.type("Pixels")
    page.keyboard.press("Enter")
    expect(page.locator("[aria-label*='Heat map of Pixels, width']")).to_have_count(1)
    expect(page).to_have_url(re.compile("layer=pixels"))
    settle(page)
    page.get_by_role("link", name=re.compile("over all eps: the explorer")).click()
    expect(page.get_by_role("heading", name="ELBO under attack")).to_be_visible()
    expect(page).to_have_url(re.compile("index=3"))
    # Leaves nothing running for the tests that follow.
    page.goto("about:blank")
    assert errors == []


def test_a_control_cancels_and_the_address_restores(page: Page, server: str):
    page.goto(f"{server}/inspect?model=mnist-conv-standard&eps=0.03&draws=4&index=11")
    expect(page.get_by_text(re.compile("step .* Any control cancels it"))).to_be_visible()
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value("0")
    visit(page, server, f"{QUICK}&layer=z&across=3&up=2&index=5")
    expect(page.locator("[aria-label*='Latent dimensions 3 and 2']")).to_have_count(1)
    expect(page.locator("[aria-label*='units of z']")).to_have_count(1)
    charts = page.get_by_test_id("stPlotlyChart")
    expect(charts).to_have_count(6)


def test_nothing_overflows_on_a_telephone(page: Page, server: str):
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, server, f"{QUICK}&layer=natural")
    too_wide = page.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stMain] *')]
            .filter(e => !e.closest('svg') && e.getBoundingClientRect().width > 0)
            .filter(e => e.getBoundingClientRect().right > 391)
            .map(e => e.tagName + '.' + e.dataset.testid)"""
    )
    assert too_wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
