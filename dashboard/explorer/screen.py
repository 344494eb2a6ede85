"""The explorer's screen: what is wrong with the question, the stage, and a card for each model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError
from dashboard.addresses.explorer import GRADIENTS, QUICK, State
from dashboard.addresses.models import sentence
from dashboard.addresses.present import Room
from dashboard.addresses.reader import Message
from dashboard.explorer.card import Card
from dashboard.explorer.stage.view import Stage
from dashboard.server.background import Now, Show
from dashboard.shared import compute, figures, limits, text
from dashboard.shared.limits import Limits
from dashboard.shared.skeleton import progress, warn


def show(
    state: State,
    models: Sequence[str],
    messages: Sequence[Message],
    on_ask: Callable[[], None],
    room: Room | None = None,
) -> tuple[list[Card], DeltaGenerator]:
    """Draw both models' pictures, numbers and lines; the cards, and the place of the status.

    A model that cannot be computed says so, and has no card. models: those that can be asked for.
    """
    names = compute.labels(tuple(models))
    sides = [(m, names[m], colour) for m, colour in zip(state.sides, figures.COLOURS, strict=False)]
    above = st.container(gap=None)
    with above:
        warn(messages)
    # Always in the same place: whatever is moved is mounted anew, and leaves the hand.
    with st.container(key="stage-place"):
        stage = Stage(state, sides, models, on_ask, room)
    with st.container(key="status"):
        status = st.progress(0.0, text.FIRST)
    meanwhile = _Meanwhile(state, sides, stage)
    cards: list[Card] = []
    endless = False
    for side, (model, name, colour) in enumerate(sides):
        try:
            known = compute.known(model, name, colour, state, meanwhile.show(side, progress(status, name)))
            drawn = _limits(model, state)
        except CoreError as error:
            stage.film(side, None)
            above.error(f"{text.plain(name)}: {text.plain(sentence(error))}")
            continue
        stage.film(side, known.result)
        cards.append(Card(known, partial(stage.numbers, side, drawn), state))
        endless |= drawn is not None and math.inf in drawn.ceiling
    if endless:
        st.info(text.NO_CEILING)
    if not compute.comparable(state.sides):
        st.info(text.INCOMPARABLE)
    if not cards:
        status.empty()
    return cards, status


def _limits(model: str, state: State) -> Limits | None:
    """What limits every model like this one, if it is to be drawn. Raises CoreError."""
    if state.limits == "hide":
        return None
    return limits.of(model, state.digit, state.settings.proof, state.grid)


class _Meanwhile:
    """Shows what a quick attack finds while a slow one is computed; nothing where that is known already."""

    def __init__(self, state: State, sides: Sequence[tuple[str, str, str]], stage: Stage) -> None:
        self._state, self._sides, self._stage = state, sides, stage
        self._slow = state.settings.attack in GRADIENTS
        self._quick = replace(state, settings=replace(state.settings, attack=QUICK))
        self._next = 0
        """The first model that nothing is drawn of."""

    def show(self, side: int, say: Show) -> Show:
        """Says how far the work on a model is; before that draws it and those after it."""

        def show(now: Now) -> None:
            for later in range(max(side, self._next), len(self._sides)):
                self._next = later + 1
                self._draw(later, say)
            say(replace(now, what=f"{now.what}, {text.MEANWHILE}"))

        return show if self._slow else say

    def _draw(self, side: int, say: Show) -> None:
        model, name, colour = self._sides[side]
        try:
            known = compute.known(model, name, colour, self._quick, say)
        except CoreError:
            return  # the attack that was asked for will say what is wrong
        self._stage.film(side, known.result, QUICK)
        Card(known, partial(self._stage.numbers, side, None), self._state)
