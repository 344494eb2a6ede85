"""The stage: one element for eps, pictures, numbers and the chart; feeds bring it what is known."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component
from streamlit.delta_generator import DeltaGenerator

from core.evaluation.curve import Curve, Proof
from dashboard.addresses.digit import last_index
from dashboard.addresses.explorer import State, opposite
from dashboard.addresses.models import stamp
from dashboard.addresses.present import ALL, Room
from dashboard.addresses.scales import Scale
from dashboard.addresses.scenes import SCENES
from dashboard.explorer.stage import reveal, text
from dashboard.explorer.stage.event import Ask, read_ask
from dashboard.explorer.stage.picture_strip import LEVELS, film, limit_lines, numbers
from dashboard.explorer.stage.reveal import Shown
from dashboard.shared import units
from dashboard.shared.frontend import source
from dashboard.shared.images import palette
from dashboard.shared.limits import Limits
from dashboard.shared.result import Result
from dashboard.shared.text import EPS_LABELS, HELP, HUES, STATES_LABELS

KEY = "stage"
_TOKEN, _COUNT = "stage token", "stage count"
"""In the session: whom the browser is talking to, and how many news it has been sent."""
_source = partial(source, Path(__file__).with_name("frontend"))
_STAGE = component(
    "elbo_stage",
    html=_source("stage.html"),
    css=_source("stage.css"),
    js=_source("store.js", "pictures.js", "chart.js", "keys.js", "card.js", "tour.js", "stage.js"),
)
_FEED = component("elbo_feed", js=_source("store.js", "feed.js"))
_PALETTE = base64.b64encode(palette(LEVELS).tobytes()).decode()


class Stage:
    """Drawn in the container that is current when it is made; it stays when the page runs again.

    sides  model, its name, and its colour, left and right.
    room   where a talk is, if it stands before a room: then it is large, and shows what is revealed so far.
    """

    def __init__(
        self,
        state: State,
        sides: Sequence[tuple[str, str, str]],
        models: Sequence[str],
        on_ask: Callable[[], None],
        room: Room | None = None,
    ) -> None:
        self._state, self._unit = state, units.unit(state.unit, state.source.shape)
        step = ALL if room is None else room.step
        self._seen = [reveal.shown(step, side, len(sides)) for side in range(len(sides))]
        asked_of = zip(sides, self._seen, strict=True)
        self._questions = [_question(model, state, seen) for (model, _, _), seen in asked_of]
        shown = zip(self._questions, sides, strict=True)
        # Feeds have no height: without a gap between them nobody sees that they are there.
        with st.container(gap=None):
            _STAGE(
                key=KEY,
                data={
                    "token": _token(),
                    "serial": asked(models, state.scale).serial,
                    "eps": state.eps,
                    "grid": state.scale.grid,
                    "step": state.scale.step,
                    "most": state.most,
                    "ranges": state.scale.ranges,
                    "index": state.index,
                    "images": last_index(state.source) + 1,
                    "models": {"left": list(models), "right": opposite(state.left, models)},
                    "left": state.left,
                    "right": state.right,
                    "sides": [
                        {"question": q, "name": name, "hue": HUES[colour], "colour": colour}
                        for q, (_, name, colour) in shown
                    ],
                    "palette": _PALETTE,
                    "words": _words(state),
                    "unit": {"nats": self._unit.nats, "axis": self._unit.axis, "plain": units.NATS.axis},
                    "room": None if room is None else _room(room),
                },
                on_ask_change=on_ask,
            )
            self._films = [st.empty() for _ in sides]
            self._numbers = [st.empty() for _ in sides]

    def film(self, side: int, result: Result | None, until: str = "") -> None:
        """The pictures of a model; None if there will not be any.

        The same ones make the same message, which goes to a browser once. until: a name for those that
        others replace in the same run.
        """
        norm, radii = self._state.settings.norm, self._seen[side].radii
        shown = {"failed": True} if result is None else film(result, norm, radii)
        news = {"kind": "film", "token": self._questions[side], "count": 0 if until else 1}
        self._send(self._films[side], side, f"film-{side}{until}", news | shown)

    def numbers(
        self,
        side: int,
        limits: Limits | None,
        curve: Curve,
        threshold: float,
        sampled: Proof | None,
    ) -> None:
        """The numbers and the line of a model, now that this is known; limits: to be drawn with them."""
        count = st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
        name = STATES_LABELS[self._state.states].lower()
        news = {"kind": "numbers", "token": _token(), "count": count}
        known = numbers(curve, threshold, sampled, name, self._unit)
        news |= reveal.numbers(known, self._seen[side])
        news["limits"] = [] if limits is None else limit_lines(limits, self._unit)
        self._send(self._numbers[side], side, f"numbers-{count}", news)

    def _send(self, place: DeltaGenerator, side: int, key: str, data: dict[str, Any]) -> None:
        with place:
            _FEED(key=key, data=data | {"side": side, "question": self._questions[side]})


def asked(models: Sequence[str], scale: Scale) -> Ask:
    """What the stage asked for last."""
    state = st.session_state.get(KEY)
    return read_ask(state.get("ask") if isinstance(state, dict) else None, models, scale)


def _question(model: str, state: State, seen: Shown) -> str:
    """Changes when pictures and attained numbers do."""
    said = repr((model, stamp(model), state.digit, state.settings, state.grid, seen.attack))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _token() -> str:
    """The same as long as the session lasts, which a reconnecting browser may outlive."""
    return st.session_state.setdefault(_TOKEN, secrets.token_hex(8))


def _room(room: Room) -> dict[str, Any]:
    """Where a talk is, for its keys, and what was guessed."""
    return {
        "step": room.step,
        "steps": ALL,
        "scene": room.scene,
        "scenes": len(SCENES),
        "guess": reveal.span(room.guess, room.asked.most),
        "words": text.ROOM,
    }


def _words(state: State) -> dict[str, Any]:
    side, norm = state.settings.side, state.settings.norm
    return {
        "eps": EPS_LABELS[norm],
        "help": HELP["eps"],
        "keys": text.KEYS,
        "numbers": text.numbers(side),
        "captions": text.CAPTIONS,
        "alts": text.alts(norm, state.source.shape[0] > 1),
        "failed": text.FAILED,
        "states": text.STATES[side],
        "legend": text.legend(state),
        **text.CHART,
        "tour": text.tour(side),
    }
