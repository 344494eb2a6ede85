"""Proofs that get tighter, on the page."""

from __future__ import annotations

import math

import pytest
from streamlit.testing.v1 import AppTest

import core
from core.certificates.certificate import Certificate
from core.errors import InputError
from core.evaluation.curve import Proof
from dashboard.addresses.explorer import USUAL
from dashboard.explorer import fold, refining
from dashboard.explorer.stage.view import Stage
from dashboard.shared import text, tighter_bounds
from tests.dashboard.page_parts import NAMES, count, curve, metric, note, stage


def words(app: AppTest) -> str:
    return " ".join(m.value for m in (*app.markdown, *app.caption))


def rows(app: AppTest, side: int) -> dict[str, str]:
    """Bound of each method in the table of one model."""
    table = [m.value for m in app.markdown if m.value.startswith("| ")][side]
    cells = [line.strip("| ").replace("*", "").split(" | ") for line in table.splitlines()[2:]]
    return {row[0]: row[1] for row in cells}


def unfold(app: AppTest, part: str) -> None:
    """Open a part below the screen."""
    app.button_group(key="fold").set_value(part).run()
    assert not app.exception


def exact(eps: float, method: str, side: int = 0) -> Certificate:
    vae = core.load_model((NAMES[1], NAMES[0])[side])
    x, noise = core.load_samples("mnist")[0][:1], core.sample_noise(vae, 1, 0)
    return core.certify(vae, x, noise, eps=eps, method=method)


def test_the_page_ends_with_the_best_bound_and_says_which_it_is(opened: AppTest):
    opened.query_params.update({"draws": "1", "eps": "0.03", "upto": "0.05"})
    app = opened.run()
    assert not app.exception
    assert not app.error
    best = exact(0.03, "alpha-crown")
    assert metric(app, "Proved", 0) == text.proved_nats(best.lower.item(), 1)
    assert note(app, "Proved", 0) == "by alpha-CROWN"
    assert text.minus(best.statement(0)) in words(app)
    at = curve(app, 0)["eps"].index(0.03)
    assert curve(app, 0)["proved"][at] == pytest.approx(best.lower.item())
    unfold(app, fold.LOST)
    (lost,) = (element.proto.alt for element in app.get("plotly_chart"))
    # Interval bounds have two parts that add up, linear ones do not.
    assert lost.count("both terms together") == 2
    assert lost.count("nats KL") == 2
    unfold(app, fold.METHODS)
    bounds = rows(app, 0)
    assert list(bounds) == ["attacked", "IBP", "CROWN-IBP", "CROWN", "alpha-CROWN"]
    for method in ("ibp", "crown"):
        lower = exact(0.03, method).lower.item()
        assert bounds[text.METHOD_NAMES[method]] == text.signed(math.floor(lower * 100) / 100, 2)


@pytest.mark.parametrize("method", ["ibp", "crown-ibp", "crown"])
def test_no_method_beyond_the_chosen_one(opened: AppTest, method: str, monkeypatch: pytest.MonkeyPatch):
    used: list[str] = []
    grid, point = tighter_bounds.grid, tighter_bounds.point
    monkeypatch.setattr(tighter_bounds, "grid", lambda *a: used.append(a[3]) or grid(*a))
    monkeypatch.setattr(tighter_bounds, "point", lambda *a: used.append(a[3]) or point(*a))
    opened.query_params.update({"draws": "1", "upto": "0.05", "method": method})
    app = opened.run()
    assert not app.exception
    unfold(app, fold.METHODS)
    assert list(rows(app, 1))[-1] == text.METHOD_NAMES[method]
    assert set(used) == {"ibp": set(), "crown-ibp": {"crown-ibp"}, "crown": {"crown-ibp", "crown"}}[method]


