"""Draw, upload and use in a real browser; what a hostile browser sends."""

from __future__ import annotations

import io
import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from explorer_page import settle
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FloatRect, Page, expect

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
CHEAP = "steps=5&draws=1&method=ibp"
SEVEN = ((0.25, 0.2), (0.75, 0.2), (0.45, 0.85))
LOST = "kept only in the browser"


@pytest.fixture
def telephone(browser: Browser) -> Iterator[Page]:
    """A fresh visitor with a finger and a sharp screen."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=3
    )
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def visit(page: Page, server: str) -> None:
    """The page by way of the explorer, whose cheap settings it hands back."""
    page.goto(f"{server}/?{CHEAP}")
    settle(page)
    more = page.get_by_test_id("stExpandSidebarButton")
    if more.is_visible():
        more.click()
    page.get_by_role("link", name="Your own", exact=True).first.click()
    expect(page.get_by_role("heading", name="Bring your own")).to_be_visible()
    page.wait_for_selector("canvas.paper")
    page.wait_for_selector(IDLE)


def paper(page: Page) -> FloatRect:
    canvas = page.locator("canvas.paper")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    return box


def place(box: FloatRect, x: float, y: float) -> tuple[float, float]:
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw(page: Page) -> None:
    """A seven, with the mouse."""
    box = paper(page)
    page.mouse.move(*place(box, *SEVEN[0]))
    page.mouse.down()
    for corner in SEVEN[1:]:
        page.mouse.move(*place(box, *corner), steps=8)
    page.mouse.up()


def ink(page: Page) -> float:
    """Share of the drawing area that is white."""
    return page.locator("canvas.paper").evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
            let sum = 0
            for (let i = 3; i < data.length; i += 4) sum += data[i] > 127
            return sum / data.length * 4
        }"""
    )


def explorer(page: Page) -> None:
    """Wait for the explorer on an image of one's own."""
    expect(page.get_by_role("heading", name="ELBO under attack")).to_be_visible()
    expect(page).to_have_url(re.compile("own=[0-9a-f]{12}"))
    expect(page).to_have_url(re.compile("steps=5"))
    expect(page.get_by_test_id("number")).to_have_count(8)
    page.wait_for_selector(IDLE)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_drawing_goes_to_the_explorer_and_survives_a_reload_and_a_second_tab(page: Page, server: str):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    visit(page, server)
    undo, clear = (page.get_by_role("button", name=name) for name in ("Undo", "Clear"))
    expect(undo).to_be_disabled()
    expect(page.get_by_role("button", name="Use this digit")).to_have_count(0)
    draw(page)
    seven = ink(page)
    assert 0.03 < seven < 0.2
    # Until the page has answered, it may move under the pen.
    expect(page.get_by_role("button", name="Use this digit")).to_be_visible()
    page.wait_for_selector(IDLE)
    page.mouse.click(*place(paper(page), 0.1, 0.9))
    assert ink(page) > seven
    undo.click()
    assert ink(page) == seven
    clear.click()
    assert ink(page) == 0
    expect(page.get_by_role("button", name="Use this digit")).to_have_count(0)
    draw(page)
    drawn = ink(page)
    seen = page.get_by_alt_text(re.compile("as the models see it: 28 x 28 pixels"))
    expect(seen).to_have_count(1)
    page.get_by_role("button", name="Use this digit").click()
    explorer(page)
    own = page.get_by_test_id("stSidebar").get_by_alt_text("your image 1")
    expect(own).to_be_visible()
    # Back at the page the drawing is still there.
    page.get_by_role("link", name="Draw or upload your own").click()
    page.wait_for_selector("canvas.paper")
    expect(page.get_by_role("button", name="Use this digit")).to_be_visible()
    assert ink(page) == pytest.approx(drawn, rel=0.02)
    page.go_back()
    explorer(page)
    address = page.url
    # One step back from there is the page before, not one of the addresses in between.
    page.go_back()
    expect(page).to_have_url(f"{server}/own")
    page.go_forward()
    explorer(page)
    second = page.context.new_page()
    for tab in (page, second):
        tab.goto(address)
        explorer(tab)
        expect(tab.get_by_test_id("stSidebar").get_by_alt_text("your image 1")).to_be_visible()
        expect(tab.get_by_text(LOST)).to_have_count(0)
        assert tab.url == address
    # Forgotten is forgotten: for the next visit, too.
    second.goto(f"{server}/own")
    second.get_by_role("button", name="Forget them all").click()
    expect(second.get_by_role("button", name="Forget them all")).to_have_count(0)
    second.goto(address)
    expect(second.get_by_text(LOST)).to_be_visible()
    second.close()
    assert errors == []


