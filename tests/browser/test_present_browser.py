"""A talk by keys alone, as with a clicker; the hand in the chart; and the code for the class."""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
import zxingcpp
from explorer_page import CHEAP, address_of, numbers, settle, slider
from PIL import Image
from playwright.sync_api import Page, expect

from dashboard.addresses import scenes
from dashboard.addresses.present import ALL
from dashboard.explorer.stage import reveal


def test_a_scene_is_played_by_keys_alone(page: Page, server: str):
    page.set_viewport_size({"width": 1366, "height": 768})
    page.goto(f"{server}/present?scene=1&step=0")
    settle(page)
    expect(page.get_by_role("heading", name=scenes.SCENES[0].title)).to_be_visible()
    assert numbers(page).count(reveal.HIDDEN) == 6
    hidden = [6, 5, 4, 0, 0]
    for step in range(1, ALL + 1):
        page.keyboard.press("PageDown")
        secret = page.get_by_test_id("number").filter(has_text=re.compile(r"^\?$"))
        expect(secret).to_have_count(hidden[step])
        settle(page)
    expect(page.locator(".verdicts p").first).to_contain_text("nats")
    page.keyboard.press("PageUp")
    expect(page).to_have_url(re.compile("step=3"))
    expect(page.locator(".verdicts p").first).to_be_empty()
    page.keyboard.press("PageDown")
    expect(page.locator(".verdicts p").first).not_to_be_empty()
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name=scenes.SCENES[1].title)).to_be_visible()
    assert address_of(page) == {"scene": ["2"], "step": ["0"], "eps": ["0.1"]}
    dark = page.locator(".dark")
    page.keyboard.press("b")
    expect(dark).to_be_visible()
    page.keyboard.press("b")
    expect(dark).to_be_hidden()
    assert address_of(page) == {"scene": ["2"], "step": ["0"], "eps": ["0.1"]}


def test_the_hand_moves_eps_on_one_large_screen(page: Page, server: str):
    page.set_viewport_size({"width": 1366, "height": 768})
    page.goto(f"{server}/present?{CHEAP}&index=3")
    settle(page)
    for part in (".cards", ".plot svg", "#eps", ".verdicts"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 768, part
    sent: list[str | bytes] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    before = numbers(page)
    box = page.locator(".plot svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    assert numbers(page)[1] != before[1]
    assert sent == []
    page.mouse.up()
    expect(page).to_have_url(re.compile("eps="))
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile("index=4"))
    settle(page)
    assert slider(page).is_visible()
    page.get_by_role("link", name="Leave").click()
    expect(page).to_have_url(re.compile(r"/\?(?=.*index=4)(?=.*draws=1)"))
    expect(page.get_by_role("heading", name="ELBO under attack")).to_be_visible()


def test_the_class_reads_the_code(page: Page, server: str):
    page.goto(f"{server}/present?{CHEAP}&index=3&eps=0.07&step=0")
    settle(page)
    page.get_by_role("button", name="QR code").click()
    code = page.get_by_role("img", name=re.compile("QR code of http"))
    expect(code).to_be_visible()
    page.wait_for_timeout(500)  # it has come in
    (found,) = zxingcpp.read_barcodes(np.asarray(Image.open(BytesIO(code.screenshot())).convert("L")))
    # The explorer with the same question, and nothing of the talk.
    assert found.text == f"{server}/?index=3&eps=0.07&method=ibp&steps=5&draws=1"
