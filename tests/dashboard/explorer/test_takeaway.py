from __future__ import annotations

import contextlib
import csv
import io
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

import core
from core import read_claim, verify_claim
from core.data.samples import load_levels, load_samples
from core.evaluation.curve import Proof
from core.training.baseline import fit_constant_decoder
from core.vae.checkpoint import find_model, model_digest
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import Settings, State
from dashboard.explorer import fold
from dashboard.explorer.stage.picture_strip import digits
from dashboard.explorer.takeaway import figure, numbers, rows, share, text
from dashboard.explorer.takeaway.rows import Row
from dashboard.shared import citing, claim, compute, tighter_bounds
from dashboard.shared.result import Known
from dashboard.shared.text import bare, nats, proved_nats
from tests.dashboard.page_parts import NAMES, metric

STATE = State(NAMES[1], NAMES[0], index=3, eps=0.02, settings=Settings(steps=2, draws=2, seed=7))
GRID = (0.0, 0.01, 0.02, 0.3, 1.0)


def quiet(now: object) -> None:
    pass


@pytest.fixture
def sides() -> list[Known]:
    found = []
    for name in (STATE.left, STATE.right):
        result = compute.explore(name, STATE.digit, STATE.settings, GRID, quiet)
        found.append(Known(name, result.curve, result, -540.0))
    return found


def test_a_row_for_each_model_and_eps_says_what_the_curves_say(sides: list[Known]):
    found = rows.rows(sides, STATE, "0")
    assert [(row.model, row.eps) for row in found] == [(s.model, eps) for s in sides for eps in GRID]
    for side in sides:
        mine = [row for row in found if row.model == side.model]
        curve, verdict = side.curve, side.curve.verdict(side.threshold)
        assert [row.attained for row in mine] == curve.attained.tolist()
        for row in mine:
            best = curve.best(row.eps)
            assert row.clean == curve.clean
            assert row.weights == model_digest(find_model(side.model))
            assert isinstance(row.attained, float)
            assert isinstance(row.attained_recon, float)
            assert isinstance(row.attained_kl, float)
            assert row.attained_recon - row.attained_kl == pytest.approx(row.attained, abs=1e-9)
            if best is None:
                assert (row.proved, row.method, row.open_gap) == ("vacuous", "", "unbounded")
            else:
                assert (row.proved, row.method, row.proved_at) == (best.bound, best.method, best.eps)
                assert row.open_gap == row.attained - best.bound
        safe = [row.eps for row in mine if row.verdict == "proved"]
        broken = [row.eps for row in mine if row.verdict == "broken"]
        assert (max(safe, default=None), min(broken, default=None)) == (verdict.certified, verdict.broken)
    assert {"vacuous"} < {row.proved for row in found}


def test_rows_have_what_limits_every_model(sides: list[Known]):
    found = rows.rows(sides, STATE, "0")
    for side in sides:
        vae, x = compute.model(side.model), STATE.digit.image()
        mine = [row for row in found if row.model == side.model]
        assert [row.ceiling for row in mine] == [core.ceiling(vae, x, eps).item() for eps in GRID]
        for row in mine:
            decoder = fit_constant_decoder(load_levels(), vae.likelihood, row.eps)
            assert row.constant_decoder == decoder.lower(x.double(), row.eps, "likelihood").item()
            assert row.proved == "vacuous" or float(row.proved) <= float(row.ceiling)
    upper = replace(STATE, settings=replace(STATE.settings, side="upper"))
    assert {(row.constant_decoder, row.ceiling) for row in rows.rows(sides, upper, "0")} == {("", "")}


def test_the_numbers_to_copy_have_the_way(sides: list[Known]):
    (row, _) = numbers.pair(sides, STATE).rows
    top = core.ceiling(compute.model(STATE.left), STATE.digit.image(), STATE.eps).item()
    assert row["Ceiling"] == bare(math.ceil(10 * top) / 10)
    assert (row["Way proved"] == "–") == (row["Proved"] == "nothing")


