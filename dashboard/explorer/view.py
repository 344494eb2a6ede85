"""The page: two models, one image, one axis for what is attained and what is proved."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.addresses.costs import dear
from dashboard.addresses.explorer import FAST, USUAL, State
from dashboard.addresses.models import available
from dashboard.explorer import fold, refining, screen
from dashboard.explorer.card import Card
from dashboard.explorer.controls import Panel
from dashboard.shared import compute, links, skeleton, text
from dashboard.shared.skeleton import progress


def show() -> None:
    models = skeleton.models()
    panel = Panel(models)
    messages = panel.restore()
    source = panel.match()
    found = skeleton.images(source)
    panel.sidebar(source, found)
    state, late = panel.read()
    panel.publish(state)
    if found is None:
        skeleton.say_no_images(source)
        return
    cards, status = screen.show(state, models, (*messages, *late), panel.answer)
    _say_dear(state)
    if cards:
        _below(cards, state, status)


def _say_dear(state: State) -> None:
    """Where the usual proof takes one of the models too long, what does it."""
    model, seconds, fewer = dear(state.sides, state.settings.draws)
    if model and state.method == FAST[-1]:
        st.caption(text.dear(model, state.settings.draws, seconds, fewer, USUAL["method"]))


def _below(cards: Sequence[Card], state: State, status: DeltaGenerator) -> None:
    """What is not needed at first sight, a part at a time; then proofs that get tighter, into the same
    places."""
    update = fold.show(cards, state)
    links.onward(state, compute.labels(tuple(available())))
    if state.settings.side == "upper":
        st.caption(text.LOWER_ONLY)
    for card in cards:
        if card.awaits_opinion:
            card.judge(progress(status, card.name))
    refining.refine(cards, state, status, update)
