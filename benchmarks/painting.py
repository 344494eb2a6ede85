"""How long a stroke takes to become a number: `python -m benchmarks.painting http://localhost:8501`.

The app must run there (`make run`). Paints cell by cell on the page of attacks by hand and prints, in
milliseconds, the time from a stroke to the first number of both models that is about it, as a visitor sees
it. Needs Chromium, as the browser tests do ($CHROMIUM, or on the path).
"""

from __future__ import annotations

import os
import shutil
import sys

from playwright.sync_api import Page, sync_playwright

SIDE, STROKES = 28, 120
WATCH = """([count, side]) => new Promise((done) => {
  const inside = (root) => root.querySelector("canvas.image")
    ?? [...root.querySelectorAll("*")].map((e) => e.shadowRoot && inside(e.shadowRoot)).find(Boolean);
  const canvas = inside(document), root = canvas.getRootNode();
  const numbers = root.querySelectorAll(".rulers strong"), times = [];
  let began = 0, cell = 0;
  const point = (type) => {
    const box = canvas.getBoundingClientRect();
    const x = box.left + ((cell * 5) % side + 0.5) * box.width / side;
    const y = box.top + (Math.floor(cell * 5 / side) % side + 0.5) * box.height / side;
    const at = { clientX: x, clientY: y, pointerId: 1, button: 0, bubbles: true };
    canvas.dispatchEvent(new PointerEvent(type, at));
  };
  canvas.setPointerCapture = () => {};
  const next = () => {
    cell += 1;
    began = performance.now();
    point("pointerdown");
    point("pointerup");
  };
  new MutationObserver(() => {
    if (!began) return;
    times.push(performance.now() - began);
    began = 0;
    if (times.length === count) done(times);
    else setTimeout(next, 250);
  }).observe(numbers[numbers.length - 1], { childList: true, characterData: true, subtree: true });
  next();
})"""
"""A stroke of one cell, again a while after its number has come."""


def measure(page: Page, strokes: int = STROKES) -> list[float]:
    """Milliseconds from strokes to numbers, sorted."""
    return sorted(page.evaluate(WATCH, [strokes, SIDE]))


def main(address: str) -> None:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(120_000)
        page.goto(f"{address}/attack")
        page.wait_for_selector(".rulers strong")
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        page.wait_for_timeout(2000)
        times = measure(page)
        ranks = (times[len(times) // 2], times[int(0.95 * len(times))], times[-1])
        print(f"{len(times)} strokes, milliseconds to both numbers")
        print("median    95 %     max")
        print("".join(f"{value:6.0f}  " for value in ranks))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8501")
