"""What the presenter's page shows, as a value; read from and written to the URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.addresses import explorer, scenes
from dashboard.addresses.explorer import State
from dashboard.addresses.page import Page, flat
from dashboard.addresses.reader import Message
from dashboard.addresses.scenes import SCENES
from dashboard.addresses.settings import OneOf, Whole, as_text

ALL = 4
"""The last step: nothing is hidden."""
PARTS = ("0", "1", "2", "3")
"""What may be guessed: that nothing is proved, or up to which third of the range."""


@dataclass(frozen=True)
class Room:
    """Everything that the URL can say.

    asked  the explorer's question. step: how much of the answer is shown, 0 to ALL. guess: one of PARTS, ""
           where nobody guessed. scene: a prepared one, from 1; 0: one of the lecturer's own.
    """

    asked: State
    step: int = ALL
    guess: str = ""
    scene: int = 0


@dataclass(frozen=True)
class Talk(Page[Room]):
    """A prepared scene asks what its number stands for, but for what the address says otherwise."""

    def parse(self, params: Mapping[str, str], **there: Any) -> tuple[Room, list[Message]]:
        return super().parse({**scenes.asks(params.get("scene", "")), **params}, **there)

    def address(self, state: Room, **there: Any) -> dict[str, str]:
        values, said = flat(state), super().address(state, **there)
        asked = {name: as_text(values[name]) for name in scenes.asks(str(state.scene))}
        return {name: text for name, text in asked.items() if text is not None} | said


PAGE = Talk(
    Room,
    (
        *explorer.PAGE.steps,
        Whole(name="step", low=0, high=ALL, default=ALL),
        OneOf(name="guess", options=("", *PARTS), default=""),
        Whole(name="scene", low=0, high=len(SCENES), default=0),
    ),
)


def explorer_address(room: Room, models: Sequence[str]) -> dict[str, str]:
    """The explorer's URL with this page's models, image and question."""
    return explorer.to_params(room.asked, models)