def test_the_cursor_comes_before_the_other_radii(opened: AppTest, monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []

    def point(name: str, index: int, settings: object, method: str, eps: float, show: object):
        asked.append(eps)
        return (Proof(eps, method, -1000.0, 0.0, 0.0, "said", 0.0),)

    monkeypatch.setattr(tighter_bounds, "point", point)
    opened.query_params.update({"eps": "0.04", "upto": "0.15"})
    app = opened.run()
    assert not app.exception
    assert asked[:2] == [0.04, 0.04]
    assert set(asked) >= {0.01, 0.05, 0.15}
    assert max(asked[-6:]) <= 0.15
    assert max(asked.count(eps) for eps in asked) == 2


def test_the_model_with_a_bound_is_tightened_first(opened: AppTest, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def grid(name: str, index: int, settings: object, method: str, radii: tuple[float, ...], show: object):
        return tuple(Proof(eps, method, -300.0, 0.0, 0.0, "said", 0.0) for eps in radii if name == NAMES[0])

    def point(name: str, index: int, settings: object, method: str, eps: float, show: object):
        asked.append(name)
        return (Proof(eps, method, -1000.0, 0.0, 0.0, "said", 0.0),)

    monkeypatch.setattr(tighter_bounds, "grid", grid)
    monkeypatch.setattr(tighter_bounds, "point", point)
    opened.query_params.update({"eps": "1"})
    app = opened.run()
    assert not app.exception
    assert asked[:2] == [NAMES[0], NAMES[1]]
    assert metric(app, "Proved", 1) == "−300.0 nats"


def test_radii_beyond_a_vacuous_proof_are_not_tried(opened: AppTest, monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []

    def point(name: str, index: int, settings: object, method: str, eps: float, show: object):
        asked.append(eps)
        lower = -math.inf if eps >= 0.05 else -1e6
        return (Proof(eps, method, lower, 0.0, 0.0, "said", 0.0),)

    monkeypatch.setattr(tighter_bounds, "point", point)
    opened.query_params.update({"eps": "0.05", "threshold": "-1e5"})
    app = opened.run()
    assert not app.exception
    assert set(asked) == {0.05, 0.01, 0.02, 0.03}


@pytest.mark.parametrize("states", ["expectation", "coverage"])
def test_a_statement_on_the_noise_is_given_beside_that_on_the_draws(opened: AppTest, states: str):
    opened.query_params.update({"method": "ibp", "states": states, "draws": "1"})
    app = opened.run()
    assert not app.exception
    said = words(app)
    assert said.count("with confidence 99 %") == 2
    assert said.count("as a mean over these 1 noise draws") == 2
    assert f"**{text.STATES_LABELS[states]}.**" in said


def test_branch_and_bound_is_tried_at_the_cursor_alone(opened: AppTest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(tighter_bounds.ROUNDS, "bab", 5)
    asked: list[tuple[str, float]] = []
    point = tighter_bounds.point
    monkeypatch.setattr(tighter_bounds, "point", lambda *a: asked.append((a[3], a[4])) or point(*a))
    opened.query_params.update({"method": "bab", "draws": "1", "eps": "0.02", "upto": "0.05"})
    app = opened.run()
    assert not app.exception
    assert [call for call in asked if call[0] == "bab"] == [("bab", 0.02)] * 2
    assert asked[-1] == ("bab", 0.02)
    unfold(app, fold.METHODS)
    assert list(rows(app, 0))[-1] == "branch and bound"
    assert "–" not in rows(app, 0).values()


def test_another_norm_has_its_own_radii(app: AppTest):
    app.query_params["eps"] = "0.3"
    app.run()
    app.button_group(key="norm").set_value("l2").run()
    assert not app.exception
    assert stage(app)["eps"] == 0.2
    assert stage(app)["grid"][-1] == 0.6
    assert "0.2 in Euclidean distance" in words(app)
    assert "eps" not in dict(app.query_params)
    app.button_group(key="norm").set_value("linf").run()
    assert stage(app)["eps"] == USUAL["eps"]


def test_an_error_while_refining_leaves_the_page(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    def fails(*args: object) -> None:
        raise InputError("no bound today")

    monkeypatch.setattr(tighter_bounds, "grid", fails)
    app.query_params["method"] = "crown-ibp"
    app.run()
    assert not app.exception
    assert [e.value for e in app.error] == ["no bound today"]
    assert count(app) == 8


def test_when_time_is_over_the_page_says_so_and_keeps_the_cursor(
    opened: AppTest, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(refining, "SECONDS", 0.0)
    asked: list[float] = []
    point = tighter_bounds.point
    monkeypatch.setattr(tighter_bounds, "point", lambda *a: asked.append(a[4]) or point(*a))
    opened.query_params.update({"method": "crown", "draws": "1"})
    app = opened.run()
    assert not app.exception
    assert asked == [USUAL["eps"]] * 2
    assert "some radii were left out" in words(app)


def test_what_is_known_at_once_is_sent_once(opened: AppTest, monkeypatch: pytest.MonkeyPatch):
    sent: list[int] = []
    send = Stage.numbers
    monkeypatch.setattr(Stage, "numbers", lambda self, side, *a: sent.append(side) or send(self, side, *a))
    opened.query_params.update({"method": "crown-ibp", "draws": "1"})
    app = opened.run()
    sent.clear()
    app.run()
    assert not app.exception
    assert sent == [0, 1]
    assert [note(app, "Proved", side) for side in (0, 1)] == ["by CROWN-IBP"] * 2
