from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from explorer_page import settle
from playwright.sync_api import Page, expect

CHEAP = "steps=5&draws=1&models=mnist-mlp-standard,mnist-mlp-robust-0.1"


def asked(page: Page) -> dict[str, str]:
    return {key: value for key, (value,) in parse_qs(urlsplit(page.url).query).items()}


def choose(page: Page, label: str, option: str) -> None:
    box = page.get_by_role("combobox", name=label, exact=True)
    box.scroll_into_view_if_needed()
    box.click()
    page.get_by_role("option", name=option).click()


def test_a_digit_a_pinned_one_and_the_gallery_that_leads_to_the_explorer(page: Page, server: str):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{server}/compare?{CHEAP}")
    settle(page)
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.locator("[aria-label*='Image 0 (a 7). Line chart of the ELBO']")).to_have_count(1)
    choose(page, "Pinned model", "Standard MLP")
    expect(page.get_by_test_id("stTable")).to_have_count(2)
    expect(page.get_by_test_id("stTable").nth(1)).to_contain_text(re.compile("higher, proved|open"))
    settle(page)
    page.get_by_role("button", name="Pin this image").click()
    expect(page).to_have_url(re.compile("against=0"))
    settle(page)
    page.get_by_role("spinbutton", name="Test image number").fill("5")
    page.get_by_role("spinbutton", name="Test image number").press("Enter")
    expect(page.locator("[aria-label*='Image 5 (a 1). Line chart']")).to_have_count(1)
    expect(page.locator("[aria-label*='Image 0 (a 7), pinned. Line chart']")).to_have_count(1)
    assert asked(page)["against"] == "0"
    page.get_by_text("Gallery", exact=True).click()
    expect(page.get_by_text(re.compile("of 50 images, "))).to_be_visible()
    expect(page.get_by_text("Page 1 of 3")).to_be_visible()
    settle(page)
    cards = page.get_by_test_id("stPageLink").filter(has_text="(a ")
    expect(cards).to_have_count(24)
    label = cards.first.inner_text()
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_text("Page 2 of 3")).to_be_visible()
    assert asked(page)["page"] == "2"
    page.go_back()
    expect(page.get_by_text("Page 1 of 3")).to_be_visible()
    settle(page)
    cards.first.get_by_role("link").click()
    expect(page.get_by_role("heading", name="ELBO under attack")).to_be_visible()
    number = label.split()[0]
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value(number)
    assert (asked(page)["right"], asked(page)["eps"]) == ("mnist-mlp-robust-0.1", "0.04")
    page.go_back()
    expect(page.get_by_text("Page 1 of 3")).to_be_visible()
    assert errors == []


@pytest.mark.parametrize(("part", "scheme"), [("digit", "dark"), ("gallery", "light")])
def test_both_parts_fit_a_telephone_and_can_be_read(page: Page, server: str, part: str, scheme: str):
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server}/compare?{CHEAP}&part={part}&against=5&pin=mnist-mlp-standard&of=all&count=25")
    settle(page)
    too_wide = page.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stMain] *')]
            .filter(e => !e.closest('svg, [data-testid=stTable], [data-testid=stCode]'))
            .filter(e => e.getBoundingClientRect().width > 0)
            .filter(e => e.getBoundingClientRect().right > 391)
            .map(e => e.tagName + '.' + e.dataset.testid)"""
    )
    assert too_wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    pictures = page.get_by_test_id("stImage").locator("img")
    expect(pictures.nth(5)).to_be_attached()
    assert all(picture.get_attribute("alt") for picture in pictures.all())
    rules = {"runOnly": ["color-contrast", "image-alt", "link-name", "button-name", "label"]}
    # The grey of captions is the theme's, the same on every page.
    where = {"include": [["[data-testid=stMain]"]], "exclude": [["[data-testid=stCaptionContainer]"]]}
    found = Axe().run(page, context=where, options=rules)
    assert found.violations_count == 0, found.generate_report()
