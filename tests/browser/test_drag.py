"""eps in the hand: everything follows in the browser, and the server hears of it on release."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from explorer_page import CHEAP, address_of, choose, numbers, settle, slider, unfold, visit
from playwright.sync_api import Browser, Page, expect

from benchmarks.drag import MOST, THUMB, move

CURSOR = ".plot svg .cursor line"
LABEL = ".plot svg .cursor text"
DRAWN = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
"""The next frame is on the screen."""
WHOLE_RANGE = [round(0.01 * i, 2) for i in (*range(10, 16), *range(15, -1, -1), *range(11))]


class Hand:
    """A mouse on the slider; counts what the browser sends to the server."""

    def __init__(self, page: Page) -> None:
        self.page, self.sent = page, 0
        page.on("websocket", lambda socket: socket.on("framesent", self._count))

    def _count(self, frame: str | bytes) -> None:
        self.sent += 1

    def grab(self, eps: float) -> None:
        self.to(eps)
        self.page.mouse.down()

    def to(self, eps: float) -> None:
        move(self.page, eps)

    def drop(self) -> None:
        self.page.mouse.up()


@pytest.fixture
def hand(page: Page) -> Iterator[Hand]:
    yield Hand(page)
    page.mouse.up()


def label(page: Page) -> str:
    return page.locator(LABEL).text_content() or ""


def state_of(page: Page) -> dict[str, str]:
    """All that should follow: pictures, cursor, and its label."""
    pictures = page.locator("canvas[role=img]").evaluate_all("all => all.map(one => one.toDataURL())")
    where = page.locator(CURSOR).evaluate("line => String(line.getBoundingClientRect().x)")
    names = [f"picture {i}" for i in range(len(pictures))]
    return {
        **dict(zip(names, pictures, strict=True)),
        "x": where,
        "label": label(page),
    }


def test_nothing_is_asked_of_the_server_while_eps_is_dragged(page: Page, server: str, hand: Hand):
    visit(page, server)
    before = hand.sent
    hand.grab(0.1)
    seen = set()
    for eps in WHOLE_RANGE:
        hand.to(eps)
        seen.add(page.locator("output").inner_text())
    page.wait_for_timeout(1000)
    assert len(seen) == 16
    assert hand.sent == before
    assert "eps" not in address_of(page)
    # The counter can count.
    hand.to(0.12)
    hand.drop()
    expect(page).to_have_url(re.compile("eps=0.12"))
    assert hand.sent > before


def test_a_frame_takes_less_than_50_ms(page: Page, server: str, hand: Hand):
    """The page's own work for a movement and what is drawn after it, in processor time: a loaded machine
    takes nothing away."""
    visit(page, server)
    work = page.context.new_cdp_session(page)
    work.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = work.send("Performance.getMetrics")["metrics"]
        return next(1000 * metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    hand.grab(0.1)
    times, seen = [], set()
    for eps in WHOLE_RANGE:
        before = spent()
        hand.to(eps)
        page.evaluate(DRAWN)
        times.append(spent() - before)
        seen.add(page.locator("output").inner_text())
    assert len(seen) == 16
    times.sort()
    late = times[int(0.95 * len(times))]
    print(f"{len(times)} movements; 95 % within {late:.1f} ms")
    assert 0 < late < 50


def test_pictures_numbers_and_cursor_follow_the_hand(page: Page, server: str, hand: Hand):
    visit(page, server)
    start, shown = state_of(page), numbers(page)
    hand.grab(0.1)
    hand.to(0.07)
    moved, now = state_of(page), numbers(page)
    same = {f"picture {i}" for i in (0, 3, 5, 8)}  # the input and its reconstruction
    assert {name for name in start if start[name] == moved[name]} == same
    assert float(moved["x"]) > float(start["x"])
    assert moved["label"] == "eps 0.07"
    assert (now[0], now[4]) == (shown[0], shown[4])
    assert now[1] != shown[1]
    assert now[5] != shown[5]
    thumb = slider(page).bounding_box()
    assert thumb is not None
    # The cursor stands over the slider's thumb.
    there = thumb["x"] + THUMB / 2 + (thumb["width"] - THUMB) * 0.07 / MOST
    assert float(moved["x"]) == pytest.approx(there, abs=1.5)


def test_eps_is_dragged_anywhere_in_the_chart(page: Page, server: str, hand: Hand):
    visit(page, server)
    box = page.locator(".plot svg").bounding_box()
    track = slider(page).bounding_box()
    assert box is not None
    assert track is not None
    sent, shown = hand.sent, numbers(page)

    def to(eps: float, down: float) -> None:
        x = track["x"] + THUMB / 2 + (track["width"] - THUMB) * eps / MOST
        page.mouse.move(x, box["y"] + down * box["height"])

    to(0.03, 0.5)
    page.mouse.down()
    assert page.locator("output").inner_text() == "0.03"
    to(0.12, 0.2)
    assert page.locator("output").inner_text() == "0.12"
    assert slider(page).input_value() == "0.12"
    assert numbers(page)[1] != shown[1]
    assert hand.sent == sent
    to(0.07, 0.9)
    page.mouse.up()
    expect(page).to_have_url(re.compile("eps=0.07"))
    assert page.locator("output").inner_text() == "0.07"


def test_slider_and_chart_end_together(page: Page, server: str):
    visit(page, server, f"{CHEAP}&eps=0.1")
    ends = page.get_by_role("combobox", name="up to")
    assert (slider(page).get_attribute("max"), ends.input_value()) == ("0.15", "0.15")
    ends.select_option("0.3")
    expect(page).to_have_url(re.compile("upto=0.3"))
    expect(slider(page)).to_have_attribute("max", "0.3")
    ends.select_option("0.05")  # where the page opens: nothing to say in the address
    expect(page).not_to_have_url(re.compile("[?&]eps="))
    expect(slider(page)).to_have_attribute("max", "0.05")
    # Keys go on where the slider ends, and take it along.
    slider(page).press("ArrowRight")
    expect(page.locator("output")).to_have_text("0.06")
    expect(slider(page)).to_have_attribute("max", "0.15")


def test_on_release_the_server_says_what_was_shown(page: Page, server: str, hand: Hand):
    visit(page, server)
    hand.grab(0.1)
    hand.to(0.02)
    held, pictures = numbers(page), state_of(page)
    hand.drop()
    expect(page).to_have_url(re.compile("eps=0.02"))
    settle(page)
    assert numbers(page) == held
    assert state_of(page)["picture 6"] == pictures["picture 6"]
    chart = page.locator("[aria-label*='At eps 0.02']")
    expect(chart).to_have_count(1)
    said = chart.get_attribute("aria-label") or ""
    for i in (0, 4):
        assert f"attacked {held[i + 1]}, proved {held[i + 2]}" in said
    expect(page.locator(".said")).to_have_text(re.compile(rf"eps 0\.02\..*attacked {held[1]}.*{held[5]}"))


def test_a_drag_is_not_disturbed_by_proofs_that_arrive(page: Page, server: str, hand: Hand):
    news = "globalThis[Symbol.for('elbo-under-attack')].numbers[1].count"
    line = "globalThis[Symbol.for('elbo-under-attack')].chart.querySelector('polyline')"
    page.goto(f"{server}/?index=4&steps=5&draws=2")
    expect(page.get_by_text(re.compile("alpha-CROWN, "))).to_be_visible()
    hand.grab(0.1)
    hand.to(0.12)
    place, sent = slider(page).bounding_box(), hand.sent
    page.evaluate(
        f"""() => {{
            window.stage = document.querySelector(".st-key-stage div");
            window.drawn = {line};
            window.news = {news};
        }}"""
    )
    # The chart is drawn again, with its cursor where the hand is.
    page.wait_for_function(f"() => {news} > window.news && {line} !== window.drawn")
    assert label(page).startswith("eps 0.12")
    expect(page.get_by_text("Proofs complete.")).to_be_visible()
    assert page.evaluate("window.stage.isConnected")
    assert slider(page).bounding_box() == place
    assert float(slider(page).input_value()) == pytest.approx(0.12, abs=1e-4)
    assert page.locator("output").inner_text() == "0.12"
    assert label(page).startswith("eps 0.12")
    hand.to(0.07)
    assert page.locator("output").inner_text() == label(page).removeprefix("eps ") == "0.07"
    assert hand.sent == sent
    hand.drop()
    expect(page).to_have_url(re.compile("eps=0.07"))
    # Leaves nothing running for the tests that follow.
    choose(page, "Proof", "IBP only")
    settle(page)


def test_keys_move_eps_digit_and_model(page: Page, server: str, hand: Hand):
    visit(page, server, f"{CHEAP}&eps=0.1")
    sent = hand.sent
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.locator("output").inner_text() == "0.12"
    expect(page).to_have_url(re.compile("eps=0.12"))
    assert hand.sent - sent <= 2  # one for all keys, and at most one of another kind
    page.keyboard.press("n")
    page.keyboard.press("n")
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value("2")
    page.keyboard.press("p")
    expect(page.get_by_role("spinbutton", name="Test image number")).to_have_value("1")
    page.keyboard.press("m")
    expect(page).to_have_url(re.compile("right=mnist-mlp-robust-rec-0.1"))
    page.keyboard.press("Shift+M")
    expect(page).to_have_url(re.compile("left=fashion-conv-robust-0.01"))
    settle(page)
    assert len(numbers(page)) == 8


def test_keys_are_left_alone_where_one_types(page: Page, server: str, hand: Hand):
    visit(page, server)
    page.get_by_role("spinbutton", name="Test image number").click()
    sent = hand.sent
    for key in ("n", "p", "m", "?", "ArrowRight"):
        page.keyboard.press(key)
    unfold(page)
    page.get_by_role("combobox", name="Attack", exact=True).click()
    page.keyboard.type("nm?")
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("Control+m")
    page.wait_for_timeout(600)
    assert page.locator("output").inner_text() == "0.05"
    assert page.locator("dialog").is_hidden()
    assert hand.sent == sent
    page.keyboard.press("ArrowRight")
    assert page.locator("output").inner_text() == "0.06"


def test_the_keys_are_listed(page: Page, server: str):
    visit(page, server)
    button, dialog = page.get_by_role("button", name="Keys"), page.get_by_role("dialog", name="Keys")
    button.focus()
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    assert all(word in dialog.inner_text() for word in ("eps", "next test image", "model on the right"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    assert page.locator("output").inner_text() == "0.05"
    button.click()
    page.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_a_value_off_the_grid_is_computed_on_the_server(page: Page, server: str):
    visit(page, server, f"{CHEAP}&eps=0.037")
    assert page.locator("output").inner_text() == "0.037"
    exact = numbers(page)
    chart = page.locator("[aria-label*='At eps 0.037']").get_attribute("aria-label") or ""
    assert f"attacked {exact[1]}" in chart
    page.keyboard.press("ArrowRight")
    assert page.locator("output").inner_text() == "0.04"
    assert numbers(page) != exact
    expect(page).to_have_url(re.compile("eps=0.04"))


def test_a_finger_moves_eps(browser: Browser, server: str):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(60_000)
    try:
        page = context.new_page()
        visit(page, server)
        slider(page).scroll_into_view_if_needed()
        box = slider(page).bounding_box()
        assert box is not None
        touch = context.new_cdp_session(page)

        def finger(kind: str, eps: float | None = None) -> None:
            x, y = box["x"] + box["width"] * (eps or 0) / MOST, box["y"] + box["height"] / 2
            points = [] if eps is None else [{"x": x, "y": y}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        finger("touchStart", 0.1)
        for eps in (0.09, 0.06, 0.03):
            finger("touchMove", eps)
        expect(page.locator("output")).to_have_text("0.03")
        assert "eps" not in address_of(page)
        finger("touchEnd")
        expect(page).to_have_url(re.compile("eps=0.03"))
    finally:
        context.close()
