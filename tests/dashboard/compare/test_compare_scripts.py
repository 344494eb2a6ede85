"""What Compare lets one take away as text: scripts that run, tables that say what they are."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.certificates.certificate import shown_radius
from dashboard.addresses.digit import own_name
from dashboard.shared.text import bare, floor
from tests.dashboard.page_parts import NAMES

PAGE = "entries/compare.py"
CHEAP = {"steps": "2", "draws": "1", "models": ",".join(NAMES), "restarts": "2", "seed": "3"}


@pytest.fixture
def page(opened: AppTest) -> AppTest:
    """The page of comparisons, not yet run."""
    opened.query_params |= CHEAP
    return opened.switch_page(PAGE)


def code(app: AppTest, language: str) -> list[str]:
    return [block.value for block in app.code if block.language == language]


def printed(script: str) -> list[str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(script, {})
    return out.getvalue().splitlines()


def radius(word: str) -> str:
    return "–" if word == "None" else shown_radius(float(word))


@pytest.mark.parametrize(
    "asked",
    [
        {"eps": "0.02", "target": "reconstruction", "threshold": "-546", "index": "3"},
        {"eps": "0.013", "against": "4", "index": "2", "threshold": "-550"},
        {"norm": "l2", "eps": "0.4", "upto": "0.6", "models": f"{NAMES[1]},{NAMES[0]}"},
    ],
)
def test_the_script_prints_the_table(page: AppTest, asked: dict[str, str]):
    page.query_params |= asked
    page.run()
    assert not page.exception
    (script,) = code(page, "python")
    rows = page.table[0].value.to_dict("records")
    lines = printed(script)
    assert len(lines) == 4 * len(rows)
    certified = set()
    for row, place in zip(rows, range(0, len(lines), 4), strict=True):
        clean, attacked, proved, radii = (line.split() for line in lines[place : place + 4])
        assert row["Clean"] == bare(float(clean[1]))
        assert row["Attacked"] == bare(float(attacked[1]))
        if proved[1] == "nothing":
            assert (row["Proved"], row["By"], row["Open"]) == ("vacuous", "–", "unbounded")
        else:
            assert row["Proved"] == bare(floor(float(proved[1]), 1))
            assert row["Open"] == f"{float(attacked[1]) - float(proved[1]):,.1f}"
        assert radii[:2] + radii[3:5] == ["certified", "up", radii[3], "broken"]
        assert row["Certified up to"] == radius(radii[3])
        assert row["Broken from"] == radius(radii[6])
        certified.add(radii[3])
    assert certified


def test_the_gallery_script_prints_each_verdict(page: AppTest):
    page.query_params |= {
        "part": "gallery",
        "count": "25",
        "of": NAMES[1],
        "sort": "number",
        "target": "reconstruction",
        "threshold": "-552",
        "eps": "0.01",
    }
    page.run()
    assert not page.exception
    (script,) = code(page, "python")
    lines = [line.split() for line in printed(script)]
    assert [line[0] for line in lines] == [str(i) for i in range(25)]
    cards = [m.value for m in page.markdown if "-badge[" in m.value]
    assert len(cards) == 24
    for (_, verdict, certified, broken), card in zip(lines, cards, strict=False):
        assert f" {verdict}]" in card
        assert f"to {radius(certified)}, from {radius(broken)}" in card
    assert len({line[1] for line in lines}) > 1


def test_tables_are_copied_with_what_they_claim(page: AppTest):
    page.query_params |= {"pin": NAMES[0], "index": "3", "eps": "0.02", "attack": "fgsm"}
    page.run()
    markdown, latex = code(page, "markdown"), code(page, "latex")
    assert len(markdown) == len(latex) == len(page.table) == 2
    for text in (*markdown, *latex):
        for part in ("MNIST test image 3, a 0", "1 noise draw (seed 3)", "FGSM", "CROWN-IBP", "eps 0.02"):
            assert part in text
    assert markdown[1].startswith(
        "Each model minus Robust MLP (eps 0.1); the difference of two proofs is no"
    )
    for table, text in zip(page.table, markdown, strict=True):
        assert all(f" {cell} " in text for row in table.value.to_numpy() for cell in row)


def test_what_only_the_visitor_has_has_no_script(page: AppTest):
    pixels = np.linspace(0, 1, 784, dtype=np.float32).tobytes()
    page.session_state["own images"] = {own_name(pixels): pixels}
    page.query_params["own"] = own_name(pixels)
    page.run()
    assert not page.exception
    assert not page.warning
    assert code(page, "python") == []
    assert "an image of one's own" in code(page, "markdown")[0]
