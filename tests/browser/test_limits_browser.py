"""What limits every model, and the unit, as a visitor of the explorer sees them."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from explorer_page import CHEAP, SHIFT, WATCH, jumped, numbers, settle, visit
from playwright.sync_api import Page, expect

from benchmarks.drag import move

LIMITS = ".plot svg polyline.ceiling, .plot svg polyline.constant"
CHART = ".plot svg"
WORDS = """() => {
  const seen = [];
  const hidden = "style, script, [data-testid=stIconMaterial]";
  const walk = (root) => {
    const nodes = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    for (let node; (node = nodes.nextNode()); ) {
      if (node.shadowRoot) walk(node.shadowRoot);
      const parent = node.parentElement;
      if (node.nodeType !== Node.TEXT_NODE || parent?.closest(hidden)) continue;
      if (!parent?.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const { left, right, top, bottom, width } = range.getBoundingClientRect();
      const inside = right > 0 && left < innerWidth && bottom > 0 && top < innerHeight;
      if (width > 1 && inside) seen.push(node.data);
    }
  };
  walk(document.body);
  return seen.join(" ");
}"""
"""A script: all text that is on the screen, icons apart."""
MOST_WORDS = 162


def said(page: Page) -> str:
    return page.locator(CHART).get_attribute("aria-label") or ""


def test_limits_are_there_when_they_are_asked_for(page: Page, server: str):
    visit(page, server)
    assert page.locator(LIMITS).count() == 0
    assert "Ceiling" not in said(page)
    expect(page.get_by_text(re.compile("of the way is proved")).first).to_be_visible()
    visit(page, server, f"{CHEAP}&limits=show")
    expect(page.locator(LIMITS)).to_have_count(2)
    assert re.search(r"Ceiling: −[\d.]+ nats\. Constant decoder: −[\d.]+ nats\.$", said(page))
    expect(page.locator(".legend")).to_contain_text(re.compile("Ceiling.*Constant.decoder"))


def test_limits_follow_the_hand_without_the_server_and_nothing_jumps(page: Page, server: str):
    sent = list[object]()
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.add_init_script(WATCH)
    visit(page, server, f"{CHEAP}&limits=show")
    assert jumped(page) < SHIFT
    before, known = said(page), len(sent)
    move(page, 0.05)
    page.mouse.down()
    for eps in (0.06, 0.08, 0.1):
        move(page, eps)
    assert len(sent) == known
    assert page.locator("output").inner_text() == "0.1"
    page.mouse.up()
    (told,) = re.findall("Ceiling: [^ ]+", before)
    expect(page.locator(CHART)).to_have_attribute("aria-label", re.compile("At eps 0.1: "))
    assert "Ceiling: " in said(page)
    assert told not in said(page)


def test_bits_are_displayed_and_a_figure_is_in_nats(page: Page, server: str, tmp_path: Path):
    visit(page, server, f"{CHEAP}&limits=show")
    nats, before = said(page), numbers(page)
    visit(page, server, f"{CHEAP}&limits=show&unit=bits")
    shown = numbers(page)
    assert before[0].endswith("nats")
    assert shown[0].endswith("bpd")
    expect(page.locator(CHART).get_by_text("ELBO (bits per dimension, bpd)")).to_be_visible()
    expect(page.locator(".verdicts")).not_to_contain_text("nats")
    page.get_by_role("radio", name="Take it away").click()
    settle(page)
    with page.expect_download() as found:
        page.get_by_role("button", name="Figure (SVG)").click()
    path = tmp_path / "figure.svg"
    found.value.save_as(path)
    parts = ElementTree.parse(path).getroot().iter()
    drawing = " ".join(part.text or "" for part in parts if not part.tag.endswith("style"))  # its font
    assert "bpd" not in drawing
    assert "ELBO (nats)" in drawing
    assert "Ceiling" in drawing
    assert nats.split(": ", 1)[1][:40] in drawing
    expect(page.locator(CHART).get_by_text("ELBO (bits per dimension, bpd)")).to_be_visible()


@pytest.mark.parametrize("query", ["", "limits=show"])
def test_the_first_screen_has_few_words(page: Page, server: str, query: str):
    page.set_viewport_size({"width": 1366, "height": 768})
    page.goto(f"{server}/?{query}")
    settle(page)
    page.wait_for_timeout(500)
    words = [word for word in page.evaluate(WORDS).split() if re.search("[A-Za-z]", word)]
    assert len(words) <= MOST_WORDS + (8 if query else 0), words
