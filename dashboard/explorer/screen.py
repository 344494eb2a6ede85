"""The explorer's screen: what is wrong with the question, the stage, and a card for each model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError
from dashboard.addresses.explorer import State
from dashboard.addresses.models import sentence
from dashboard.addresses.present import Room
from dashboard.addresses.reader import Message
from dashboard.explorer.card import Card
from dashboard.explorer.stage.view import Stage
from dashboard.shared import compute, figures, text
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
    cards: list[Card] = []
    for side, (model, name, colour) in enumerate(sides):
        try:
            known = compute.known(model, name, colour, state, progress(status, name))
        except CoreError as error:
            stage.film(side, None)
            above.error(f"{text.plain(name)}: {text.plain(sentence(error))}")
            continue
        stage.film(side, known.result)
        cards.append(Card(known, partial(stage.numbers, side), state))
    if not compute.comparable(state.sides):
        st.info(text.INCOMPARABLE)
    if not cards:
        status.empty()
    return cards, status
