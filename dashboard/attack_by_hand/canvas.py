"""The canvas on the page: a component of the browser, what it starts from, and what it is told."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from dashboard.addresses.explorer import State
from dashboard.attack_by_hand import text
from dashboard.attack_by_hand.goals import Goal
from dashboard.attack_by_hand.message import ORIGINS
from dashboard.attack_by_hand.painting import Painting
from dashboard.attack_by_hand.ruler import Ruler
from dashboard.shared.frontend import source
from dashboard.shared.result import Known
from dashboard.shared.text import HUES

KEY = "attack-canvas"
_TOKEN, _COUNT = "attack token", "attack count"
"""In the session: whom the browser is talking to, and how many answers it was sent."""
_source = partial(source, Path(__file__).with_name("frontend"))
_CANVAS = component(
    "elbo_attack",
    html=_source("attack.html"),
    css=_source("attack.css"),
    js=_source("store.js", "paint.js", "drawing.js", "ruler.js", "goals.js", "attack.js"),
)
_ANSWER = component("elbo_attack_answer", js=_source("store.js", "answer.js"))


def show(
    state: State, painting: Painting, sides: Sequence[Known], starts: Sequence[Mapping[str, Any]]
) -> object:
    """The canvas in the container that is current; what it sent last, which anyone may have written.

    starts  what a painting may start from: label, origin and levels as base64.
    """
    x = state.digit.image()[0].numpy()
    sent = _CANVAS(
        key=KEY,
        data={
            "token": _token(),
            "version": painting.version,
            "shape": list(x.shape),
            "image": _base64(x.astype("<f4")),
            "levels": _base64(painting.opened),
            "eps": state.eps,
            "grid": state.scale.grid,
            "norm": state.settings.norm,
            "sides": [{"name": side.name, "hue": HUES[side.colour]} for side in sides],
            "starts": list(starts),
            "origins": ORIGINS,
            "origin": painting.begun,
            "words": text.WORDS,
        },
        default={"paint": None},
        on_paint_change=_nothing,
    )
    return sent.paint


def answer(
    painting: Painting,
    eps: float,
    rulers: Mapping[int, Ruler],
    goals: Sequence[Goal],
    spoken: str,
    status: str,
    link: Mapping[str, str] | None,
) -> None:
    """What the models say of a painting. rulers: by side. spoken: for those who cannot see them. status: of
    the proofs. link: the URL that the browser is to show, None for the one it has."""
    count = st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
    _ANSWER(
        key="attack-answer",
        data={
            "token": _token(),
            "count": count,
            "version": painting.version,
            "serial": painting.serial,
            "eps": eps,
            "rulers": {side: found.sent() for side, found in rulers.items()},
            "goals": [asdict(goal) for goal in goals],
            "spoken": spoken,
            "status": status,
            "link": None if link is None else dict(link),
        },
    )


def levels_text(levels: np.ndarray) -> str:
    """Levels as the browser reads them."""
    return _base64(levels)


def digest(levels: np.ndarray) -> bytes:
    """Tells paintings apart."""
    return hashlib.sha256(levels.tobytes()).digest()


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _token() -> str:
    """The same as long as the session lasts, which a reconnecting browser may outlive."""
    return st.session_state.setdefault(_TOKEN, secrets.token_hex(8))


def _nothing() -> None:
    """A change runs this part of the page again; there is nothing else to do."""