def test_a_finger_draws_and_does_not_scroll(telephone: Page, server: str):
    visit(telephone, server)
    close = telephone.get_by_test_id("stSidebarCollapseButton").locator("button")
    if close.is_visible():
        close.click()
    box = paper(telephone)
    telephone.wait_for_timeout(500)
    box = paper(telephone)
    finger = telephone.context.new_cdp_session(telephone)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": x, "y": y} for x, y in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", place(box, 0.5, 0.9))
    for step in range(1, 9):
        touch("touchMove", place(box, 0.5, 0.9 - 0.1 * step))
    touch("touchEnd")
    expect(telephone.get_by_role("button", name="Use this digit")).to_be_visible()
    assert paper(telephone) == box
    assert ink(telephone) > 0.04
    assert telephone.locator("canvas.paper").evaluate("canvas => canvas.width / canvas.clientWidth") == 3
    too_wide = telephone.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stMain] *')]
            .filter(e => e.getBoundingClientRect().right > 391).map(e => e.tagName)"""
    )
    assert too_wide == []
    telephone.get_by_role("button", name="Use this digit").click()
    explorer(telephone)


def picture(kind: str) -> bytes:
    """A seven in dark ink on light paper."""
    page = Image.new("L", (300, 400), 235)
    corners = [(x * 200 + 60, y * 300 + 40) for x, y in SEVEN]
    ImageDraw.Draw(page).line(corners, fill=30, width=24, joint="curve")
    buffer = io.BytesIO()
    page.save(buffer, kind)
    return buffer.getvalue()


def test_files_are_shown_before_use_and_hostile_ones_leave_the_session_alive(page: Page, server: str):
    visit(page, server)
    chooser = page.locator("input[type=file]")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>document.title = "hit"</script></svg>'
    hostile = {
        "<img src=x onerror=document.title='hit'>.png": svg,
        "cut.png": picture("PNG")[:-30],
        "cut.jpg": picture("JPEG")[:500],
        "none.jpg": b"",
    }
    for name, content in hostile.items():
        kind = "image/png" if name.endswith("png") else "image/jpeg"
        chooser.set_input_files({"name": name, "mimeType": kind, "buffer": content})
        expect(page.get_by_test_id("stAlert")).to_have_count(1)
        expect(page.get_by_role("button", name="Use this image")).to_have_count(0)
        page.get_by_test_id("stFileChipDeleteBtn").locator("button").click()
        expect(page.get_by_test_id("stAlert")).to_have_count(0)
    assert page.title() != "hit"
    expect(page.get_by_test_id("stException")).to_have_count(0)
    for number, kind in enumerate(("PNG", "JPEG"), 1):
        file = {"name": f"seven.{kind.lower()}", "mimeType": f"image/{kind.lower()}"}
        chooser.set_input_files({**file, "buffer": picture(kind)})  # type: ignore[typeddict-item]
        expect(page.get_by_role("button", name="Use this image")).to_be_visible()
        expect(page.get_by_role("switch", name="Dark ink on light paper")).to_be_checked()
        page.get_by_role("button", name="Use this image").click()
        explorer(page)
        own = page.get_by_test_id("stSidebar").get_by_alt_text(re.compile(r"your image \d"))
        expect(own).to_have_count(number)
        page.get_by_role("link", name="Draw or upload your own").click()
        page.wait_for_selector("canvas.paper")
        page.wait_for_selector(IDLE)


@pytest.mark.parametrize("forged", ['[["ABC", "////"], ["ABC", 7], 3, ["0123456789ab", "A"]]', None])
def test_a_forged_storage_or_none_brings_nothing(page: Page, server: str, forged: str | None):
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    put = f"localStorage.setItem('elbo-under-attack-images', {forged!r})"
    none = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('none') }})"
    page.add_init_script(none if forged is None else put)
    page.goto(f"{server}/?{CHEAP}&own=0123456789ab")
    expect(page.get_by_text(LOST)).to_be_visible()
    settle(page)
    assert errors == []


def test_a_file_without_the_token_of_a_visitor_is_refused(server: str):
    """Streamlit's protection against forged requests is on."""
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.png"\r\n\r\nx\r\n--x--\r\n'
    head = {"Content-Type": "multipart/form-data; boundary=x", "Origin": "http://evil.example"}
    where = f"{server}/_stcore/upload_file/session/file"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(where, body, head, method="PUT"), timeout=20)
    with caught.value as answer:
        assert answer.code == 403
        assert b"XSRF" in answer.read()
        assert "Access-Control-Allow-Origin" not in answer.headers
