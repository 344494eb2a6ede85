"""What a visitor of the explorer sees without scrolling, and that it stays where it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from explorer_page import CHEAP, SHIFT, WATCH, jumped, settle
from playwright.sync_api import Browser, Page, ViewportSize

SIZES = [(1280, 720), (1366, 768), (1440, 900), (1920, 1080), (390, 664)]


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


@pytest.mark.parametrize("window", SIZES, indirect=True)
def test_the_explorer_is_one_screen(window: Page, server: str):
    window.goto(f"{server}/?{CHEAP}&eps=0.05")
    settle(window)
    assert window.viewport_size is not None
    width, height = window.viewport_size["width"], window.viewport_size["height"]
    telephone = width < 500
    parts = {"slider": "#eps", "chart": ".plot svg", "eps": "output"}
    parts |= {} if telephone else {"verdicts": ".verdicts", "legend": ".legend"}
    cards = window.locator(".cards section")
    assert cards.count() == 2
    places = {name: window.locator(selector) for name, selector in parts.items()}
    places |= {f"card {i}": cards.nth(i) for i in range(2)}
    places |= {f"badge {i}": cards.nth(i).locator(".badge") for i in range(2)}
    places |= {f"proved {i}": cards.nth(i).get_by_test_id("number").nth(2) for i in range(2)}
    assert window.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
    for name, place in places.items():
        box = place.bounding_box()
        assert box is not None, name
        assert box["width"] > 0, name
        assert box["height"] > 0, name
        assert box["x"] >= 0, (name, box)
        assert box["y"] >= 0, (name, box)
        assert box["x"] + box["width"] <= width, (name, box)
        assert box["y"] + box["height"] <= height, (name, box)
    chart, slider = places["chart"].bounding_box(), places["slider"].bounding_box()
    assert chart is not None
    assert slider is not None
    assert chart["height"] >= 180
    # Where a thumb is, and where it hits.
    assert not telephone or slider["y"] > height / 2
    assert slider["height"] >= 24
    assert jumped(window) < SHIFT