def test_what_is_proved_of_the_noise_is_a_row_of_its_own(sides: list[Known]):
    state = replace(STATE, states="coverage")
    proof = Proof(0.02, "ibp", -600.0, -590.0, 10.0, "said", 0.0)
    vacuous = replace(proof, bound=-math.inf)
    shown = [replace(sides[0], sampled=proof), replace(sides[1], sampled=vacuous)]
    last = rows.rows(shown, state, "0")[-2:]
    assert [(row.states, row.eps, row.proved, row.proved_at) for row in last] == [
        ("coverage", 0.02, -600.0, 0.02),
        ("coverage", 0.02, "vacuous", ""),
    ]
    assert {(row.attained, row.clean, row.open_gap, row.draws) for row in last} == {
        ("", "", "", compute.SAMPLE)
    }


def test_the_file_keeps_every_digit(sides: list[Known]):
    found = rows.rows(sides, STATE, "0")
    read = list(csv.DictReader(io.StringIO(rows.as_csv(found))))
    assert list(read[0]) == [field.name for field in fields(Row)]
    for row, cells in zip(found, read, strict=True):
        for name, cell in cells.items():
            value = getattr(row, name)
            assert cell == value if isinstance(value, str) else type(value)(cell) == value


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20))
def test_no_text_is_a_formula(name: str):
    values: dict[str, Any] = {f.name: "" if "str" in str(f.type) else 0 for f in fields(Row)}
    row = Row(**{**values, "model": name})
    (_, cells) = csv.reader(io.StringIO(rows.as_csv([row]), newline=""))
    assert cells[0].removeprefix("'") == name.removeprefix("'")
    assert not cells[0].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize(
    ("base", "params", "address"),
    [
        ("http://a.org", {}, "http://a.org/"),
        ("https://a.org:8501/elbo/", {"eps": "0.2"}, "https://a.org:8501/elbo/?eps=0.2"),
        ("http://a.org/?x=1#y", {"left": "a b&c"}, "http://a.org/?left=a+b%26c"),
        ("http://a.org", {"own": "abc", "index": "3"}, "http://a.org/?index=3"),
        ("/", {"eps": "0.2"}, "/?eps=0.2"),
    ],
)
def test_the_link_is_the_whole_address_without_images_of_ones_own(
    base: str, params: dict[str, str], address: str
):
    assert share.address(base, params) == address


def test_the_figure_says_what_it_is_of():
    names = ["Standard", "Robust"]
    assert figure.title(STATE, names, "0") == "ELBO under attack: test image 3, a 0. Standard and Robust"
    own = replace(STATE, own=np.zeros(784, np.float32).tobytes())
    assert "an image of one's own. Robust" in figure.title(own, names[1:], "")
    said = claim.question(STATE.settings, STATE.method)
    assert "Likelihood of the attacked image" in said
    assert "mean over 2 noise draws (seed 7)" in said
    legend = figure.legend(replace(STATE, states="coverage", method="crown")).replace("\u00a0", " ")
    assert all(part in legend for part in ("attacked", "△ CROWN", "◆ coverage of a fresh draw"))
    assert "bab" not in legend


def labels(app: AppTest) -> list[str]:
    return [button.proto.label for button in app.get("download_button")]


def test_the_page_offers_rows_and_what_is_proved_of_the_noise(app: AppTest):
    for name, value in {"states": "coverage", "eps": "0.01", "draws": "1", "steps": "2"}.items():
        app.query_params[name] = value
    app.run()
    app.button_group(key="fold").set_value(fold.TAKE).run()
    assert not app.exception
    assert text.ROWS in labels(app)
    assert sum(label.startswith("Coverage of a fresh draw, ") for label in labels(app)) == 2


@pytest.mark.parametrize("states", ["expectation", "coverage"])
def test_what_is_proved_of_the_noise_can_be_verified(states: str):
    digit = Digit(3)
    proof = tighter_bounds.statement(NAMES[0], digit, STATE.settings.proof, "ibp", states, 0.01, quiet)[0]
    claim = read_claim(compute.claim(NAMES[0], digit, STATE.settings.proof, proof, states))
    assert (claim.states, claim.sample, claim.draws, claim.seed) == (states, compute.SAMPLE, 0, 7)
    assert claim.statement.startswith(proof.statement)
    verdict = verify_claim(claim)
    assert verdict.holds, verdict.sentence


