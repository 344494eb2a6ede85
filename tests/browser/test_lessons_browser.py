from __future__ import annotations

import re

import explorer_page
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from dashboard.lessons.text import LESSONS

SIZES: list[ViewportSize] = [{"width": 1440, "height": 900}, {"width": 390, "height": 844}]
# KaTeX keeps a copy of each formula for screen readers, clipped and without a place of its own.
TOO_WIDE = """() => [...document.querySelectorAll('[data-testid=stMain] *')]
    .filter(e => !e.closest('svg, .katex-mathml') && e.getBoundingClientRect().width > 0)
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.tagName + '.' + e.className)"""


def settle(page: Page) -> None:
    explorer_page.settle(page)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)


def fits(page: Page) -> None:
    """Nothing sticks out as soon as the charts follow the window, formulas neither, and every picture says
    what it shows."""
    for _ in range(40):
        if not page.evaluate(TOO_WIDE):
            break
        page.wait_for_timeout(250)
    assert page.evaluate(TOO_WIDE) == []
    assert page.locator(".katex-error").count() == 0
    assert all(image.get_attribute("alt") for image in page.get_by_test_id("stImage").locator("img").all())


def test_all_six_follow_each_other(page: Page, server: str):
    """At a desk and on a telephone: each lesson is drawn at one size, and looked at and left at both."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{server}/lessons?index=3")
    for number, lesson in enumerate(LESSONS, start=1):
        expect(page.get_by_role("heading", name=f"{number} · {lesson.title}")).to_be_visible()
        settle(page)
        if number > 1:
            expect(page).to_have_url(f"{server}/lessons?lesson={number}&index=3")
            # From its top, wherever the last one was left.
            assert page.get_by_test_id("stMain").evaluate("main => main.scrollTop") == 0
        first, second = SIZES if number % 2 else SIZES[::-1]
        onward = f"Next: {LESSONS[number].title}" if number < len(LESSONS) else re.compile("Previous")
        page.set_viewport_size(first)
        fits(page)
        page.get_by_role("button", name=onward).click(trial=True)
        page.set_viewport_size(second)
        fits(page)
        page.get_by_role("button", name=onward).click()
    expect(page).to_have_url(f"{server}/lessons?lesson=5&index=3")
    page.go_back()
    expect(page.get_by_role("heading", name=LESSONS[5].title)).to_be_visible()
    assert errors == []


def test_an_address_restores_a_lesson_and_leads_to_the_explorer(page: Page, server: str):
    page.goto(f"{server}/lessons?lesson=3&eps=0.2&index=7")
    settle(page)
    expect(page.get_by_role("radio", name="0.2", exact=True)).to_be_checked()
    seen = page.get_by_test_id("stMetricValue").all_inner_texts()
    page.reload()
    settle(page)
    assert page.get_by_test_id("stMetricValue").all_inner_texts() == seen
    page.get_by_role("radio", name="0.05", exact=True).click()
    expect(page).to_have_url(f"{server}/lessons?lesson=3&index=7&eps=0.05")
    expect(page.get_by_test_id("stMetricValue").first).not_to_have_text(seen[0])
    page.get_by_text("An answer").click()
    expect(page.get_by_text("the best attack is still no proof")).to_be_visible()
    page.get_by_role("link", name="Open in the explorer").click()
    expect(page).to_have_url(f"{server}/?index=7&method=ibp")
    expect(page.get_by_role("heading", name="ELBO under attack")).to_be_visible()


@pytest.mark.parametrize("size", SIZES, ids=["desk", "telephone"])
def test_the_lessons_in_large_type(page: Page, server: str, size: ViewportSize):
    page.set_viewport_size(size)
    page.goto(f"{server}/lessons?lesson=2&present=1")
    settle(page)
    fits(page)
    type_size = "e => parseFloat(getComputedStyle(e).fontSize)"
    assert page.get_by_role("heading", name=re.compile("The worst single pixel")).evaluate(type_size) >= 22
    # Formulas are what may not fit, and on a telephone: all of them are looked at there.
    last = 3 if size["width"] > 1000 else 6
    for turn in range(3, last + 1):
        page.get_by_role("button", name=re.compile("Next")).click()
        expect(page.get_by_role("heading", name=LESSONS[turn - 1].title)).to_be_visible()
        settle(page)
        fits(page)
    page.get_by_role("button", name="Leave presenter view").click()
    expect(page).to_have_url(f"{server}/lessons?lesson={last}")
