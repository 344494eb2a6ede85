from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from explorer_page import CHEAP, IDLE, address_of, choose, numbers, settle, slider, unfold, visit
from playwright.sync_api import BrowserContext, Dialog, Page, expect

from tests.browser.conftest import new_page


@pytest.fixture(scope="module")
def opened(context: BrowserContext, server: str) -> Iterator[Page]:
    """A page that tests look at and leave as it is; what went wrong on it is in `errors`."""
    with new_page(context) as page:
        page.on("pageerror", lambda error: errors.append(str(error)))
        visit(page, server)
        yield page


errors: list[str] = []


def test_the_page_comes_up_complete(opened: Page):
    page = opened
    expect(page.get_by_role("heading", name="ELBO under attack")).to_be_visible()
    assert len(numbers(page)) == 8
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    assert errors == []


def test_images_and_charts_have_a_text_with_their_numbers(opened: Page):
    page = opened
    pictures = page.locator("canvas[role=img]")
    expect(pictures).to_have_count(10)
    texts = [picture.get_attribute("aria-label") or "" for picture in pictures.all()]
    assert all(texts)
    assert numbers(page)[1] in texts[1]
    assert numbers(page)[5] in texts[6]
    expect(page.locator("[aria-label*='Line chart of the ELBO']")).to_have_count(1)


def test_eps_moves_the_numbers_at_once_and_back_in_the_browser_is_followed(opened: Page):
    page = opened
    before = numbers(page)
    slider(page).press("ArrowRight")
    expect(page).to_have_url(re.compile("eps=0.06"))
    expect(page.get_by_test_id("number").nth(1)).not_to_have_text(before[1])
    page.wait_for_selector(IDLE)
    after = numbers(page)
    assert (after[0], after[4]) == (before[0], before[4])
    assert after[1] != before[1]
    assert after[5] != before[5]
    page.go_back()
    expect(page.get_by_test_id("number").nth(1)).to_have_text(before[1])
    assert "eps" not in address_of(page)


def test_the_address_restores_the_page(page: Page, server: str):
    visit(page, server, f"{CHEAP}&index=3&eps=0.037&threshold=-200&target=reconstruction")
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value("3")
    unfold(page)
    expect(page.get_by_role("spinbutton", name="Threshold in nats")).to_have_value("-200")
    expect(page.get_by_role("radio", name="Reconstruction of the clean image")).to_be_checked()
    expect(page.locator("[aria-label*='At eps 0.037']")).to_have_count(1)
    shown = numbers(page)
    page.reload()
    settle(page)
    assert numbers(page) == shown


BAD = {
    "eps": "nan",
    "index": "99999",
    "left": "../../etc",
    "right": "%3Cscript%3Ealert(1)%3C/script%3E",
    "seed": "9" * 3000,
    "threshold": "inf",
    "method": "magic",
    "states": "%3Cb%3E",
    "norm": "linfinity",
}


