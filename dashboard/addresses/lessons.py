"""Which lesson is shown, and with what; read from and written to the URL. Nothing here trusts its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.inspection.lessons import MOVES
from dashboard.addresses import explorer
from dashboard.addresses.datasets import FIRST_CHOICE
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import Settings, State
from dashboard.addresses.page import Page
from dashboard.addresses.settings import Among, OneOf, Whole
from dashboard.shared.text import HELP

EPS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Those of the evaluation, so that every lesson can show its results."""
STANDARD, ROBUST = FIRST_CHOICE["left"], FIRST_CHOICE["right"]
SETTINGS = Settings()


BOTH = (STANDARD, ROBUST)


@dataclass(frozen=True)
class Plan:
    """What is fixed in a lesson. control: the one thing that is not, "digit", "eps" or "move".

    method  of the explorer's proof when a lesson is opened there.
    """

    control: str
    models: tuple[str, ...]
    eps: float
    method: str = "ibp"


PLANS = (
    Plan("digit", (STANDARD,), 0.1),
    Plan("eps", (STANDARD,), 0.1),
    Plan("eps", (STANDARD,), 0.1),
    Plan("eps", BOTH, 0.02, "crown"),
    Plan("eps", BOTH, 0.1),
    Plan("move", (ROBUST,), 0.01, "crown-ibp"),
)
"""Of lesson 1, 2, ..."""


@dataclass(frozen=True)
class Place:
    """Everything that the URL can say. lesson: from 1. move: one of core.inspection.lessons.MOVES."""

    lesson: int = 1
    index: int = 0
    eps: float = PLANS[0].eps
    move: str = "shift-2"
    present: bool = False

    @property
    def plan(self) -> Plan:
        return PLANS[self.lesson - 1]

    @property
    def digit(self) -> Digit:
        return Digit(self.index)

    def turn(self, to: int) -> Place:
        """Another lesson, as it opens, on the same digit."""
        lesson = min(max(to, 1), len(PLANS))
        return Place(lesson, self.index, PLANS[lesson - 1].eps, present=self.present)

    def explorer(self) -> State:
        """The same question in the explorer."""
        state = State(STANDARD, ROBUST, index=self.index, eps=self.eps, settings=SETTINGS)
        return replace(state, method=self.plan.method)


PAGE = Page(
    Place,
    (
        # First: what the others open with depends on it.
        Whole(name="lesson", low=1, high=len(PLANS), default=1),
        explorer.PAGE.settings["index"],
        Among(
            name="eps",
            label="eps: how much each pixel may change",
            options=EPS,
            default=lambda seen: PLANS[seen["lesson"] - 1].eps,
            help=HELP["eps"],
        ),
        OneOf(name="move", label="What is done to the digit", options=tuple(MOVES), default="shift-2"),
        OneOf(name="present", options=(False, True), default=False),
    ),
)


def missing(models: Sequence[str]) -> list[str]:
    """Models that the lessons need and that are not there."""
    return [name for name in BOTH if name not in models]
