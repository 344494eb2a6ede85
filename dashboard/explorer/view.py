"""The page: two models, one image, one axis for what is attained and what is proved."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError
from dashboard.addresses.costs import dear
from dashboard.addresses.explorer import FAST, USUAL, State
from dashboard.addresses.models import available, sentence
from dashboard.explorer import fold, refining
from dashboard.explorer.card import Card
from dashboard.explorer.controls import Panel
from dashboard.explorer.stage.view import Stage
from dashboard.shared import compute, figures, links, skeleton, text
from dashboard.shared.skeleton import progress, warn


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
    above = st.container(gap=None)
    with above:
        warn((*messages, *late))
    names = compute.labels(tuple(models))
    both = [(model, names[model], colour) for model, colour in _sides(state)]
    # Always in the same place: whatever is moved is mounted anew, and leaves the hand.
    with st.container(key="stage-place"):
        stage = Stage(state, both, models, panel.answer)
    with st.container(key="status"):
        status = st.progress(0.0, text.FIRST)
    cards: list[Card] = []
    for side, (model, name, colour) in enumerate(both):
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
    _say_dear(state)
    if cards:
        _below(cards, state, status)
    else:
        status.empty()


def _say_dear(state: State) -> None:
    """Where the usual proof takes one of the models too long, what does it."""
    model, seconds, fewer = dear(state.sides, state.settings.draws)
    if model and state.method == FAST[-1]:
        st.caption(text.dear(model, state.settings.draws, seconds, fewer, USUAL["method"]))


def _sides(state: State) -> list[tuple[str, str]]:
    """Model and colour, left and right."""
    return list(zip(state.sides, figures.COLOURS, strict=False))


def _below(cards: Sequence[Card], state: State, status: DeltaGenerator) -> None:
    """What is not needed at first sight, a part at a time; then proofs that get tighter, into the same
    places."""
    links.onward(state, compute.labels(tuple(available())))
    update = fold.show(cards, state)
    if state.settings.side == "upper":
        st.caption(text.LOWER_ONLY)
    for card in cards:
        if card.awaits_opinion:
            card.judge(progress(status, card.name))
    refining.refine(cards, state, status, update)
