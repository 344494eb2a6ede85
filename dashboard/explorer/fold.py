"""What stands below the explorer's screen: one part at a time, for each costs every change of a control."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import streamlit as st

from dashboard.addresses.explorer import State, to_params
from dashboard.addresses.models import available
from dashboard.explorer import loss_bars, panels
from dashboard.explorer.card import Card
from dashboard.explorer.takeaway import numbers
from dashboard.explorer.takeaway import view as takeaway
from dashboard.shared import table_copy, text
from dashboard.shared.skeleton import chart, definitions

PROVED, METHODS, LOST, TAKE, WORDS = (
    "Proof",
    "Methods",
    "Where it goes",
    "Take it away",
    "Words",
)
LABEL = "More about this"


def show(cards: Sequence[Card], state: State) -> Callable[[], None]:
    """The part that is chosen; what is returned shows what has come in since."""
    parts = (PROVED, METHODS, LOST, TAKE, WORDS)
    chosen = st.segmented_control(
        LABEL, parts, default=PROVED, required=True, key="fold", label_visibility="collapsed"
    )
    with st.container(key="folded"):
        if chosen == TAKE:
            return takeaway.offer(cards, state, to_params(state, available()))
        if chosen == LOST:
            return _lost(cards, state)
        if chosen == WORDS:
            definitions(text.help_on(state.settings.side), text.GLOSSARY)
        else:
            words = text.help_on(state.settings.side)
            if chosen == PROVED:
                st.caption(text.alarm(state.threshold is None, state.settings.side))
            else:
                st.header(f"At eps {state.eps:g}", anchor=False, help=words["methods"])
            for card, place in zip(cards, st.columns(2, gap="medium"), strict=False):
                with place:
                    (card.table if chosen == METHODS else card.state_exactly)()
            if chosen == METHODS:
                return _copied(cards, state)
    return lambda: None


def _copied(cards: Sequence[Card], state: State) -> Callable[[], None]:
    """The bounds of each method to copy."""
    place = st.empty()

    def draw() -> None:
        with place.container():
            table_copy.offer(numbers.by_method(cards, state))

    draw()
    return draw


def _lost(cards: Sequence[Card], state: State) -> Callable[[], None]:
    """Where the change of the ELBO comes from."""
    side = state.settings.side
    st.header(text.LOST[side], anchor=False, help=text.help_on(side)["lost"])
    # A chart that is drawn again needs a key of its own.
    place, versions = st.empty(), itertools.count()

    def draw() -> None:
        losses = [loss for card in cards for loss in card.losses]
        said = f"Bars of the change from clean. {'; '.join(map(panels.in_words, losses))}."
        chart(loss_bars.loss_figure(losses), f"lost-{next(versions)}", said, place)

    draw()
    return draw
