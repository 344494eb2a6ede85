"""What the presenter's page shows, as a value; read from and written to the URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.addresses import explorer
from dashboard.addresses.explorer import State
from dashboard.addresses.page import Page
from dashboard.addresses.settings import OneOf, Whole

ALL = 4
"""The last step: nothing is hidden."""
PARTS = ("0", "1", "2", "3")
"""What may be guessed: that nothing is proved, or up to which third of the range."""
SCENES = 5
"""How many prepared scenes there are."""


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


PAGE = Page(
    Room,
    (
        *explorer.PAGE.steps,
        Whole(name="step", low=0, high=ALL, default=ALL),
        OneOf(name="guess", options=("", *PARTS), default=""),
        Whole(name="scene", low=0, high=SCENES, default=0),
    ),
)


def explorer_address(room: Room, models: Sequence[str]) -> dict[str, str]:
    """The explorer's URL with this page's models, image and question."""
    return explorer.to_params(room.asked, models)