def test_an_image_of_ones_own_is_in_its_certificate():
    def page() -> None:
        import streamlit as st  # the function is a script of its own

        from dashboard.addresses.digit import Digit
        from dashboard.addresses.explorer import Settings
        from dashboard.shared import compute

        digit, settings = Digit(0, st.session_state["pixels"]), Settings(steps=1, draws=1)
        name = "mnist-mlp-robust-0.1"
        proof = compute.explore(name, digit, settings, (0.01,), lambda now: None).curve.best(0.01)
        assert proof is not None
        st.session_state["file"] = compute.claim(name, digit, settings.proof, proof)

    app = AppTest.from_function(page, default_timeout=60)
    pixels = (1 - load_samples("mnist")[0][3]).numpy()
    app.session_state["pixels"] = pixels.tobytes()
    app.run()
    assert not app.exception
    claim = read_claim(app.session_state["file"])
    assert verify_claim(claim).holds


UPWARDS = {
    "eps": "0.037",
    "side": "upper",
    "norm": "l2",
    "index": "7",
    "upto": "0.1",
    "method": "crown-ibp",
}


@pytest.mark.parametrize("asked", [{"eps": "0.03"}, UPWARDS])
def test_the_script_prints_what_the_page_shows(app: AppTest, asked: dict[str, str]):
    app.query_params.update({"draws": "2", "steps": "3", "method": "crown", "upto": "0.05"} | asked)
    app.run()
    app.button_group(key="fold").set_value(fold.TAKE).run()
    assert not app.exception
    (script,) = [code.value for code in app.code if code.language == "python"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(script, {})
    said = [line.split() for line in printed.getvalue().splitlines()]
    labels_ = {"clean": "Clean", "attacked": "Attacked", "proved": "Proved"}
    found: dict[str, list[float]] = {label: [] for label in labels_}
    for name, *rest in said:
        if name in found:
            found[name].append(float(rest[0]))
    side = asked.get("side", "lower")
    for name, label in labels_.items():
        shown = [metric(app, label, i) for i in (0, 1)]
        shown = [value for value in shown if value != "nothing"]
        rounded = [
            proved_nats(value, digits(value), side) if name == "proved" else nats(value, digits(value))
            for value in found[name]
        ]
        assert shown == rounded


def copied(app: AppTest) -> list[list[str]]:
    """The table that is offered as Markdown, its rows as cells, without the head."""
    (text_,) = [code.value for code in app.code if code.language == "markdown"]
    said, _, _, _, *rows = text_.splitlines()
    assert "MNIST test image 0, a 7" in said
    assert "up to CROWN-IBP" in said
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_numbers_are_copied_as_they_are_shown(app: AppTest):
    app.query_params.update({"draws": "1", "steps": "2", "method": "crown-ibp", "eps": "0.01"})
    app.run()
    app.button_group(key="fold").set_value(fold.TAKE).run()
    rows = copied(app)
    shown = [
        [
            metric(app, label, side).removesuffix(" nats")
            for label in ("Clean", "Attacked", "Proved", "Open")
        ]
        for side in (0, 1)
    ]
    assert [row[1:5] for row in rows] == shown
    app.button_group(key="fold").set_value(fold.METHODS).run()
    assert not app.exception
    rows = copied(app)
    assert [row[1] for row in rows] == ["attacked", "IBP", "CROWN-IBP"] * 2
    tables = " ".join(m.value.replace("**", "") for m in app.markdown)
    assert all(f"| {' | '.join(row[1:])} |" in tables for row in rows)


def test_the_citation_is_that_of_the_file():
    written = (Path(__file__).parents[3] / "CITATION.cff").read_text(encoding="utf-8")
    for part in ("Condessa", "Kolter", "Provably robust deep generative models", "2004.10608", "0.1.0"):
        assert part in written
        assert part in citing.BIBTEX
