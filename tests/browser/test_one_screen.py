"""What a visitor of the explorer sees without scrolling, and that it stays where it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from explorer_page import CHEAP, SHIFT, WATCH, jumped, settle
from playwright.sync_api import Browser, Page, ViewportSize

DESKS = [(1366, 768), (1280, 720), (1440, 900), (1920, 1080)]
TELEPHONE = (390, 664)


@pytest.fixture
def window(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in a window of a size, which counts what jumps."""
    width, height = request.param
    size = ViewportSize(width=width, height=height)
    context = browser.new_context(viewport=size, is_mobile=width < 500, has_touch=width < 500)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.add_init_script(WATCH)
    yield page
    context.close()


def is_one_screen(page: Page, size: tuple[int, int], telephone: bool = False) -> None:
    """Slider, both cards, verdicts and the whole chart are in the window, which is not scrolled."""
    width, height = size
    parts = {"slider": "#eps", "chart": ".plot svg", "eps": "output"}
    parts |= {} if telephone else {"verdicts": ".verdicts", "legend": ".legend"}
    cards = page.locator(".cards section")
    assert cards.count() == 2
    places = {name: page.locator(selector) for name, selector in parts.items()}
    places |= {f"card {i}": cards.nth(i) for i in range(2)}
    places |= {f"badge {i}": cards.nth(i).locator(".badge") for i in range(2)}
    places |= {f"proved {i}": cards.nth(i).get_by_test_id("number").nth(2) for i in range(2)}
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
    boxes = {}
    for name, place in places.items():
        box = boxes[name] = place.bounding_box()
        assert box is not None, name
        assert box["width"] > 0, name
        assert box["height"] > 0, name
        assert box["x"] >= 0, (size, name, box)
        assert box["y"] >= 0, (size, name, box)
        assert box["x"] + box["width"] <= width, (size, name, box)
        assert box["y"] + box["height"] <= height, (size, name, box)
    assert boxes["chart"]["height"] >= 180
    # Where a thumb is, and where it hits.
    assert not telephone or boxes["slider"]["y"] > height / 2
    assert boxes["slider"]["height"] >= 24


@pytest.mark.parametrize("window", DESKS[:1], indirect=True)
def test_the_explorer_is_one_screen_on_a_desk(window: Page, server: str):
    window.goto(f"{server}/?{CHEAP}&eps=0.05")
    settle(window)
    assert jumped(window) < SHIFT
    for size in DESKS:
        window.set_viewport_size({"width": size[0], "height": size[1]})
        window.wait_for_timeout(400)  # the layout follows
        is_one_screen(window, size)


@pytest.mark.parametrize("window", [TELEPHONE], indirect=True)
def test_the_explorer_is_one_screen_on_a_telephone(window: Page, server: str):
    window.goto(f"{server}/?{CHEAP}&eps=0.05")
    settle(window)
    is_one_screen(window, TELEPHONE, telephone=True)
    assert jumped(window) < SHIFT
