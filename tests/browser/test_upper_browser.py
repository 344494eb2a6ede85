from __future__ import annotations

import re

from explorer_page import CHEAP, IDLE, numbers, settle, unfold, visit
from playwright.sync_api import Page, expect


def test_the_adversary_goes_up_by_keyboard_and_on_a_phone(page: Page, server: str):
    visit(page, server, f"{CHEAP}&index=18&eps=0.03")
    clean, *lowered = numbers(page)[:3]
    unfold(page)
    control = page.get_by_role("radio", name="Raises it")
    expect(page.get_by_role("radio", name="Lowers it")).to_be_checked()
    page.get_by_role("radio", name="Lowers it").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("side=upper"))
    expect(page.get_by_test_id("number").nth(1)).not_to_have_text(lowered[0])
    page.wait_for_selector(IDLE)
    expect(control).to_be_checked()
    assert numbers(page)[0] == clean
    expect(page.locator(".note").nth(1)).to_have_text(re.compile(r"^\+.* from clean"))
    expect(page.locator(".verdicts p").first).to_contain_text(
        re.compile("lifts it to|Proved to stay below")
    )
    page.get_by_role("radio", name="Where it goes").click()
    expect(page.get_by_role("heading", name="Where it was gained")).to_be_visible()
    shown = numbers(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    settle(page)
    assert numbers(page) == shown
    assert page.evaluate("document.documentElement.scrollWidth") == 390
