"""A visitor's best by hand at each eps, in the session: scores that the server computed, never the
browser's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ProofSettings
from dashboard.addresses.models import stamp

MOST, MOST_RADII = 32, 64
"""Questions, and radii of each, of which the best is kept; the oldest goes."""
_NAME = "attack best"


@dataclass(frozen=True)
class Found:
    """hand: the lowest ELBO by hand at a radius, None if only a machine's image was changed. machine: what
    a machine attained that went on from an image of the visitor's, None if none did. Nats."""

    hand: float | None = None
    machine: float | None = None


Radii = Mapping[float, Found]


def known(model: str, digit: Digit, settings: ProofSettings) -> Radii:
    """What was found on a question, by radius."""
    return st.session_state.get(_NAME, {}).get(_question(model, digit, settings), {})


def remember(model: str, digit: Digit, settings: ProofSettings, eps: float, new: Found) -> bool:
    """Keep the lower ones; whether that is a new best by hand."""
    kept = st.session_state.setdefault(_NAME, {})
    question = _question(model, digit, settings)
    radii = kept[question] = kept.pop(question, {})  # the last one used is the last to go
    old = radii.pop(eps, Found())
    radii[eps] = Found(_lower(old.hand, new.hand), _lower(old.machine, new.machine))
    for each, most in ((radii, MOST_RADII), (kept, MOST)):
        while len(each) > most:
            del each[next(iter(each))]
    return radii[eps].hand != old.hand


def curve(found: Radii) -> list[tuple[float, float]]:
    """(eps, nats) of the best by hand, ascending: what was found in a ball counts in every larger one."""
    points, lowest = [], None
    for eps in sorted(found):
        if found[eps].hand is not None:
            lowest = _lower(lowest, found[eps].hand)
            points.append((eps, lowest))
    return points


def at(found: Radii, eps: float) -> float | None:
    """The best by hand in the ball of a radius, nats; None where there is none."""
    return next((nats for radius, nats in reversed(curve(found)) if radius <= eps), None)


def _lower(one: float | None, other: float | None) -> float | None:
    return min((value for value in (one, other) if value is not None), default=None)


def _question(model: str, digit: Digit, settings: ProofSettings) -> tuple[object, ...]:
    return model, stamp(model), digit, settings
