"""The page: a canvas, a ruler for each model, and the best by hand in one chart with attacks and proofs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError
from dashboard.addresses import inspect
from dashboard.addresses.attack import Hand, explorer_address
from dashboard.addresses.models import sentence
from dashboard.attack_by_hand import painting, proofs, text
from dashboard.attack_by_hand.board import Board
from dashboard.attack_by_hand.controls import Panel
from dashboard.shared import compute, destinations, figures, links, skeleton
from dashboard.shared.result import Known
from dashboard.shared.skeleton import progress, warn
from dashboard.shared.text import HELP, INCOMPARABLE, plain

SHARES = (0.67, 0.33)
"""Of the width: the canvas with its rulers, and the chart."""
GLOSSARY = ("elbo", "nats", "eps", "clean", "attained", "proved", "open", "threshold", "draws")


def show() -> None:
    models = skeleton.models()
    panel = Panel(models)
    messages = panel.restore()
    source = panel.match()
    found = skeleton.images(source)
    panel.sidebar(source, found)
    hand, late = panel.read()
    if found is None:
        panel.publish(hand)
        skeleton.say_no_images(source)
        return
    on_canvas, other = painting.current(hand.asked.digit, hand.paint)
    if other:
        panel.keep("")
        hand = replace(hand, paint="")
    on_canvas.open()
    panel.publish(hand)
    left, right = st.columns(SHARES, gap="small")
    with left.container(key="attack-board"):
        canvas, status, below = st.container(), st.empty(), st.container()
    with right:
        with st.container(key="attack-chart"):
            place = st.empty()
        legend = st.empty()
    sides = _known(hand, models, status)
    with below:
        warn((*messages, *late))
        if not compute.comparable(hand.asked.sides):
            st.info(INCOMPARABLE)
    if sides:
        with canvas:
            board = Board(panel, hand, on_canvas, sides, proofs.coming(sides, hand.asked))
            board.show()
        board.chart(place, legend)
    with right:
        _onward(hand, sides, models)
    skeleton.glossary(HELP, GLOSSARY)


def _known(hand: Hand, models: Sequence[str], status: DeltaGenerator) -> list[Known]:
    """What there is at once of each model; of one that cannot be read, why."""
    names, sides = compute.labels(tuple(models)), list[Known]()
    for model, colour in zip(hand.asked.sides, figures.COLOURS, strict=False):
        try:
            told = progress(status, names[model])
            sides.append(compute.known(model, names[model], colour, hand.asked, told))
        except CoreError as error:
            st.error(plain(sentence(error)))
    status.empty()
    return sides


def _onward(hand: Hand, sides: Sequence[Known], models: Sequence[str]) -> None:
    """Why a proof holds, and the same question elsewhere."""
    for side in sides:
        url = inspect.address(hand.asked, side.model, models)
        links.link(destinations.INSPECT, text.why(side.name), url)
    links.link(destinations.EXPLORER, text.TO_EXPLORER, explorer_address(hand, models))
    st.caption(text.ONLY_LOWER)
