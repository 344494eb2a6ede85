"""What the browser gets, what it may ask, and what is kept between two runs."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from core.certificates.methods import METHODS
from core.evaluation.curve import Curve, Proof
from dashboard.addresses.digit import MOST_INDEX, Digit
from dashboard.addresses.explorer import Settings
from dashboard.addresses.scales import SCALES
from dashboard.explorer import seen_proofs
from dashboard.explorer.controls import Panel
from dashboard.explorer.stage import reveal
from dashboard.explorer.stage.event import Ask, read_ask
from dashboard.explorer.stage.picture_strip import (
    LEVELS,
    digits,
    film,
    limit_lines,
    numbers,
    reading,
    state,
)
from dashboard.explorer.stage.reveal import Shown
from dashboard.shared import compute, images
from dashboard.shared.limits import Limits
from dashboard.shared.result import Result
from dashboard.shared.text import nats, proved_nats
from dashboard.shared.units import unit
from tests.dashboard.page_parts import NAMES, feeds, metric, stage

GRID = (0.0, 0.05, 0.1, 0.3)


def explored(norm: str = "linf") -> Result:
    return compute.explore(NAMES[0], Digit(0), Settings(steps=4, norm=norm), GRID, lambda now: None)


def array(text: str, kind: type[np.generic], *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind).reshape(*shape)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_pictures_arrive_to_within_a_grey_level(norm: str):
    result = explored(norm)
    sent = film(result, norm)
    assert sent["radii"] == list(GRID)
    height, width = sent["shape"]
    image = array(sent["image"], np.uint8, height, width).astype(float)
    change = array(sent["change"], np.int8, len(GRID), height, width).astype(float)
    scale = np.array(sent["scale"])[:, None, None]
    assert abs(image - 255 * result.image).max() <= 0.5 + 1e-4
    attacked = np.round(np.clip(image + change / LEVELS * scale * 255, 0, 255))
    assert abs(attacked - 255 * result.attacked).max() <= 1 + 1e-4
    true = result.attacked - result.image
    assert (abs(change / LEVELS * scale - true) <= 0.5 * scale / LEVELS + 1e-6).all()
    assert abs(change[1:]).max(axis=(1, 2)).min() > LEVELS / 2
    for name in ("recon_image", "recon_attacked"):
        levels = array(sent[name], np.uint8, *getattr(result, name).shape)
        assert abs(levels - 255 * getattr(result, name)).max() <= 0.5 + 1e-4
    assert sent["captions"][0] == "Change (none)"
    if norm == "linf":
        assert sent["captions"][2] == "Change ×10"


def test_the_colours_are_those_of_the_pictures_to_download():
    colours = images.palette(2)
    assert colours.shape == (5, 3)
    assert colours[2].tolist() == [247, 247, 247]
    assert colours[0, 2] > colours[0, 0]  # darker is blue
    assert colours[4, 0] > colours[4, 2]


def test_a_model_is_not_much_to_send():
    result = explored()
    size = sum(len(part) for part in film(result, "linf").values() if isinstance(part, str))
    assert size < 4 * (2 * len(GRID) + 2) * 784 / 3 + 100


def test_each_radius_has_the_best_bound_that_covers_it():
    result = explored()
    wide = Proof(0.1, "crown", result.curve.attained[2].item() - 2.25, 0.0, 0.0, "said", 0.0)
    curve = replace(result.curve, proofs=(*result.curve.proofs, wide))
    shown = [reading(curve, i) for i in range(len(GRID))]
    sent = numbers(curve, -150.0, None, "")
    assert [row for row, _ in sent["readings"]] == shown
    for i, (clean, attained, proved, gap) in enumerate(shown):
        assert clean == (nats(curve.clean, digits(curve.clean)), "")
        found = curve.attained[i].item()
        assert attained[0] == nats(found, digits(found))
        lower = curve.proved()[i].item()
        assert math.isinf(lower) or proved[0] == proved_nats(lower, digits(lower))
        assert (proved == ("nothing", "")) == (gap[0] == "–") == math.isinf(lower)
    assert shown[2][2][1] == "by CROWN"
    assert shown[2][3] == ("2.2 nats", "")
    tight = curve.best(0.05)
    assert tight is not None
    assert (shown[1][2] == shown[2][2]) == (tight is wide)


def test_limits_are_lines_in_nats_and_words_that_stay_true():
    known = Limits((0.0, 0.1), (math.inf, -277.36), (-180.04, -352.61))
    nats_, bits = (limit_lines(known, unit(name, (1, 28, 28))) for name in ("nats", "bits"))
    (top, floor), (in_bits, _) = nats_, bits
    assert [line["name"] for line in nats_] == ["Ceiling", "Constant decoder"]
    assert (top["values"], floor["values"]) == ([None, -277.36], [-180.04, -352.61])
    assert top["said"] == top["nats"] == in_bits["nats"] == ["none", "−277.3 nats"]
    assert floor["said"] == ["−180.1 nats", "−352.7 nats"]
    assert in_bits["values"] == top["values"]
    assert in_bits["said"] == ["none", "−0.510 bpd"]
    json.dumps(nats_, allow_nan=False)


def test_bits_change_what_is_shown_and_no_line():
    curve = explored().curve
    plain, bits = (numbers(curve, -150.0, None, "", unit(name, (1, 28, 28))) for name in ("nats", "bits"))
    assert bits["line"] | {"level": ""} == plain["line"] | {"level": ""}
    assert bits["nats"] == [row for row, _ in plain["readings"]]
    assert plain["nats"] is None
    for (shown, known), (_, before) in zip(bits["readings"], plain["readings"], strict=True):
        assert known == before
        assert shown[0][0] == f"{curve.clean / 784 / math.log(2):.3f} bpd".replace("-", "−")
    assert "bpd" in bits["verdict"]
    assert "nats" not in bits["verdict"]
    hidden = reveal.numbers(bits, Shown(attack=False, proof=False, verdict=False))
    assert [row[1:] for row in hidden["nats"]] == [[(reveal.HIDDEN, "")] * 3]


def test_limits_are_drawn_when_they_are_asked_for(app: AppTest):
    app.run()
    assert {str(news["limits"]) for news in feeds(app, "numbers")} == {"[]"}
    assert "Ceiling" not in stage(app)["words"]["legend"]
    before = [caption.value for caption in app.caption]
    assert any("of the way" in said for said in before)
    app.query_params["limits"] = "show"
    app.query_params["unit"] = "bits"
    app.run()
    for news in feeds(app, "numbers"):
        assert [line["name"] for line in news["limits"]] == ["Ceiling", "Constant decoder"]
        assert len(news["limits"][0]["values"]) == len(news["line"]["eps"])
    assert "╌╌\u00a0Ceiling" in stage(app)["words"]["legend"]
    assert "bpd" in stage(app)["unit"]["axis"]
    app.query_params["side"] = "upper"
    app.run()
    assert not app.exception


SCRAPS = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=50),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = some.sampled_from(["serial", "eps", "upto", "index", "left", "right", "other"])
SCALE = SCALES["linf"]


@given(some.dictionaries(FIELDS, SCRAPS) | SCRAPS)
def test_whatever_a_browser_sends_is_valid_or_left_out(value: object):
    asked = read_ask(value, NAMES, SCALE)
    assert asked.eps is None or 0 <= asked.eps <= SCALE.most
    assert asked.upto in (None, *SCALE.ranges)
    assert asked.index is None or 0 <= asked.index <= MOST_INDEX
    assert {asked.left, asked.right} <= {None, *NAMES}
    assert asked.serial >= 0


def test_what_is_valid_is_taken():
    value: dict[str, Any] = {"serial": 3, "eps": 0.07, "index": 4, "left": NAMES[2]}
    assert read_ask(value, NAMES, SCALE) == Ask(3, 0.07, 4, NAMES[2], None)
    assert read_ask(value | {"eps": 0, "right": "../x", "index": True}, NAMES, SCALE) == Ask(
        3, 0.0, None, NAMES[2]
    )
    assert read_ask({"eps": 1e-320}, NAMES, SCALE).eps is not None


def test_what_is_asked_moves_the_controls(monkeypatch: pytest.MonkeyPatch):
    ask = {"serial": 1, "eps": 0.2, "index": 4, "right": NAMES[2], "left": "../x"}
    session = {"norm": "linf", "own": "mine", "left": NAMES[0], "stage": {"ask": ask}}
    monkeypatch.setattr(st, "session_state", session)
    Panel(NAMES).answer()
    assert session == session | {"eps": 0.2, "index": 4, "right": NAMES[2], "left": NAMES[0]}
    assert session["own"] == ""
    assert session["touched"]
    session |= {"own": "mine", "stage": {"ask": {"serial": 2, "eps": 0.1}}}
    Panel(NAMES).answer()
    assert (session["eps"], session["index"], session["own"]) == (0.1, 4, "mine")
    session["stage"] = None
    Panel(NAMES).answer()
    assert session["eps"] == 0.1


def test_numbers_and_pictures_are_of_the_question_that_is_asked(app: AppTest):
    app.run()
    first = [side["question"] for side in stage(app)["sides"]]
    assert [news["question"] for news in feeds(app, "film")] == first
    assert [news["question"] for news in feeds(app, "numbers")] == first
    app.number_input(key="eps_box").set_value(0.2).run()
    assert [side["question"] for side in stage(app)["sides"]] == first
    app.number_input(key="eps_box").set_value(0.123).run()
    assert feeds(app, "film")[0]["radii"][13] == 0.123
    assert not {side["question"] for side in stage(app)["sides"]} & set(first)
    app.number_input(key="index").set_value(5).run()
    app.number_input(key="eps_box").set_value(0.1).run()
    assert not {side["question"] for side in stage(app)["sides"]} & set(first)


def test_the_same_pictures_make_the_same_message(app: AppTest):
    def sent() -> list[bytes]:
        found = [element.proto for element in app.get("bidi_component")]
        return [proto.SerializeToString() for proto in found if '"film"' in proto.json]

    app.run()
    before = sent()
    app.number_input(key="eps_box").set_value(0.2).run()
    assert sent() == before
    assert len(before) == 2


def test_later_news_count_more(app: AppTest):
    app.run()
    first = feeds(app, "numbers")
    app.number_input(key="eps_box").set_value(0.2).run()
    second = feeds(app, "numbers")
    assert min(news["count"] for news in second) > max(news["count"] for news in first)
    assert {news["token"] for news in (*first, *second)} == {stage(app)["token"]}


def test_a_model_that_fails_is_said_to_fail(app: AppTest, models):
    weights = models / NAMES[1] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    app.run()
    left, right = feeds(app, "film")
    assert left["failed"]
    assert "failed" not in right
    assert "below" in stage(app)["words"]["failed"]


def test_a_proof_is_not_forgotten_when_eps_moves(opened: AppTest):
    opened.query_params.update({"draws": "1", "eps": "0.03", "upto": "0.05", "method": "crown"})
    app = opened.run()
    at, proved = feeds(app, "film")[0]["radii"].index(0.03), metric(app, "Proved", 0)
    app.number_input(key="eps_box").set_value(0.0).run()
    assert feeds(app, "numbers")[0]["readings"][at][0][2][0] == proved
    app.selectbox(key="method").set_value("ibp").run()
    assert feeds(app, "numbers")[0]["readings"][at][0][2][1] in ("by IBP", "proved")


def proof(method: str, eps: float, lower: float) -> Proof:
    return Proof(eps, method, lower, 0.0, 0.0, "said", 0.0)


def test_the_best_of_what_was_seen_is_recalled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(st, "session_state", {})
    digit, settings = Digit(0), Settings()
    seen_proofs.remember("a", digit, settings.proof, [proof("crown", 0.1, -5.0), proof("bab", 0.1, -2.0)])
    seen_proofs.remember(
        "a", digit, replace(settings, steps=9).proof, [proof("crown", 0.1, -7.0), proof("crown", 0.2, -9.0)]
    )
    best = seen_proofs.recall("a", digit, settings.proof, METHODS[-1])
    assert {(p.method, p.eps): p.bound for p in best} == {
        ("crown", 0.1): -5.0,
        ("bab", 0.1): -2.0,
        ("crown", 0.2): -9.0,
    }
    assert {p.method for p in seen_proofs.recall("a", digit, settings.proof, "crown")} == {"crown"}
    for other in (
        replace(settings, draws=5),
        replace(settings, seed=1),
        replace(settings, target="reconstruction"),
    ):
        assert seen_proofs.recall("a", digit, other.proof, "bab") == ()
    assert seen_proofs.recall("a", Digit(1), settings.proof, "bab") == ()
    for index in range(1, seen_proofs.MOST + 1):
        seen_proofs.remember("a", Digit(index), settings.proof, [proof("ibp", 0.1, -5.0)])
    assert seen_proofs.recall("a", digit, settings.proof, "bab") == ()
    assert seen_proofs.recall("a", Digit(seen_proofs.MOST), settings.proof, "bab") != ()


def test_a_bound_at_a_larger_radius_counts_at_the_smaller_ones():
    curve = rising()
    lower = [reading(curve, i)[2][0] for i in range(len(GRID))]
    assert lower == ["−10.0 nats", "−10.0 nats", "−30.0 nats", "nothing"]


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_a_badge_says_what_is_proved_and_what_is_broken(side: str):
    """Never "holds" without a proof, never "open" where an attack got there."""
    settings = Settings(steps=4, side=side)
    curve = compute.explore(NAMES[0], Digit(0), settings, GRID, lambda now: None).curve
    sign = 1 if side == "lower" else -1
    for threshold in (*curve.proved().tolist(), *curve.attained.tolist(), -1e6, 1e6):
        for i in range(len(GRID)):
            said = state(curve, i, threshold)
            # An ELBO at the lower threshold is not below it, one at the upper has got there.
            met = sign * (curve.attained[i].item() - threshold)
            kept = sign * (curve.proved()[i].item() - threshold)
            stays, sure = (met >= 0, kept >= 0) if side == "lower" else (met > 0, kept > 0)
            assert said == ("broken" if not stays else "holds" if sure else "open")


def test_a_curve_arrives_as_numbers_and_nothing_is_none():
    curve = explored().curve
    sent = numbers(curve, -150.0, proof("crown", 0.05, -300.0), "expectation")["line"]
    assert sent["eps"] == list(GRID)
    assert sent["attained"] == curve.attained.tolist()
    assert sent["proved"] == [v if math.isfinite(v) else None for v in curve.proved().tolist()]
    assert (sent["threshold"], sent["side"], sent["clean"]) == (-150.0, "lower", curve.clean)
    assert sent["sampled"] == [0.05, -300.0, "expectation"]
    assert list(sent["methods"]) == ["ibp"]
    # JSON has no infinity, and browsers refuse what has one.
    vacuous = numbers(curve, -150.0, proof("crown", 0.05, -math.inf), "expectation")
    assert vacuous["line"]["sampled"] is None
    json.dumps(vacuous, allow_nan=False)


def rising() -> Curve:
    """Proved better at the second radius than at the first."""
    curve = explored().curve
    return replace(
        curve, proofs=(proof("ibp", 0.05, -10.0), proof("ibp", 0.0, -20.0), proof("ibp", 0.1, -30.0))
    )
