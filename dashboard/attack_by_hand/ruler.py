"""One model's ruler: where clean, you, the alarm line, the machine and the proof stand, and what to say of
it. No Streamlit in here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from core.evaluation.curve import Proof
from dashboard.attack_by_hand import text
from dashboard.shared.result import Known
from dashboard.shared.text import bare, safe

_PAD = 0.08
BEATEN = 0.05
"""Nats below the machine from which on it is said to be beaten: as many as are shown."""


@dataclass(frozen=True)
class Mark:
    """value: nats. label: what stands beside it. kind: clean, you, alarm, machine or proof."""

    kind: str
    value: float
    label: str


@dataclass(frozen=True)
class Ruler:
    """low, high: ends of the axis, nats. marks: from the top. you: the number. said: in words, badge: above
    or below the alarm line. beyond: whether it is below what is proved."""

    low: float
    high: float
    marks: tuple[Mark, ...]
    you: str
    said: str
    badge: str
    alarm: bool
    beyond: bool

    def sent(self) -> dict[str, Any]:
        """As the browser gets it."""
        return asdict(self)


def beats(score: float, attained: float) -> bool:
    """Whether an image does better than the machine by what is shown."""
    return score < attained - BEATEN


def contradicts(score: float, proof: Proof | None) -> bool:
    """Whether an image is below what is proved."""
    return proof is not None and score < proof.bound


def ruler(known: Known, eps: float, score: float, machine: str, went_on: float | None) -> Ruler:
    """score: of the painted image, nats. machine: what its attack is called. went_on: what a machine
    attained that started from an image of the visitor's, None if none did."""
    attained = known.curve.attained[known.result.at(eps)].item()
    proof = known.curve.best(eps)
    lowest = attained if went_on is None else min(attained, went_on)
    marks = [
        Mark("clean", known.curve.clean, f"clean {bare(known.curve.clean)}"),
        Mark("alarm", known.threshold, f"alarm {bare(known.threshold, 0)}"),
        Mark("machine", lowest, f"{machine} {bare(lowest)}"),
        Mark("you", score, f"you {bare(score)}"),
    ]
    drawn = [mark.value for mark in marks]
    reach = max(drawn) - min(drawn)
    low = min(drawn)
    if proof is not None:
        marks.append(Mark("proof", proof.bound, f"proof {bare(safe(proof.bound, 1))}"))
        low = min(low, max(proof.bound, low - reach / 2))
    pad = _PAD * max(reach, 10.0)
    said = text.standing(score, attained, went_on, proof and proof.bound, machine)
    alarm = score < known.threshold
    return Ruler(
        low - pad,
        max(drawn) + pad,
        tuple(sorted(marks, key=lambda mark: -mark.value)),
        bare(score),
        said,
        text.BADGES[alarm],
        alarm,
        contradicts(score, proof),
    )
