"""The presenter's page: the explorer's question for a room."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError
from core.evaluation.curve import Proof
from dashboard.addresses.explorer import FAST, State, to_params
from dashboard.addresses.models import sentence
from dashboard.present import text as words
from dashboard.present.controls import Panel
from dashboard.present.side import Side
from dashboard.server.background import Show
from dashboard.shared import (
    compute,
    destinations,
    figures,
    large_type,
    links,
    skeleton,
    text,
    tighter_bounds,
)
from dashboard.shared.display_size import ROOM, enlarged
from dashboard.shared.skeleton import chart, progress, warn


def show() -> None:
    models = skeleton.models()
    panel = Panel(models)
    state, messages = panel.open()
    panel.row(state)
    warn(messages)
    if not compute.comparable(state.left, state.right):
        st.info(text.INCOMPARABLE)
    status, sides = st.empty(), list[Side]()
    names = compute.labels(tuple(models))
    pairs = zip((state.left, state.right), figures.COLOURS, st.columns(2, gap="medium"), strict=True)
    for model, colour, place in pairs:
        with place:
            if (side := _side(model, names[model], colour, state, status)) is not None:
                sides.append(side)
    if sides:
        _below(sides, state, models, status)


def _side(model: str, name: str, colour: str, state: State, status: DeltaGenerator) -> Side | None:
    """What is known at once of one model; None if it cannot be shown."""
    try:
        result = compute.explore(model, state.digit, state.settings, state.grid, progress(status, name))
        threshold = compute.usual_threshold(model) if state.threshold is None else state.threshold
    except CoreError as error:
        st.error(text.plain(sentence(error)))
        return None
    return Side(model, name, colour, state, result, threshold)


def _below(sides: Sequence[Side], state: State, models: Sequence[str], status: DeltaGenerator) -> None:
    """The chart, the statements and the way back; then better proofs, into the same places."""
    place, versions = st.empty(), itertools.count()
    legend = figures.legend([side.line for side in sides])
    large_type.note(legend)
    with st.expander(words.STATEMENTS):
        statements = st.empty()
    links.link(destinations.EXPLORER, words.LEAVE, to_params(state, models), "arrow_back")

    def draw() -> None:
        lines = [side.line for side in sides]
        figure = enlarged(figures.curve_figure(lines, state.eps, state.most, "eps"), ROOM)
        chart(figure, f"present-{next(versions)}", figures.describe(lines, state.eps), place)
        said = "\n\n".join(f"**{side.name}.** {side.statement}" for side in sides)
        statements.markdown(said)

    draw()
    for side, prove in _steps(sides, state):
        try:
            side.add(prove(progress(status, side.name)))
        except CoreError as error:
            status.error(text.plain(sentence(error)))
            return
        draw()
    status.empty()


def _steps(
    sides: Sequence[Side], state: State
) -> Iterator[tuple[Side, Callable[[Show], tuple[Proof, ...]]]]:
    """The fast method over the whole range, then the slower ones at eps."""
    if state.method != "ibp":
        for side in sides:
            args = (side.model, state.digit, state.settings.proof, FAST[-1], state.grid)
            yield side, partial(tighter_bounds.grid, *args)
    for method in dict.fromkeys((state.spread, state.method)):
        for side in sides if method not in FAST else ():
            args = (side.model, state.digit, state.settings.proof, method, state.eps)
            yield side, partial(tighter_bounds.point, *args)
