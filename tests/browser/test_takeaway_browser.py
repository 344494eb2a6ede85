"""What is taken away is what is on the screen, as real files."""

from __future__ import annotations

import csv
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from explorer_page import settle
from playwright.sync_api import BrowserContext, Page, expect

from core.command_line.cli import main
from dashboard.explorer.stage.picture_strip import digits
from dashboard.shared.text import nats, proved_nats
from tests.browser.conftest import new_page

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
SVG = "{http://www.w3.org/2000/svg}"
QUERY = "steps=5&draws=1&method=crown-ibp&states=coverage&index=3&eps=0.05"
NAMES = ("Standard MLP", "Robust MLP (eps 0.1)")


@pytest.fixture(scope="module")
def opened(context: BrowserContext, server: str) -> Iterator[Page]:
    """A page with something to take away, which stays as it is."""
    with new_page(context) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto(f"{server}/?{QUERY}")
        expect(page.get_by_text("Proofs complete.")).to_be_visible()
        page.get_by_role("radio", name="Take it away").click()
        page.wait_for_selector(IDLE)
        yield page


def take(page: Page, button: str, folder: Path) -> Path:
    """Press a button, and where the file is that it gives."""
    with page.expect_download() as found:
        page.get_by_role("button", name=button).click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def test_the_figure_is_a_picture_that_stands_alone(opened: Page, tmp_path: Path):
    png = take(opened, "Figure (PNG)", tmp_path)
    head = png.read_bytes()[:24]
    name = "elbo-mnist-image-3-mnist-mlp-standard-and-mnist-mlp-robust-0.1-likelihood-linf-eps-0.05-pgd"
    assert png.name == f"{name}.png"
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    assert width > 1700
    assert height > 1200
    expect(opened.get_by_text(f"Saved as {name}.png")).to_be_visible()
    svg = ElementTree.parse(take(opened, "Figure (SVG)", tmp_path)).getroot()
    assert svg.tag == f"{SVG}svg"
    said = " ".join("".join(part.itertext()) for part in svg.iter(f"{SVG}text"))
    for part in (*NAMES, "test image 3, a 0", "Likelihood of the attacked image", "clean −", "ELBO (nats)"):
        assert part in said
    assert "coverage of a fresh draw" in said.replace("\u00a0", " ")
    (chart,) = svg.findall(f"{SVG}svg")
    assert len(list(chart.iter(f"{SVG}polyline"))) > 6
    assert "data:font/woff2" in ElementTree.tostring(svg, encoding="unicode")


def test_the_rows_are_what_is_on_the_screen(opened: Page, tmp_path: Path):
    with take(opened, "Rows (CSV)", tmp_path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shown = opened.get_by_test_id("number").all_inner_texts()
    here = [row for row in rows if row["eps"] == "0.05" and row["states"] == "draws"]
    assert [row["model"] for row in here] == ["mnist-mlp-standard", "mnist-mlp-robust-0.1"]
    for row, (clean, attained, proved, gap) in zip(here, (shown[:4], shown[4:]), strict=True):
        for name, there in (("clean", clean), ("attained", attained)):
            value = float(row[name])
            assert nats(value, digits(value)) == there
        if row["proved"] == "vacuous":
            assert (proved, gap) == ("nothing", "–")
        else:
            value = float(row["proved"])
            assert proved_nats(value, digits(value)) == proved
            assert row["open_gap"] == str(float(row["attained"]) - float(row["proved"]))
    assert {(row["digit"], row["label"], row["norm"], row["draws"]) for row in here} == {
        ("3", "0", "linf", "1")
    }
    assert sum(row["states"] == "coverage" for row in rows) == 2


def test_what_is_downloaded_is_verified(opened: Page, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    coverage = take(opened, f"Coverage of a fresh draw, {NAMES[1]} (JSON)", tmp_path)
    opened.get_by_role("radio", name="Proof").click()
    draws = take(opened, "Certificate (JSON)", tmp_path)
    opened.get_by_role("radio", name="Take it away").click()
    for path, said in (
        (draws, "as a mean over these 1 noise draws"),
        (coverage, "over a fresh noise draw"),
    ):
        status, printed = main(["verify", str(path)]), capsys.readouterr()
        assert status == 0, printed
        assert printed.out.startswith("Holds.")
        assert said in printed.out


def test_the_link_opens_the_same_page(opened: Page, page: Page, server: str):
    field = opened.get_by_role("textbox", name="Link to this page as it stands")
    link = field.input_value()
    assert link.startswith(f"{server}/?")
    opened.bring_to_front()
    opened.get_by_role("button", name="Copy link").click()
    expect(opened.get_by_text("Copied.")).to_be_visible()
    assert opened.evaluate("navigator.clipboard.readText()") == link
    shown = opened.get_by_test_id("number").all_inner_texts()
    page.goto(link)
    expect(page.get_by_text(re.compile("Proofs complete"))).to_be_visible()
    settle(page)
    assert page.get_by_test_id("number").all_inner_texts() == shown
