"""A model of a stranger that stands alone, in colour and small, on the pages in a browser; and dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from explorer_page import slider
from playwright.sync_api import Browser, Page, expect
from torch import nn

import core
from tests.running import start

SHAPE = (3, 12, 10)
DROP = "input[type=file]"
CHEAP = "steps=5&draws=1&method=ibp"


def write(folder: Path) -> None:
    """A model with images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(360, 5), nn.SiLU(), nn.Linear(5, 4))
        decoder = nn.Sequential(nn.Linear(2, 5), nn.SiLU(), nn.Linear(5, 360))
        images = torch.randint(0, 256, (4, *SHAPE), dtype=torch.uint8)
    vae = core.wrap(encoder.eval(), decoder.eval(), shape=SHAPE, heads="chunk")
    core.save_model(vae, folder, images=images, labels=[0, 1, 0, 1], classes=["cat", "dog"])


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with one model of these images beside the shipped ones."""
    root = tmp_path_factory.mktemp("allowed") / "lab"
    write(root / "colour")
    with start(root.parent / "log", env={"ELBO_MODEL_ROOTS": str(root)}) as app:
        yield app.host


def well(page: Page) -> None:
    """The page is complete and nothing on it failed, in the server or in the browser."""
    page.wait_for_selector("[data-testid=stPlotlyChart] .main-svg, .plot svg polyline", state="attached")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("BidiComponent Error")).to_have_count(0)


def test_the_explorer_shows_it_alone(page: Page, host: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://{host}/?left=lab/colour&{CHEAP}")
    well(page)
    expect(page.locator("canvas[role=img]:visible")).to_have_count(5)
    expect(page.get_by_test_id("number").locator("visible=true")).to_have_count(4)
    before = page.get_by_test_id("number").nth(1).inner_text()
    slider(page).press("ArrowRight")
    expect(page.get_by_test_id("number").nth(1)).not_to_have_text(before)
    well(page)
    assert errors == []


@pytest.mark.parametrize(
    "address", ["inspect?model=lab/colour&draws=1", "compare?models=lab/colour&draws=1"]
)
def test_other_pages_show_it(page: Page, host: str, address: str) -> None:
    page.goto(f"http://{host}/{address}")
    well(page)
    expect(page.get_by_text("dog", exact=True).first).to_be_visible()


def test_a_dropped_model_is_this_visitors_alone(
    page: Page, host: str, browser: Browser, tmp_path: Path
) -> None:
    write(tmp_path / "mine")
    files = [path for path in sorted((tmp_path / "mine").rglob("*")) if path.is_file()]
    page.goto(f"http://{host}/?{CHEAP}")
    well(page)
    page.goto(f"http://{host}/own?bring=model")
    page.set_input_files(DROP, [path for path in files if path.name != "graph.json"])
    expect(page.get_by_text("there is no graph.json")).to_be_visible()
    page.set_input_files(DROP, [path for path in files if path.name == "graph.json"])
    expect(page.get_by_role("heading", name="Yours, 3 x 12 x 10")).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    expect(page.get_by_role("cell", name="CROWN-IBP", exact=True)).to_be_visible()
    page.get_by_role("link", name="Open in the explorer").last.click()
    page.wait_for_url(re.compile(r"right=brought(/|%2F)[0-9a-f]{24}"))
    well(page)
    expect(page.get_by_test_id("number").locator("visible=true")).to_have_count(8)  # beside the other one
    there = page.url
    page.go_back()
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_role("heading", name="From PyTorch to these files")).to_be_visible()
    other = browser.new_context()
    stranger = other.new_page()
    stranger.goto(there)
    expect(stranger.get_by_test_id("stAlert")).to_contain_text("right in the address is brought/")
    other.close()
