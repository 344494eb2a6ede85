"""Predict, then reveal: what is shown of an answer step by step, and what becomes of a guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.evaluation.curve import Verdict
from dashboard.addresses.present import ALL, PARTS

HIDDEN = "?"
NEXT = ("Reveal an attack", "Reveal the second attack", "Reveal the proofs", "Reveal the verdict", "")
"""What the step after each shows."""
TOLD = (
    "What will the attack do?",
    "The attack on the first model is shown.",
    "The attacks on both are shown.",
    "The proofs are shown.",
    "",
)
"""What is shown at each step, where something is hidden."""


@dataclass(frozen=True)
class Shown:
    """What of one model is shown."""

    attack: bool = True
    proof: bool = True
    verdict: bool = True

    @property
    def radii(self) -> int | None:
        """How many radii have pictures, the first ones; None: all."""
        return None if self.attack else 1


def shown(step: int, side: int, sides: int) -> Shown:
    """What of a model is shown at a step: first the attack on the left model, then that on the right one,
    then what is proved of both, then what follows for the thresholds. side: 0 is the left model."""
    last = sides - 1
    return Shown(step >= 1 + min(side, last), step >= 3, step >= ALL)


def numbers(sent: dict[str, Any], seen: Shown) -> dict[str, Any]:
    """What the browser gets of a model, see `picture_strip.numbers`, without what is hidden: it is not in
    the page."""
    line, readings, nats = dict(sent["line"]), sent["readings"], sent["nats"]
    if not seen.proof:
        line |= {"proved": None, "methods": {}, "sampled": None}
    if not seen.attack:
        line |= {"eps": line["eps"][:1], "attained": line["attained"][:1]}
        readings, nats = readings[:1], nats and nats[:1]
    hidden = not seen.attack, not seen.proof, not seen.proof
    return {
        "verdict": sent["verdict"] if seen.verdict else "",
        "line": line,
        "readings": [[_without(row, hidden), state if seen.proof else None] for row, state in readings],
        "nats": nats and [_without(row, hidden) for row in nats],
    }


def _without(row: list[tuple[str, str]], hidden: tuple[bool, ...]) -> list[tuple[str, str]]:
    """Clean, attacked, proved, open, without those of the last three that are hidden."""
    return [row[0], *((HIDDEN, "") if hide else one for hide, one in zip(hidden, row[1:], strict=True))]


def parts(most: float) -> dict[str, str]:
    """What may be guessed over eps from 0 to most, and what it is called."""
    ends = [f"{most * i / 3:.3g}" for i in range(4)]
    named = ["nowhere", f"up to {ends[1]}", f"{ends[1]} to {ends[2]}", f"{ends[2]} to {ends[3]}"]
    return dict(zip(PARTS, named, strict=True))


def span(guess: str, most: float) -> tuple[float, float] | None:
    """The radii that a guess is about, (low, high]; None where nobody guessed."""
    if guess not in PARTS:
        return None
    part = int(guess)
    return (0.0, 0.0) if part == 0 else (most * (part - 1) / 3, most * part / 3)


def judge(verdict: Verdict, guess: str, most: float) -> str:
    """A guess beside what is proved, as a sentence; "" where nobody guessed."""
    found = span(guess, most)
    if found is None:
        return ""
    low, high = found
    proved = min(verdict.certified or 0.0, most)
    said = f"You guessed {parts(most)[guess]}; it is proved {f'up to {proved:g}' if proved else 'nowhere'}:"
    near = 1e-9  # ends are thirds of a number that is none
    if low + near < proved <= high + near or high == proved == 0:
        return f"{said} right."
    off = max(low - proved, proved - high)
    far = "too far" if proved <= low + near else "not far enough"
    return f"{said} {far}, by {off:.3g}." if off > near else f"{said} {far}, but only just."
