"""Four goals in rising order, from the curves and verdicts of the models and the image that are shown. No
Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.attack_by_hand import best, text
from dashboard.attack_by_hand.best import Radii
from dashboard.shared.result import Known

OPEN, DONE, NEVER, NONE = "open", "done", "never", "none"
NEAR = 1.0
"""Nats from the machine that count as having come near."""


@dataclass(frozen=True)
class Goal:
    """text: what is to be done. state: OPEN, DONE, NEVER where a proof says that nobody can, NONE where
    there is nothing to do here. eps: where, None for NONE. why: what a proof says."""

    text: str
    state: str
    eps: float | None = None
    why: str = ""


def goals(sides: Sequence[Known], found: Mapping[str, Radii], machine: str, proving: bool) -> list[Goal]:
    """sides: one or two models, each with its curve. found: the best by hand of each. machine: what its
    attack is called. proving: whether proofs are still to come."""
    easy, hard = _ordered(sides)
    return [
        _push(easy, found, room=True),
        _push(hard, found, room=False),
        _impossible(hard, proving),
        _near(hard, found, machine),
    ]


def _ordered(sides: Sequence[Known]) -> tuple[Known, Known]:
    """The model that is broken first, and the one that is broken last."""
    falling = sorted(sides, key=lambda side: _broken(side) or 0.0)
    return falling[0], falling[-1]


def _broken(side: Known) -> float | None:
    """From which radius an attack gets below the alarm line; infinite where none does."""
    broken = side.curve.verdict(side.threshold).broken
    return math.inf if broken is None else broken


def _push(side: Known, found: Mapping[str, Radii], room: bool) -> Goal:
    """Below the alarm line, where the machine gets there; room: one step further, for a first try."""
    broken = _broken(side)
    assert broken is not None
    if broken == 0:
        return Goal(text.below_already(side.name), NONE)
    if math.isinf(broken):
        return Goal(text.never_broken(side.name), NONE)
    wider = [radius for radius in side.curve.eps.tolist() if radius > broken]
    eps = wider[0] if room and wider else broken
    mine = best.at(found[side.model], eps)
    reached = mine is not None and mine < side.threshold
    return Goal(text.push(side.name, side.threshold, eps), DONE if reached else OPEN, eps)


def _impossible(side: Known, proving: bool) -> Goal:
    """The same at the largest radius where that is proved to be impossible."""
    eps = side.curve.verdict(side.threshold).certified
    proof = None if not eps else side.curve.best(eps)
    if not eps or proof is None:
        return Goal(text.nothing_proved(side.name, proving), NONE)
    why = text.proved(eps, proof.bound, proof.method, side.threshold)
    return Goal(text.push_proved(side.name, side.threshold, eps), NEVER, eps, why)


def _near(side: Known, found: Mapping[str, Radii], machine: str) -> Goal:
    """Near to what the machine attains, where there is something to attain."""
    least = _broken(side)
    assert least is not None
    radii = side.curve.eps.tolist()
    least = next((radius for radius in radii if radius > 0), 0.0) if least in (0, math.inf) else least
    attained = dict(zip(radii, side.curve.attained.tolist(), strict=True))
    reached = any(
        eps >= least and eps in attained and nats <= attained[eps] + NEAR
        for eps, nats in best.curve(found[side.model])
    )
    return Goal(text.near(side.name, machine, least, NEAR), DONE if reached else OPEN, least)
