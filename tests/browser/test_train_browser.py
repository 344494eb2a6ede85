"""A training in the browser: it begins, its curve grows, one goes back, it ends, its model is opened."""

from __future__ import annotations

import re

from explorer_page import CURVE
from playwright.sync_api import Locator, Page, TimeoutError, expect

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
QUICK = "train?epochs=3&width=32"
POINTS = "[data-testid=stPlotlyChart] .scatterlayer .trace .points path"
SMALLEST = """() => Math.min(...[...document.querySelectorAll('[data-testid=stMain] button, [role=slider]')]
    .map(place => place.getBoundingClientRect()).filter(box => box.width)
    .map(box => Math.min(box.width, box.height)))"""


def visit(page: Page, server: str, address: str = QUICK) -> None:
    page.goto(f"{server}/{address}")
    page.wait_for_selector("[data-testid=stPlotlyChart] .main-svg")
    page.wait_for_selector(IDLE)


def press(page: Page, label: str) -> None:
    page.get_by_role("button", name=re.compile(f"{label}$")).click()


def bar(page: Page) -> Locator:
    return page.get_by_test_id("stProgress")


def look_back(page: Page, slider: Locator) -> None:
    """To epoch 0. A press that meets an epoch on its way to the page is lost with what it set: again."""
    first = page.get_by_role("img", name=re.compile("Reconstructed when attacked, epoch 0"))
    for _ in range(5):
        slider.press("Home")
        try:
            first.wait_for(timeout=5000)
        except TimeoutError:
            continue
        break
    expect(slider).to_have_value("0")


def well(page: Page) -> None:
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_train_scrub_back_and_open_the_model(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 1366, "height": 768})
    visit(page, server)
    for part in ("stPlotlyChart", "stSlider"):
        expect(page.get_by_test_id("stMain").get_by_test_id(part)).to_be_in_viewport(ratio=1)
    slider = page.get_by_role("slider", name="Epoch shown")
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()
    press(page, "Train")
    expect(page.get_by_role("button", name="Cancel")).to_be_enabled()
    expect(bar(page)).to_contain_text("Done: 3 epochs")
    expect(page.locator(POINTS)).to_have_count(4)
    expect(slider).to_have_value("3")
    pictures = page.get_by_role("img", name=re.compile("Reconstructed when attacked, epoch"))
    expect(pictures).to_have_attribute("alt", re.compile("epoch 3"))
    expect(pictures).to_be_in_viewport(ratio=1)
    numbers = page.get_by_text("Clean").first.inner_text()
    slider.press("ArrowLeft")
    expect(pictures).to_have_attribute("alt", re.compile("epoch 2"))
    slider.press("Home")
    expect(pictures).to_have_attribute("alt", re.compile("epoch 0"))
    assert page.get_by_text("Clean").first.inner_text() != numbers
    well(page)
    assert page.evaluate(SMALLEST) >= 24
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
    with page.expect_download() as download:
        press(page, "Download the model")
    assert download.value.suggested_filename == "lecture-crown-ibp-0.05-seed-0-epoch-3.zip"
    press(page, "Open in the explorer")
    page.wait_for_url(re.compile(r"right=trained(/|%2F)[0-9a-f]{24}"))
    page.wait_for_selector(CURVE, state="attached")
    expect(page.get_by_text("CROWN-IBP").first).to_be_visible()
    well(page)


def test_a_training_goes_on_while_one_looks_back_and_is_cancelled(page: Page, server: str) -> None:
    visit(page, server, "train?epochs=40&width=32")
    press(page, "Train")
    expect(bar(page)).to_contain_text(re.compile(r"Epoch ([2-9]|\d\d) of 40"))
    slider = page.get_by_role("slider", name="Epoch shown")
    look_back(page, slider)
    later = range(int(bar(page).inner_text().split()[1]) + 1, 41)
    expect(bar(page)).to_contain_text(re.compile(rf"Epoch ({'|'.join(map(str, later))}) of 40"))
    expect(slider).to_have_value("0")
    press(page, "Cancel")
    expect(bar(page)).to_contain_text(re.compile(r"Cancelled after epoch \d+ of 40"))
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()
    well(page)
