"""How long a movement of eps takes in the browser: `python -m benchmarks.drag http://localhost:8501`.

The explorer must run there (`make run`). Drags eps over its range and prints, in milliseconds, what the
handler takes, what the rest of its frame takes (style, layout, paint), and how far frames are apart; and
how often the server was asked meanwhile. Needs Chromium, as the browser tests do ($CHROMIUM, or on the
path).
"""

from __future__ import annotations

import os
import re
import shutil
import sys

from playwright.sync_api import Locator, Page, sync_playwright

MOST = 0.15
THUMB = 16
"""Width of the slider's thumb in pixels: its middle stays inside the track."""
WATCH = """() => {
  const found = (window.watched = { handler: [], paint: [], between: [] });
  let began = 0, last = 0;
  addEventListener("input", () => (began = performance.now()), { capture: true });
  addEventListener("input", () => {
    found.handler.push(performance.now() - began);
    requestAnimationFrame((frame) => {
      if (last) found.between.push(frame - last);
      last = frame;
      const start = performance.now(), after = new MessageChannel();
      after.port1.onmessage = () => found.paint.push(performance.now() - start);
      after.port2.postMessage(0);
    });
  });
}"""
"""Times each movement: its handler, and the rest of the frame in which it is drawn."""


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name=re.compile("eps"))


def move(page: Page, eps: float) -> None:
    """The mouse to a radius on the slider."""
    box = slider(page).bounding_box()
    assert box is not None
    x = box["x"] + THUMB / 2 + (box["width"] - THUMB) * eps / MOST
    page.mouse.move(x, box["y"] + box["height"] / 2)


def drag(page: Page, times: int = 1) -> dict[str, list[float]]:
    """Take eps over its whole range and back; milliseconds, sorted. The button stays down."""
    page.evaluate(WATCH)
    move(page, 0)
    page.mouse.down()
    for i in [*range(31), *range(30, -1, -1)] * times:
        move(page, round(0.01 * i, 2))
    page.wait_for_timeout(300)
    return {name: sorted(values) for name, values in page.evaluate("window.watched").items()}


def main(address: str) -> None:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        sent: list[str | bytes] = []
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
        page.goto(address)
        page.wait_for_selector(".plot svg polyline")
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        before = len(sent)
        measured = drag(page, times=5)
        print(f"{len(measured['handler'])} movements, {len(sent) - before} messages to the server")
        print("ms        median    95 %     max")
        for name, values in measured.items():
            ranks = (values[len(values) // 2], values[int(0.95 * len(values))], values[-1])
            print(f"{name:8}" + "".join(f"{value:8.1f}" for value in ranks))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8501")