def test_a_bad_address_is_answered_in_words(page: Page, server: str):
    dialogs: list[str] = []

    def refuse(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    cheap = "steps=5&draws=1"
    page.goto(f"{server}/?{cheap}{''.join(f'&{field}={value}' for field, value in BAD.items())}")
    settle(page)
    alerts = page.get_by_test_id("stAlert")
    expect(alerts).to_have_count(len(BAD))
    said = " ".join(alerts.all_inner_texts())
    assert all(f"{field} in the address is" in said for field in BAD)
    assert "<script>alert(1)</script>" in said
    assert len(numbers(page)) == 8
    assert not set(BAD) & set(address_of(page))
    assert dialogs == []


def test_reset_returns_to_the_default(page: Page, server: str):
    visit(page, server, f"{CHEAP}&index=3&eps=0.2")
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value("0")
    # What the page opens with is there without being computed.
    expect(page.get_by_text("Proofs complete.")).to_be_visible()
    assert address_of(page) == {}


def test_a_control_cancels_a_long_computation(page: Page, server: str):
    visit(page, server)
    page.goto(f"{server}/?draws=64&steps=200&index=7&method=ibp")
    expect(page.get_by_text(re.compile("attack, step"))).to_be_visible()
    start = time.monotonic()
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value("0")
    settle(page)
    assert address_of(page) == {}
    assert len(numbers(page)) == 8
    assert time.monotonic() - start < 30


def test_bounds_get_tighter_in_place(page: Page, server: str):
    visit(page, server, "draws=1&eps=0.05&upto=0.05&index=2&method=crown-ibp")
    loose = numbers(page)
    choose(page, "Proof", "up to alpha-CROWN")
    expect(page.locator("dd.note").nth(6)).to_contain_text("by alpha-CROWN")
    page.wait_for_selector("[data-testid=stProgress]")
    expect(page.get_by_text("Proofs complete.")).to_be_visible()
    page.wait_for_selector(IDLE)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    tight = numbers(page)
    assert tight[:2] == loose[:2]
    assert tight[7] != loose[7]
    page.get_by_role("radio", name="Methods").click()
    table = page.get_by_role("table").nth(1)
    expect(table).to_contain_text(re.compile(r"alpha-CROWN\s*−\d"))


def test_moving_eps_does_not_wait_for_the_proofs(page: Page, server: str):
    page.goto(f"{server}/?index=4&left=mnist-conv-standard&right=mnist-conv-robust-0.1&draws=4&steps=5")
    expect(page.get_by_text(re.compile("alpha-CROWN, "))).to_be_visible()
    before = numbers(page)
    start = time.monotonic()
    slider(page).press("ArrowRight")
    expect(page.get_by_test_id("number").nth(1)).not_to_have_text(before[1])
    assert time.monotonic() - start < 10
    # Leaves nothing running for the tests that follow.
    choose(page, "Proof", "IBP only")
    page.wait_for_selector(IDLE)


@pytest.fixture(scope="module")
def telephone(context: BrowserContext, server: str) -> Iterator[Page]:
    """The page on a telephone, which tests look at."""
    with new_page(context) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        visit(page, server)
        yield page


@pytest.mark.parametrize(
    ("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 22, 26)")]
)
def test_nothing_overflows_on_a_telephone(telephone: Page, scheme: str, ground: str):
    telephone.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    expect(telephone.get_by_test_id("stApp")).to_have_css("background-color", ground)
    telephone.wait_for_selector(IDLE)
    too_wide = telephone.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stMain] *')]
            .filter(e => !e.closest('svg') && e.getBoundingClientRect().width > 0)
            .filter(e => e.getBoundingClientRect().right > 391)
            .map(e => e.tagName + '.' + e.dataset.testid)"""
    )
    assert too_wide == []
    assert telephone.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_tour_leads_through_the_live_screen(page: Page, server: str):
    visit(page, server)
    begin = page.get_by_role("button", name="Tour")
    expect(begin).to_have_class("guide new")
    begin.click()
    box = page.locator(".tour")
    for step in range(1, 7):
        expect(box).to_contain_text(f"{step}/6")
        expect(page.locator(".toured")).to_have_count(1)
        place = box.bounding_box()
        assert place is not None
        assert place["y"] >= 0
        assert place["y"] + place["height"] <= 900
        if step == 2:  # the real control
            slider(page).press("ArrowRight")
            expect(page.locator("output")).to_have_text("0.06")
        page.get_by_role("button", name="Done" if step == 6 else "Next", exact=True).press("Enter")
    expect(box).to_be_hidden()
    expect(begin).to_be_focused()
    begin.press("Enter")
    expect(box).to_be_visible()
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(page.locator(".toured")).to_have_count(0)
    # Who has been on it is not asked again.
    expect(begin).to_have_class("guide")
    page.reload()
    expect(begin).to_have_class("guide")
