from __future__ import annotations

import re

import pytest
from explorer_page import settle
from playwright.sync_api import Page, expect

LINE_CHART = "[aria-label*='Line chart of the mean ELBO']"


def visit(page: Page, address: str) -> None:
    page.goto(address)
    settle(page)


def test_from_the_explorer_to_the_results_and_back_by_a_point(page: Page, results_server: str):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    visit(page, f"{results_server}/?steps=5&draws=1&method=ibp&index=3")
    page.get_by_role("link", name="Results", exact=True).click()
    expect(page.get_by_role("heading", name="Results")).to_be_visible()
    expect(page).to_have_url(f"{results_server}/results")
    expect(page.locator(f"{LINE_CHART}[aria-label*='Robust MLP (eps 0.1)']")).to_have_count(1)
    # A filter goes into the address.
    page.get_by_text("Reconstruction of the clean image").click()
    expect(page).to_have_url(f"{results_server}/results?target=reconstruction")
    expect(page.get_by_text("Reconstruction of the clean image, mean ELBO in nats")).to_be_visible()
    settle(page)
    # The table has a way to the explorer for those who do not click on charts.
    page.get_by_text("The same as a table").first.click()
    row = page.get_by_test_id("stTable").nth(1).get_by_role("row", name=re.compile(r"eps 0\.1\) 0\.05"))
    link = row.get_by_role("link").first
    wanted = "left=mnist-mlp-standard&right=mnist-mlp-robust-0.1&eps=0.05&target=reconstruction"
    expect(link).to_have_attribute("href", f"/?{wanted}")
    # So has the point itself: those in grey come first, then the models in their colours.
    place = page.get_by_test_id("stPlotlyChart").nth(1).locator(".scatterlayer .point").nth(3)
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("link", name=re.compile(r"Open Robust MLP \(eps 0\.1\) at eps 0\.1 in")).click()
    expect(page.get_by_role("heading", name="ELBO under attack")).to_be_visible()
    expect(page).to_have_url(f"{results_server}/?{wanted.replace('0.05', '0.1')}")
    expect(page.get_by_text("Settings: Reconstruction of the clean image")).to_be_visible()
    expect(page.get_by_test_id("number")).to_have_count(8)
    # Back again, to the results as they were left.
    page.go_back()
    expect(page.get_by_role("heading", name="Results")).to_be_visible()
    expect(page).to_have_url(f"{results_server}/results?target=reconstruction")
    settle(page)
    page.go_back()
    expect(page).to_have_url(f"{results_server}/results")
    page.go_back()
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value("3")
    assert errors == []


MODELS = ".st-key-results-models-table"
SEEN = """width => [...document.querySelectorAll('.st-key-results-models-table :is(th, td)')]
    .filter(cell => getComputedStyle(cell).display !== 'none')
    .map(cell => [cell.getBoundingClientRect(), cell.cellIndex])
    .map(([box, at]) => [at, box.width > 0 && box.left >= 0 && box.right <= width])"""


@pytest.mark.parametrize(("size", "columns"), [((1366, 768), 6), ((390, 844), 4)])
def test_the_models_come_first_and_every_column_is_seen(
    page: Page, server: str, size: tuple[int, int], columns: int
):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    visit(page, f"{server}/results")
    table = page.locator(f"{MODELS} table")
    expect(table).to_be_visible()
    cells = page.evaluate(SEEN, size[0])
    assert {at for at, _ in cells} == set(range(columns))
    assert all(inside for _, inside in cells)
    assert table.evaluate("t => t.parentElement.scrollWidth <= t.parentElement.clientWidth + 1")
    first, chart = table.bounding_box(), page.get_by_test_id("stPlotlyChart").first.bounding_box()
    assert first is not None
    assert chart is not None
    assert first["y"] < size[1] / 2 + 100
    # On a desk the chart stands beside it, whole; on a telephone it is what comes next.
    if size[0] > 640:
        assert chart["y"] + chart["height"] <= size[1]
    else:
        assert first["y"] + first["height"] < chart["y"] < first["y"] + first["height"] + 300


def test_a_table_is_copied_by_the_keyboard(page: Page, results_server: str):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, f"{results_server}/results")
    opens = page.locator("summary", has_text="Copy as Markdown or LaTeX").first
    opens.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stCode").first).to_be_visible()
    texts = []
    for _ in range(6):
        page.keyboard.press("Tab")
        page.wait_for_timeout(500)  # the button is there once its text has the focus
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == "Copy to clipboard":
            page.keyboard.press("Enter")
            page.wait_for_timeout(200)
            texts.append(page.evaluate("navigator.clipboard.readText()"))
    markdown, latex = texts
    assert "| Model | Clean | Attacked | Proved | Open |" in markdown
    assert latex.startswith("% Needs \\usepackage{booktabs}\n\\begin{table}")
    shown = page.locator(f"{MODELS} td:nth-child(2)").all_inner_texts()
    assert len(shown) == 6
    assert all(f"| {cell} |" in markdown and cell.replace("−", "$-$") in latex for cell in shown)


def test_files_are_called_by_what_is_in_them(page: Page, results_server: str):
    visit(page, f"{results_server}/results?target=reconstruction")
    for button, name in (
        ("Rows shown", "results-mnist-bernoulli-reconstruction-pgd-tightest.csv"),
        ("All rows", "results-mnist-all.csv"),
    ):
        with page.expect_download() as found:
            page.get_by_role("button", name=re.compile(button)).click()
        assert found.value.suggested_filename == name


def test_nothing_overflows_on_a_telephone(page: Page, results_server: str):
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, f"{results_server}/results")
    page.get_by_text("The same as a table").last.click()
    expect(page.get_by_test_id("stTable").last).to_be_visible()
    too_wide = page.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stMain] *')]
            .filter(e => !e.closest('svg, [data-testid=stTable], [data-testid=stDataFrame]'))
            .filter(e => !e.closest('[data-testid=stCode]'))
            .filter(e => e.getBoundingClientRect().width > 0 && e.getBoundingClientRect().right > 391)
            .map(e => e.tagName + '.' + e.dataset.testid)"""
    )
    assert too_wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    pictures = page.get_by_test_id("stImage").locator("img")
    expect(pictures).to_have_count(2)
    assert all(picture.get_attribute("alt") for picture in pictures.all())
