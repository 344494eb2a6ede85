"""An adversary that raises the ELBO: the same page, upwards."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import core
from core.errors import InputError
from core.evaluation.curve import Proof
from dashboard.addresses.compare import address
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import Settings, State, to_params
from dashboard.explorer import fold, loss_bars, seen_proofs
from dashboard.explorer.loss_bars import Loss
from dashboard.explorer.stage.picture_strip import reading
from dashboard.explorer.takeaway import rows
from dashboard.shared import claim, compute, figures, tighter_bounds
from dashboard.shared.figures import Line
from dashboard.shared.result import Known
from dashboard.shared.text import nats, proved_nats, safe
from tests.dashboard.addressed import parse_explorer
from tests.dashboard.page_parts import NAMES, curve, metric, note, stage, verdict

UPPER = Settings(steps=3, draws=2, side="upper")
GRID = (0.0, 0.02, 0.1)


def quiet(now: object) -> None:
    pass


def words(app: AppTest) -> str:
    return " ".join(m.value for m in (*app.markdown, *app.caption, *app.header))


@pytest.fixture
def upper(app: AppTest) -> AppTest:
    app.query_params.update({"side": "upper", "draws": "2", "steps": "3", "eps": "0.02"})
    return app.run()


def test_the_page_is_about_the_way_up(upper: AppTest):
    assert not upper.exception
    assert not upper.warning
    vae = core.load_model(NAMES[1])
    x, noise = core.load_samples("mnist")[0][:1], core.sample_noise(vae, 2)
    found = core.attack(vae, x, noise, eps=0.02, steps=3, side="upper").elbo.item()
    proved = core.certify(vae, x, noise, eps=0.02, side="upper").upper.item()
    clean = core.elbo(vae, x, noise).total.item()
    assert clean < found < proved
    assert metric(upper, "Attacked", 0) == nats(found, 1)
    assert metric(upper, "Proved", 0) == nats(math.ceil(proved * 10) / 10, 1)
    assert note(upper, "Attacked", 0).startswith("+")
    assert "is at most" in words(upper)
    assert "at least" not in words(upper)
    helps = dict(stage(upper)["words"]["numbers"])
    assert "highest ELBO" in helps["Attacked"]
    assert "no image within eps has an ELBO above" in helps["Proved"]
    assert "lifts it to" in verdict(upper, 0)
    assert "look normal" in words(upper)
    assert curve(upper, 0)["side"] == "upper"
    upper.button_group(key="fold").set_value(fold.LOST).run()
    assert "Where it was gained" in words(upper)
    (gained,) = (element.proto.alt for element in upper.get("plotly_chart"))
    assert "+" in gained


def test_the_control_changes_the_side_and_what_there_is_for_it(app: AppTest):
    app.query_params.update({"attack": "latent", "steps": "2", "draws": "1"})
    app.run()
    assert app.button_group(key="side").value == "lower"
    app.button_group(key="side").set_value("upper").run()
    assert not app.exception
    assert not app.warning
    assert app.query_params["side"] in ("upper", ["upper"])
    assert app.selectbox(key="attack").value == "pgd"
    assert not any("Latent" in option for option in app.selectbox(key="attack").options)
    assert app.selectbox(key="states").options == ["These draws"]
    app.button_group(key="side").set_value("lower").run()
    assert "side" not in app.query_params
    assert any("Latent" in option for option in app.selectbox(key="attack").options)


def test_the_address_is_read_back_and_what_cannot_be_is_said():
    wanted = {"side": "upper", "attack": "spg", "eps": "0.1"}
    state, messages = parse_explorer(wanted, NAMES)
    assert (state.settings.side, messages) == ("upper", [])
    assert to_params(state, NAMES) == wanted
    state, messages = parse_explorer({"side": "upper", "attack": "damage", "states": "coverage"}, NAMES)
    assert (state.settings.attack, state.states) == ("pgd", "draws")
    assert [message.field for message in messages] == ["attack", "states"]
    state, messages = parse_explorer({"side": "sideways"}, NAMES)
    assert (state.settings.side, len(messages)) == ("lower", 1)


def test_pages_about_the_way_down_do_not_get_the_side():
    state = State(NAMES[1], NAMES[0], settings=UPPER)
    assert "side" not in address(state, dict.fromkeys(NAMES, "bernoulli"))
    assert to_params(state, NAMES)["side"] == "upper"


def test_curves_and_rows_and_readings_go_up():
    result = compute.explore(NAMES[0], Digit(3), UPPER, GRID, quiet)
    curve = result.curve
    assert curve.side == "upper"
    assert bool((curve.attained.diff() >= 0).all())
    assert bool((curve.attained <= curve.proved()).all())
    assert curve.attained[-1] > curve.clean
    threshold = (curve.attained[-1].item() + curve.clean) / 2
    said = curve.verdict(threshold)
    assert said.broken == 0.1
    assert said.certified in (0.0, 0.02)
    assert f"lifts it to {threshold:.12g} nats at eps 0.1" in said.sentence()
    state = State(NAMES[0], NAMES[0], index=3, settings=UPPER)
    found = rows.rows([Known(NAMES[0], curve, result, threshold)], state, "0")
    assert [row.side for row in found] == ["upper"] * 3
    assert [row.verdict for row in found][::2] == ["proved", "broken"]
    for i, row in enumerate(found):
        best = curve.best(GRID[i])
        assert best is not None
        assert (row.proved, row.open_gap) == (best.bound, best.bound - curve.attained[i].item())
        shown = reading(curve, i)
        assert shown[2][0] == proved_nats(best.bound, 1, "upper")
        assert not shown[3][0].startswith("\N{MINUS SIGN}")
    assert "The adversary raises the ELBO" in claim.question(state.settings, state.method)


def test_a_verdict_upwards_is_in_words():
    curve = compute.explore(NAMES[0], Digit(3), UPPER, GRID, quiet).curve
    assert curve.verdict(curve.clean).sentence().startswith("At or above")
    assert "the whole range" in curve.verdict(float(curve.proved()[-1]) + 1).sentence()


def test_a_proof_of_the_other_side_is_refused_and_not_recalled():
    lower = compute.explore(NAMES[0], Digit(3), replace(UPPER, side="lower"), GRID, quiet).curve
    upper = compute.explore(NAMES[0], Digit(3), UPPER, GRID, quiet).curve
    with pytest.raises(InputError, match="'upper' takes proofs of that side only"):
        upper.add(lower.proofs)
    seen_proofs.remember(NAMES[0], Digit(3), UPPER.proof, upper.proofs)
    assert seen_proofs.recall(NAMES[0], Digit(3), replace(UPPER, side="lower").proof, "ibp") == ()
    looser = replace(upper.proofs[0], bound=upper.proofs[0].bound + 1)
    seen_proofs.remember(NAMES[0], Digit(3), UPPER.proof, [looser])
    assert looser not in seen_proofs.recall(NAMES[0], Digit(3), UPPER.proof, "ibp")


def test_a_certificate_of_an_upper_bound_holds():
    (*_, proof) = tighter_bounds.point(NAMES[0], Digit(3), UPPER.proof, "crown", 0.02, quiet)
    (wide,) = tighter_bounds.grid(NAMES[0], Digit(3), UPPER.proof, "crown-ibp", (0.02,), quiet)
    assert (proof.side, proof.method) == ("upper", "crown")
    assert proof.bound <= wide.bound
    claim = core.read_claim(compute.claim(NAMES[0], Digit(3), UPPER.proof, proof))
    assert claim.side == "upper"
    assert core.verify_claim(claim).holds


def test_bounds_leave_the_chart_at_the_top():
    eps = np.array([0.0, 0.1, 0.2])
    attained, proved = np.array([-100.0, -80.0, -60.0]), np.array([-100.0, 300.0, math.inf])
    by_method = {"ibp": (eps, proved), "crown": (eps, proved)}
    line = Line(
        "Robust", figures.COLOURS[1], eps, -100.0, attained, proved, ("ibp", "ibp", ""), by_method, -90.0
    )
    line = replace(line, side="upper")
    low, high = figures.frame([line], 0.2)
    assert figures.leaves(line, high, 0.2) == "proved: above the frame from eps 0.1, nothing from 0.2"
    assert figures.leaves(line, 1e9, 0.1) is None
    assert "proved at most 300.0 nats by IBP" in figures.hover(line, 1)
    assert "open 380.0 nats" in figures.hover(line, 1)
    drawn = figures.curve_figure([line], 0.1, 0.2, "eps")
    shown = json.loads(drawn.to_json() or "")
    (note_,) = [n for n in shown["layout"]["annotations"] if "above the frame" in n["text"]]
    assert (note_["y"], note_["yanchor"]) == (0.98, "top")
    traces: Any = drawn.data
    assert all(np.isfinite(trace.y).all() for trace in traces)
    assert [list(trace.x) for trace in traces if trace.mode == "markers"] == [[0.0]]
    assert low < -100 < high < 300


def test_bars_of_what_was_gained_end_on_the_right():
    gained = Loss("a", "#D55E00", 30.0, 10.0, attained=True)
    assert loss_bars.frame([gained, Loss("b", "#D55E00", both=90.0)]) is None
    losses = [gained, Loss("b", "#D55E00", both=5000.0)]
    assert loss_bars.frame(losses) == 100
    drawn = json.loads(loss_bars.loss_figure(losses).to_json() or "")["layout"]
    assert drawn["xaxis"]["range"] == [-5.0, 100.0]
    (cut,) = drawn["annotations"]
    assert (cut["x"], cut["xanchor"], cut["text"]) == (100, "right", "+5,000 nats \N{RIGHTWARDS ARROW}")


@pytest.mark.parametrize("bound", [-183.17, 0.0, 12.345, -0.04, 1e300, math.inf])
def test_an_upper_bound_is_rounded_up(bound: float):
    assert safe(bound, 1, "upper") >= bound
    assert math.isinf(bound) or safe(bound, 1, "upper") - bound <= max(0.1, 1e-9 * abs(bound))


def test_the_strength_of_a_proof_falls_with_its_looseness():
    tight, loose = (Proof(0.1, "ibp", bound, 0.0, 0.0, "said", 0.0, side="upper") for bound in (1.0, 2.0))
    assert tight.strength > loose.strength > replace(loose, bound=math.inf).strength == -math.inf
