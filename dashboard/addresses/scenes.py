"""Prepared scenes of a talk: each is an address of the presenter's page, and a line for the speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """title: for the room. line: for the speaker to say. asks: what differs from the usual settings, as an
    address has it."""

    title: str
    line: str
    asks: Mapping[str, str]


SCENES = (
    Scene(
        "What can an adversary do?",
        "Each pixel may change by 0.05, which nobody would notice. What becomes of the score?",
        {},
    ),
    Scene(
        "How far does the proof hold?",
        "An attack that fails proves nothing. Up to which eps is the robust model proved to hold?",
        {"eps": "0.1"},
    ),
    Scene(
        "A bound that is true and says nothing",
        "Intervals alone, the cheapest proof. What do they say of a model that was not trained for them?",
        {"eps": "0.02", "method": "ibp", "upto": "0.05"},
    ),
    Scene(
        "What does robustness cost?",
        "Nobody attacks: eps is 0. Which of the two models scores the image higher, and by how much?",
        {"eps": "0"},
    ),
    Scene(
        "The other way round",
        "Now the adversary lifts the score: can it make an image look more likely than it is?",
        {"side": "upper", "index": "18"},
    ),
)


def scene(number: int) -> Scene | None:
    """A prepared scene by its number, from 1; None for one of the lecturer's own."""
    return SCENES[number - 1] if 0 < number <= len(SCENES) else None


def asks(number: str) -> Mapping[str, str]:
    """What a scene asks; nothing for a number of none."""
    found = scene(int(number)) if number in map(str, range(len(SCENES) + 1)) else None
    return found.asks if found else {}


def address(number: int) -> dict[str, str]:
    """Where a prepared scene begins, with nothing revealed."""
    return {"scene": str(number), "step": "0"}
