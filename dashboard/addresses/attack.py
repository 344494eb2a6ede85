"""What the page of attacks by hand shows, as a value; read from and written to the URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dashboard.addresses import explorer
from dashboard.addresses.explorer import State
from dashboard.addresses.page import Page
from dashboard.addresses.paint import Paint
from dashboard.addresses.settings import Number, Setting

FIXED = ("side", "states", "limits", "unit")
"""Of the explorer's settings: a hand lowers the ELBO of the draws that it sees, on an axis in nats."""


@dataclass(frozen=True)
class Hand:
    """Everything that the URL can say.

    asked  the explorer's question. paint: what is painted over the image, see `paint.encode`.
    """

    asked: State
    paint: str = ""


EPS = {"linf": 0.1, "l2": 0.2}
"""What the page opens with: enough to see what is painted."""
ASKED = explorer.PAGE.settings
PAGE = Page(
    Hand,
    (
        *(
            replace(s, default=lambda seen: EPS[seen["norm"]])
            if isinstance(s, Number) and s.name == "eps"
            else s
            for s in explorer.PAGE.steps
            if not (isinstance(s, Setting) and s.name in FIXED)
        ),
        Paint(name="paint"),
    ),
    {name: ASKED[name].default for name in FIXED},
)


def address(state: State, models: Sequence[str]) -> dict[str, str]:
    """This page's URL with the explorer's models, image and question."""
    usual = {name: ASKED[name].default for name in FIXED}
    settings = replace(state.settings, side=usual["side"])
    others = {name: value for name, value in usual.items() if name != "side"}
    asked = replace(state, settings=settings, **others)
    # Named even where they are the default: an address without settings opens a page where it was left.
    return _sides(state) | PAGE.address(Hand(asked), models=models)


def explorer_address(hand: Hand, models: Sequence[str]) -> dict[str, str]:
    """The explorer's URL with this page's models, image and question."""
    return _sides(hand.asked) | explorer.to_params(hand.asked, models)


def _sides(state: State) -> dict[str, str]:
    return {"left": state.left} | ({"right": state.right} if state.right else {})
