"""What the inspector lets one take away as text: a script that runs, a table that says what it is."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.addresses.digit import own_name
from dashboard.inspector import text
from dashboard.shared.text import nats, proved_nats
from tests.dashboard.page_parts import NAMES

PAGE = "entries/inspect.py"


@pytest.fixture
def page(app: AppTest) -> AppTest:
    """The page, not yet run."""
    app.query_params.clear()
    return app.switch_page(PAGE)


def code(app: AppTest, language: str) -> list[str]:
    return [block.value for block in app.code if block.language == language]


@pytest.mark.parametrize(
    "asked",
    [
        {"model": NAMES[0], "index": "3", "eps": "0.02", "draws": "2", "seed": "4"},
        {"model": NAMES[1], "eps": "0.3", "norm": "l2", "target": "reconstruction"},
    ],
)
def test_the_script_prints_what_the_page_says(page: AppTest, asked: dict[str, str]):
    page.query_params |= asked
    page.run()
    assert not page.exception
    (script,) = code(page, "python")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(script, {})
    lines = out.getvalue().splitlines()
    said = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines}
    caption = next(c.value for c in page.caption if c.value.startswith("ELBO: clean"))
    assert f"clean {nats(float(said['clean']), 1)}, attacked {nats(float(said['attacked']), 1)}." in caption
    for method, label in (("ibp", "IBP"), ("crown", "CROWN")):
        bound = said[f"proved term by term {method}"]
        shown = "vacuous" if bound == "nothing" else proved_nats(float(bound), 1)
        assert f"{shown} by {label}" in caption
    rows = page.table[0].value.to_dict("records")
    found = [line.split() for line in lines if line.startswith("width ")]
    assert len(found) == len(rows)
    shares = 0
    for row, words in zip(rows, found, strict=True):
        ibp, crown, reached = (float(words[words.index(name) + 1]) for name in ("ibp", "crown", "reached"))
        cells = [row[f"Width, {name}"] for name in ("IBP", "CROWN", "reached by images")]
        assert cells == [text.number(value) for value in (ibp, crown, reached)]
        if "unstable" in words:
            opened, total = (int(words[words.index("unstable") + place]) for place in (1, 3))
            assert row["Unstable, IBP"] == text.share(opened, total)
            shares += 1
        else:
            assert row["Unstable, IBP"] == "–"
    assert shares == 2
    markdown = " ".join(m.value for m in page.markdown)
    losses = [line.split() for line in lines if line.startswith("lost ")]
    assert losses
    for words in losses:
        elbo = float(words[words.index("image") + 1])
        assert f"the ELBO is {nats(elbo, 1)}" in markdown


def test_the_table_is_copied_with_what_it_claims(page: AppTest):
    page.query_params |= {"index": "3", "eps": "0.02"}
    page.run()
    (markdown,), (latex,) = code(page, "markdown"), code(page, "latex")
    for copied in (markdown, latex):
        for part in ("MNIST test image 3, a 0", "eps 0.02", "by IBP and CROWN", "1 noise draw (seed 0)"):
            assert part in copied
    for row in page.table[0].value.to_numpy():
        assert all(f" {cell} |" in markdown for cell in row)


def test_what_only_the_visitor_has_has_no_script(page: AppTest):
    pixels = np.linspace(0, 1, 784, dtype=np.float32).tobytes()
    page.session_state["own images"] = {own_name(pixels): pixels}
    page.query_params["own"] = own_name(pixels)
    page.run()
    assert not page.exception
    assert code(page, "python") == []
    assert "an image of one's own" in code(page, "markdown")[0]
