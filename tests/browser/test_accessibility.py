"""axe-core on every page, in both themes, wide and narrow; and what it does not look at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from explorer_page import CHART, CURVE, SHIFT, WATCH, jumped
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import new_page
from tests.vision import contrast

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
WITH_CHARTS = {
    "explorer": "/?steps=5&draws=1&method=crown-ibp&states=coverage",
    "results": "/results",
    "compare": "/compare?steps=5&draws=1&models=mnist-mlp-standard,mnist-mlp-robust-0.1",
    "lessons": "/lessons",
    "present": "/present?steps=5&draws=1&method=ibp",
    "inspect": "/inspect?model=mnist-mlp-robust-0.1&eps=0.05&layer=natural",
}
"""What is quick to compute."""
ENTRIES = Path(__file__).parents[2] / "dashboard" / "entries"
PAGES = {file.stem: WITH_CHARTS.get(file.stem, f"/{file.stem}") for file in sorted(ENTRIES.glob("*.py"))}
PAGES["own model"] = "/own?bring=model"
"""Every page, and the other half of one."""
GRAVE = ("serious", "critical")
WANTED = {"resultTypes": ["violations"]}
"""Nothing is gathered of what is in order."""
ORDER = "heading-order"
"""Only moderate for axe; screen readers lead through a page by its headings."""
TITLE = "ELBO under attack"


def visit(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("heading", level=1).first.wait_for()
    if address.endswith(tuple(WITH_CHARTS.values())):
        page.wait_for_selector(f"{CHART}, {CURVE}", state="attached")
    page.wait_for_selector(IDLE)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def hexadecimal(colour: str) -> str:
    """ "#rrggbb" of "rgb(r, g, b)"."""
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour)[:3])


def scrolls_by_keys(page: Page, region: str) -> bool:
    """Whether it is one of Streamlit's tables, wider than the window, that the keyboard gets into: browsers
    let it, which axe does not know."""
    table = "place.closest('[data-testid=stTable], [data-testid=stMarkdown]') !== null"
    look = f"place => {{ place.focus(); return document.activeElement === place && {table}; }}"
    return page.locator(region).evaluate(look)


COLOURS = WANTED | {"runOnly": ["color-contrast", "link-in-text-block"]}
"""What another theme can change."""


def grave(page: Page, options: dict[str, list[str]] = WANTED) -> set[str]:
    """What axe finds serious or critical on the page as it is, or headings of skipped levels."""
    return {
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in Axe().run(page, options=options).response["violations"]
        if rule["impact"] in GRAVE or rule["id"] == ORDER
        for node in rule["nodes"]
        if not (rule["id"] == "scrollable-region-focusable" and scrolls_by_keys(page, node["target"][0]))
    }


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_grave(page: Page, server: str, name: str):
    """In the light, on a desk and on a phone; then in the dark, which has the same places."""
    page.emulate_media(color_scheme="light")
    page.add_init_script(WATCH)
    visit(page, f"{server}{PAGES[name]}")
    assert jumped(page) < SHIFT
    paper, found = ground(page), grave(page)
    assert contrast_in_charts(page, paper) >= 4.5
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_timeout(500)  # the layout follows
    found |= grave(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_test_id("stApp")).not_to_have_css("background-color", paper)
    page.wait_for_timeout(500)  # colours follow
    page.wait_for_selector(IDLE)
    found |= grave(page, COLOURS)
    assert not found, "\n".join(sorted(found))
    assert contrast_in_charts(page, ground(page)) >= 4.5
    title = page.title()
    assert title == TITLE if name == "explorer" else re.fullmatch(rf"[\w ]+: {TITLE}", title)
    assert page.get_attribute("html", "lang") == "en"
    icon = page.locator("link[rel*=icon]").first.get_attribute("href") or ""
    assert icon.startswith("data:image/svg+xml")


def ground(page: Page) -> str:
    """ "rgb(r, g, b)" of what all stands on."""
    return page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")


def contrast_in_charts(page: Page, paper: str) -> float:
    """The least of a text within charts, which axe leaves out, but for notes on a ground of their own."""
    inks = page.evaluate(
        """() => [
            ...document.querySelectorAll('[data-testid=stPlotlyChart] text'),
            ...(globalThis[Symbol.for('elbo-under-attack')]?.chart?.querySelectorAll('text') ?? []),
        ]
            .filter(text => text.textContent.trim() && !text.textContent.includes('\u2190'))
            .map(text => getComputedStyle(text).fill)"""
    )
    return min((contrast(hexadecimal(ink), hexadecimal(paper)) for ink in inks), default=21)


FOCUSED = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  const name = at.getAttribute('aria-label') || at.labels?.[0]?.textContent || at.textContent || '';
  return at === document.body ? '' : name.trim();
}"""
"""What the keyboard is at, by its name."""
RING = "place => { const s = getComputedStyle(place); return s.outline + s.boxShadow + s.borderColor; }"


@pytest.fixture(scope="module")
def explorer(context: BrowserContext, server: str) -> Iterator[Page]:
    """The explorer, on which the keyboard goes from place to place and changes nothing."""
    with new_page(context) as page:
        visit(page, f"{server}{PAGES['explorer']}")
        page.get_by_role("radio", name="Take it away").click()
        page.get_by_role("button", name="Copy link").wait_for()
        yield page


def test_the_keyboard_reaches_everything_in_order(explorer: Page):
    page = explorer
    page.get_by_role("radio", name="0", exact=True).focus()
    reached: list[str] = []
    for _ in range(90):
        page.keyboard.press("Tab")
        # The page itself scrolls by keys, so it is reached too; its name would be all of its text.
        name = page.evaluate(FOCUSED)
        reached.append(name if len(name) < 100 else "page")
        if name == "Copy link":
            break
    order = [
        "Test image number",
        "Reset",
        "eps: how much each pixel may change",
        "Keys",
        "Take it away",
        "Figure (PNG)",
        "Rows (CSV)",
        "Copy link",
    ]
    places = [next((i for i, name in enumerate(reached) if part in name), None) for part in order]
    assert None not in places, (places, reached)
    assert places == sorted(places, key=lambda place: place or 0), list(zip(order, places, strict=True))


def test_focus_can_be_seen(explorer: Page):
    page = explorer
    for button in ("Next 7", "Figure (PNG)", "Rows (CSV)", "Copy link"):
        place = page.get_by_role("button", name=button)
        before = place.evaluate(RING)
        place.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        assert place.evaluate(RING) != before, button
