"""The page that looks inside, in a real browser, with shipped models."""

from __future__ import annotations

import re

import pytest
from explorer_page import settle
from playwright.sync_api import Locator, Page, expect

TWO = "compare?steps=5&draws=1&models=mnist-mlp-standard,mnist-mlp-robust-0.1"
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
    expect(page.get_by_text(re.compile("IBP allows a pixel's logit"))).to_be_visible()
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
    expect(charts).to_have_count(7)


def point_at(page: Page, selector: str, place: int) -> None:
    """Click where something of a chart is: plotly lays a sheet over all of it, which takes the clicks."""
    mark = page.locator(selector).nth(place)
    mark.evaluate("mark => mark.scrollIntoView({block: 'center'})")
    page.wait_for_timeout(500)
    box = mark.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 - 2, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(300)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def relaxation(page: Page, label: str, unit: str = "") -> Locator:
    said = f"Relaxation of unit {unit} of {label} by" if unit else f" of {label} by "
    return page.locator(f"[aria-label*='{said}']")


def test_a_click_on_a_layer_and_on_a_unit_shows_its_relaxation_and_so_do_keys(page: Page, server: str):
    visit(page, server)
    # The first marks are those of IBP: of the second ReLU of the encoder.
    point_at(page, ".st-key-inspect-widths .scatterlayer .trace .points path", 4)
    expect(page).to_have_url(re.compile("layer=encoder-4"))
    expect(relaxation(page, "Encoder 2 ReLU")).to_have_count(1)
    settle(page)
    # A bar of the layer below: the unit that it is of.
    point_at(page, ".st-key-inspect-bars .barlayer .trace .point path", 2)
    expect(page).to_have_url(re.compile("unit=[1-9]"))
    unit = re.findall(r"unit=(\d+)", page.url)[0]
    expect(relaxation(page, "Encoder 2 ReLU", unit)).to_have_count(1)
    settle(page)
    # A pixel of a feature map.
    page.goto(f"{server}/inspect?model=mnist-conv-robust-0.1&layer=encoder-4&eps=0.02")
    settle(page)
    point_at(page, ".st-key-inspect-map-width .scatterlayer .points path", 3)
    expect(page).to_have_url(re.compile("unit=[1-9]"))
    unit = re.findall(r"unit=(\d+)", page.url)[0]
    expect(relaxation(page, "Encoder 2 ReLU", unit)).to_have_count(1)
    visit(page, server)
    # By the keyboard alone.
    box = page.get_by_role("combobox", name="Unit", exact=True)
    box.focus()
    box.press("ArrowDown")
    page.keyboard.type("costliest")
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("unit="))
    settle(page)
    # Where intervals grow most.
    page.get_by_role("button", name=re.compile("^IBP: .*×")).click()
    expect(page).to_have_url(re.compile("layer=(?!encoder-4)"))


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)])
@pytest.mark.parametrize("path", [f"inspect?{QUICK}", TWO])
def test_the_first_picture_is_whole_on_the_first_screen(
    page: Page, server: str, size: tuple[int, int], path: str
):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(f"{server}/{path}")
    settle(page)
    box = page.get_by_test_id("stPlotlyChart").first.bounding_box()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
    assert box is not None
    assert box["y"] > 0
    assert box["x"] >= 0
    assert box["y"] + box["height"] <= size[1]
    assert box["x"] + box["width"] <= size[0]
    if path.startswith("inspect") and size[0] > 1000:
        card = page.locator(".st-key-inspect-curve").bounding_box()
        assert card is not None
        assert card["y"] + card["height"] <= size[1]


def test_nothing_overflows_on_a_telephone(page: Page, server: str):
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, server, f"{QUICK}&layer=natural")
    too_wide = page.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stMain] *')]
            .filter(e => !e.closest('svg, [data-testid=stTable], [data-testid=stCode]'))
            .filter(e => e.getBoundingClientRect().width > 0)
            .filter(e => e.getBoundingClientRect().right > 391)
            .map(e => e.tagName + '.' + e.dataset.testid)"""
    )
    assert too_wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
