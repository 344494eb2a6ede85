"""The painting of a visitor in the session: what it is on, and what of it the server has seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from dashboard.addresses import paint
from dashboard.addresses.digit import Digit
from dashboard.attack_by_hand.message import CLEAN, Message

_KEPT, _VERSION = "attack painting", "attack version"


@dataclass
class Painting:
    """What is painted over one image.

    levels   (C, H, W) in units of `paint.UNITS`. opened, begun: levels and origin that a browser which
             has none starts from.
    version  counts paintings that did not come from the browser: it drops its own for a new one.
    serial   of the last message. origin: what it was started from. done: whether the hand rests.
    """

    digit: Digit
    levels: np.ndarray
    version: int
    serial: int = 0
    origin: str = CLEAN
    done: bool = True
    opened: np.ndarray = field(init=False)
    begun: str = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """From now on a browser that has no painting begins with this one."""
        self.opened, self.begun = self.levels, self.origin

    def take(self, message: Message) -> bool:
        """Take over what the browser sent; False for what was seen before, or is about another painting."""
        if message.version != self.version or message.serial <= self.serial:
            return False
        self.levels, self.serial = message.levels, message.serial
        self.origin, self.done = message.origin, message.done
        return True


def current(digit: Digit, text: str) -> tuple[Painting, bool]:
    """The painting on an image, and whether it begins anew without what was painted on another one.

    text  the address's, which counts after `forget`.
    """
    session = st.session_state
    found: Painting | None = session.get(_KEPT)
    if found is not None and found.digit == digit:
        return found, False
    shape, other = digit.source.shape, found is not None
    levels = None if other else paint.decode(text, shape)
    session[_VERSION] = session.get(_VERSION, 0) + 1
    made = Painting(digit, paint.nothing(shape) if levels is None else levels, session[_VERSION])
    session[_KEPT] = made
    return made, other


def forget() -> None:
    """Let the next look at the painting take it from the address."""
    st.session_state[_KEPT] = None
