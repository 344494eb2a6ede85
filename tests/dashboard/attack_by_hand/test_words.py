"""Rulers, goals and the best by hand, from curves that are made up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import streamlit as st
import torch

from core.evaluation.curve import Curve, Proof
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ProofSettings
from dashboard.attack_by_hand import best
from dashboard.attack_by_hand.best import Found
from dashboard.attack_by_hand.goals import DONE, NEVER, NONE, OPEN, goals
from dashboard.attack_by_hand.ruler import ruler
from dashboard.shared.figures import COLOURS
from dashboard.shared.result import Known, Result, Terms

GRID = (0.0, 0.01, 0.02, 0.03, 0.04)
DROPS = {"easy": (-100.0, -150.0, -200.0, -250.0, -300.0), "hard": (-100.0, -110.0, -120.0, -130.0, -140.0)}


def known(model: str, threshold: float, *bounds: tuple[float, float]) -> Known:
    attained = torch.tensor(DROPS[model], dtype=torch.float64)
    proofs = tuple(Proof(eps, "crown", bound, 0, 0, "said", 0) for eps, bound in bounds)
    images = torch.zeros(len(GRID), 1, 4, 4)
    curve = Curve(torch.tensor(GRID, dtype=torch.float64), DROPS[model][0], attained, images, proofs)
    blank, terms = np.zeros((4, 4)), Terms(np.zeros(1), np.zeros(1))
    result = Result(curve, blank, blank[None], blank, blank[None], terms, terms)
    return Known(model, curve, result, threshold, name=model.title(), colour=COLOURS[model == "hard"])


def pair(**found: dict[float, Found]) -> tuple[list[Known], dict[str, Any]]:
    sides = [known("easy", -120.0), known("hard", -125.0, (0.02, -121.0), (0.04, -160.0))]
    return sides, {"easy": {}, "hard": {}} | found


def test_the_goals_are_where_the_curves_say():
    one, two, three, four = goals(*pair(), "PGD", False)
    assert [goal.eps for goal in (one, two, three, four)] == [0.02, 0.03, 0.02, 0.03]
    assert [goal.state for goal in (one, two, three, four)] == [OPEN, OPEN, NEVER, OPEN]
    assert one.text == "Push Easy below its alarm line, −120 nats, at eps 0.02."
    assert "You cannot: it is proved." in three.why
    assert "at least −121.0 nats (CROWN); the alarm line is −125 nats" in three.why


def test_a_goal_is_reached_in_its_own_ball_or_a_smaller_one():
    sides, found = pair(easy={0.01: Found(-121.0)}, hard={0.04: Found(-139.5)})
    one, two, _, four = goals(sides, found, "PGD", False)
    assert (one.state, two.state, four.state) == (DONE, OPEN, DONE)
    sides, found = pair(hard={0.03: Found(-126.0), 0.01: Found(-110.0)})
    assert [goal.state for goal in goals(sides, found, "PGD", False)] == [OPEN, DONE, NEVER, OPEN]


def test_what_a_machine_found_reaches_no_goal():
    sides, found = pair(easy={0.02: Found(machine=-300.0)}, hard={0.04: Found(machine=-300.0)})
    assert DONE not in [goal.state for goal in goals(sides, found, "PGD", False)]


def test_where_nothing_can_be_won_or_is_proved_that_is_said():
    low, never = known("easy", -50.0), known("hard", -1000.0)
    found = {"easy": {}, "hard": {}}
    one, two, three, four = goals([low, never], found, "PGD", False)
    assert [goal.state for goal in (one, two, three)] == [NONE] * 3
    assert "as it is" in one.text
    assert "No attack" in two.text
    assert four.eps == 0.01
    assert "still coming in" in goals([low, never], found, "PGD", True)[2].text
    assert len(goals([never], {"hard": {}}, "PGD", False)) == 4


@pytest.mark.parametrize(
    ("score", "went_on", "said"),
    [
        (-110.0, None, "20.0 above PGD. The proof ends 50.0 below you."),
        (-130.0, None, "0.0 above PGD. The proof ends 30.0 below you."),
        (-130.4, None, "You beat PGD by 0.4 nats. The proof ends 29.6 below you."),
        (-130.4, -130.9, "You beat PGD by 0.4 nats. From your image PGD gets to −130.9. The proof ends"),
        (-161.0, None, "You beat PGD by 31.0 nats. Below what is proved: see below."),
    ],
)
def test_the_ruler_says_where_one_is(score: float, went_on: float | None, said: str):
    found = ruler(known("hard", -125.0, (0.04, -160.0)), 0.03, score, "PGD", went_on)
    assert found.said.startswith(said)
    assert found.beyond == (score < -160)
    assert found.alarm == (score < -125)
    values = [mark.value for mark in found.marks]
    assert values == sorted(values, reverse=True)
    assert {mark.kind for mark in found.marks} == {"clean", "you", "alarm", "machine", "proof"}
    assert found.low < score < found.high
    machine = next(mark for mark in found.marks if mark.kind == "machine")
    assert machine.value == (-130.0 if went_on is None else went_on)


def test_a_vacuous_proof_is_no_mark_and_a_far_one_does_not_squash_the_axis():
    side = known("hard", -125.0, (0.04, -math.inf))
    found = ruler(side, 0.03, -110.0, "PGD", None)
    assert "Nothing is proved here" in found.said
    assert "proof" not in {mark.kind for mark in found.marks}
    far = ruler(known("hard", -125.0, (0.04, -9000.0)), 0.03, -110.0, "PGD", None)
    assert far.low > -200


def test_the_best_by_hand_falls_and_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(st, "session_state", {})
    settings = ProofSettings()

    def remember(eps: float, nats: float, digit: int = 0) -> bool:
        return best.remember("mnist", Digit(digit), settings, eps, Found(nats))

    assert remember(0.05, -200.0)
    assert not remember(0.05, -190.0)
    assert remember(0.1, -150.0)
    found = best.known("mnist", Digit(0), settings)
    assert best.curve(found) == [(0.05, -200.0), (0.1, -200.0)]
    assert (best.at(found, 0.04), best.at(found, 0.3)) == (None, -200.0)
    for number in range(200):
        remember(number / 1000, -1.0)
        remember(0.1, -1.0, digit=number)
    assert len(st.session_state["attack best"]) == best.MOST
    assert max(map(len, st.session_state["attack best"].values())) <= best.MOST_RADII
