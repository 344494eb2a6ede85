"""The table that Results begins with, what is copied of it, and the script that prints it."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.evaluation import results_files
from core.evaluation.results_files import read_results
from dashboard.shared import citing, text
from tests.dashboard.page_parts import address
from tests.evaluation.results_files import IMAGES, MODELS, SUBSET

ROOT, PAGE = Path(__file__).parents[3], "entries/results.py"
ROBUST = MODELS[1].name


def numbers(table: pd.DataFrame) -> dict[str, list[str]]:
    """Clean, attacked and proved by the name of the model, without its link."""
    rows = table.reset_index()
    names = [name.lstrip("[").partition("](")[0] for name in rows["Model"]]
    return dict(zip(names, rows[["Clean", "Attacked", "Proved"]].to_numpy().tolist(), strict=True))


def printed(script: str) -> dict[str, list[str]]:
    """The same as a script prints it, as the page writes numbers."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(script, {})
    shown = {}
    for line in out.getvalue().splitlines():
        name, *values = line.split("\t")
        shown[name] = [
            "–" if value == "None" else text.NOTHING if value == "-inf" else text.bare(float(value))
            for value in values
        ]
    return shown


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"target": "reconstruction", "eps": "0.05", "order": "clean", "certificate": "alpha-crown"},
        {"likelihood": "gaussian", "eps": "0.2", "attack": "strongest"},
    ],
)
def test_the_script_prints_the_table(page: AppTest, asked: dict[str, str]):
    page.query_params |= asked
    page.run()
    assert not page.exception
    (script,) = [code.value for code in page.code if code.language == "python"]
    shown = numbers(page.table[0].value)
    found = printed(script)
    assert found == shown
    assert list(found) == list(shown)
    assert "#     python -m some.suite --data data\n#     python -m some.table\n" in script


def test_the_script_runs_outside_on_the_shipped_results(app: AppTest):
    app.query_params.clear()
    app.switch_page(PAGE).run()
    (script,) = [code.value for code in app.code if code.language == "python"]
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    lines = [line.split("\t") for line in run.stdout.splitlines()]
    shown = numbers(app.table[0].value)
    assert [name for name, *_ in lines] == list(shown)
    assert len(lines) > 10
    for name, clean, attacked, proved in lines:
        if name == "Ceiling":
            assert shown[name] == ["–", "–", f"at most {text.bare(float(proved))}"]
        else:
            assert [text.bare(float(clean)), text.bare(float(attacked))] == shown[name][:2]


@pytest.mark.parametrize("order", ["proved", "attacked", "clean", "name"])
def test_the_table_has_the_order_that_is_chosen(page: AppTest, order: str):
    page.run()
    page.selectbox(key="results-order").set_value(order).run()
    assert address(page) == ({} if order == "proved" else {"order": order})
    shown = numbers(page.table[0].value)
    if order == "name":
        assert list(shown) == [*sorted(set(shown) - {"Constant decoder"}), "Constant decoder"]
        return
    column = [row[["clean", "attacked", "proved"].index(order)] for row in shown.values()]
    known = [float(cell.replace("−", "-").replace(",", "")) for cell in column if cell != text.NOTHING]
    assert known == sorted(known, reverse=True)
    assert column[len(known) :] == [text.NOTHING] * (len(column) - len(known))


def test_open_is_what_lies_between(page: AppTest):
    page.run()
    rows = page.table[0].value.reset_index()
    results = read_results(results_files.RESULTS)
    for name, cells in zip(numbers(page.table[0].value), rows.to_dict("records"), strict=True):
        assert (cells["Open"] == "–") == (cells["Proved"] == text.NOTHING), name
    (row,) = (r for r in rows.to_dict("records") if r["Model"].startswith("[Robust"))
    attacked = next(
        m for m in results.curve(ROBUST, "likelihood", "attacked", "pgd", IMAGES) if m.eps == 0.1
    )
    proved = next(
        m for m in results.curve(ROBUST, "likelihood", "certified", "crown-ibp", IMAGES) if m.eps == 0.1
    )
    assert row["Open"] == f"{attacked.mean - proved.mean:,.1f}"


def test_every_table_can_be_copied_with_what_it_claims(page: AppTest):
    page.query_params |= {"eps": "0.05", "upto": "0.2"}
    page.run()
    copied = [code.value for code in page.code if code.language in ("markdown", "latex")]
    assert [code.startswith("% Needs") for code in copied] == [False, True] * 4
    for code in copied:
        for part in ("nats", "mnist", "CROWN-IBP", "1 noise draw"):
            assert part in code
    for code in copied[:6]:
        assert "Likelihood of the attacked image" in code
        assert "PGD on the first 1,000 test images" in code
    # Numbers as they are shown.
    assert all(cell in copied[0] for row in numbers(page.table[0].value).values() for cell in row)
    assert "| Robust MLP (eps 0.1) | −" in copied[0]
    assert len(copied[6].splitlines()) == 2 + 2 + 5


def test_the_page_says_how_to_cite(page: AppTest):
    page.run()
    assert citing.BIBTEX in [code.value for code in page.code]


def test_the_tightest_is_the_best_proof_at_this_eps_or_a_larger_one(page: AppTest, paper: Path):
    tight = f"{ROBUST},likelihood,0.1,certified,alpha-crown,{IMAGES},1,-150,-151,-149,0\n"
    summary = paper / "summary.csv"
    summary.write_text(summary.read_text() + tight)
    for eps in ("0.05", "0.1"):
        page.query_params["eps"] = eps
        page.run()
        shown = numbers(page.table[0].value)
        assert shown["Robust MLP (eps 0.1)"][2] == "−150.0"
        assert next(iter(shown)) == "Robust MLP (eps 0.1)"
        said = " ".join(caption.value for caption in page.caption)
        (tightest,) = {part.partition(".")[0] for part in said.split("Tightest: ")[1:]}
        assert "alpha-CROWN" in tightest
        copied = [code.value for code in page.code if code.language == "markdown"]
        assert tightest in copied[0]
        (script,) = [code.value for code in page.code if code.language == "python"]
        assert printed(script) == shown
    page.selectbox(key="results-certificate").set_value("crown-ibp").run()
    assert numbers(page.table[0].value)["Robust MLP (eps 0.1)"][2] != "−150.0"
    # One model over all images does not hide what the others have over fewer.
    page.selectbox(key="results-certificate").set_value("alpha-crown").run()
    assert f"Proved by alpha-CROWN on {SUBSET} images." in " ".join(c.value for c in page.caption)
