"""The page: two models, one image, one axis for what is attained and what is proved."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError
from dashboard.addresses.costs import dear
from dashboard.addresses.explorer import FAST, USUAL, State, to_params
from dashboard.addresses.models import available, sentence
from dashboard.explorer import loss_bars, panels, refining
from dashboard.explorer.card import Card
from dashboard.explorer.controls import Panel
from dashboard.explorer.stage.view import Stage
from dashboard.explorer.takeaway import view as takeaway
from dashboard.shared import compute, figures, links, skeleton, text
from dashboard.shared.skeleton import chart, glossary, progress, warn


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
    # Containers keep what was in them until it is replaced, so that nothing below jumps; st.empty does not.
    with st.container(gap=None):
        headlines = [st.container() for _ in state.sides]
    caption = text.THRESHOLD if state.settings.side == "lower" else text.UPPER_THRESHOLD
    st.caption(caption[state.threshold is None])
    names = compute.labels(tuple(models))
    both = [(model, names[model], text.HUES[colour]) for model, colour in _sides(state)]
    # Before anything that may be there or not: whatever is moved is mounted anew, and leaves the hand.
    stage = Stage(state, both, models, panel.answer)
    if not compute.comparable(state.sides):
        st.info(text.INCOMPARABLE)
    warn((*messages, *late))
    _say_dear(state)
    # The chart is near the hand that moves its cursor; it is drawn when all cards are there.
    status, place = st.progress(0.0, text.FIRST), st.container()
    places, cards = st.columns(2, gap="medium"), []
    for side, (model, colour) in enumerate(_sides(state)):
        with places[side]:
            try:
                known = compute.known(model, names[model], colour, state, progress(status, names[model]))
            except CoreError as error:
                stage.film(side, None)
                st.error(text.plain(sentence(error)))
                continue
            stage.film(side, known.result)
            cards.append(Card(known, headlines[side], partial(stage.numbers, side), state))
    if cards:
        _charts(panel, cards, state, place, status)
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


def _charts(
    panel: Panel, cards: Sequence[Card], state: State, place: DeltaGenerator, status: DeltaGenerator
) -> None:
    """The chart, and everything below the cards; then proofs that get tighter, into the same places."""
    with place:
        st.header("ELBO over eps", anchor=False, help=text.HELP["elbo"] + "\n\n" + text.HELP["nats"])
        panel.segments("upto")
        curve, legend = st.container(key="curve"), st.empty()
    side = state.settings.side
    words = text.help_on(side)
    st.header(f"Which method proves what at eps {state.eps:g}", anchor=False, help=words["methods"])
    for card, place in zip(cards, st.columns(2, gap="medium"), strict=False):
        with place:
            card.table()
    st.header(text.LOST[side], anchor=False, help=words["lost"])
    lost = st.empty()
    take = takeaway.offer(cards, state, to_params(state, available()))
    # A chart that is drawn again needs a key of its own.
    versions = itertools.count()

    def draw() -> None:
        nonlocal curve
        version, lines = next(versions), [card.drawn() for card in cards]
        figure = figures.curve_figure(lines, state.eps, state.most, text.EPS_AXIS[state.settings.norm])
        said = figures.describe(lines, state.eps)
        curve = chart(figure, f"curve-{version}", said, curve)
        legend.caption(figures.legend(lines))
        losses = [loss for card in cards for loss in card.losses]
        said = f"Bars of the change from clean. {'; '.join(map(panels.in_words, losses))}."
        chart(loss_bars.loss_figure(losses), f"lost-{version}", said, lost)
        take()

    glossary(words, text.GLOSSARY)
    if side == "upper":
        st.caption(text.LOWER_ONLY)
    links.onward(state, compute.labels(tuple(available())))
    for card in cards:
        if card.awaits_opinion:
            draw()
            card.judge(progress(status, card.name))
    refining.refine(cards, state, status, draw)
