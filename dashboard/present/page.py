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
from dashboard.addresses.models import available, sentence
from dashboard.present import controls
from dashboard.present import text as words
from dashboard.present.side import Side
from dashboard.server.background import Now, Show
from dashboard.shared import compute, destinations, figures, large_type, text, tighter_bounds
from dashboard.shared.display_size import ROOM, enlarged


def show() -> None:
    models = available()
    if not models:
        st.error(words.NO_MODELS)
        return
    messages = controls.restore(models)
    state = controls.read()
    controls.publish(state, models)
    controls.row(state, models)
    for message in messages:
        st.warning(message.text)
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
        result = compute.explore(model, state.digit, state.settings, state.grid, _progress(name, status))
        threshold = compute.usual_threshold(model) if state.threshold is None else state.threshold
    except CoreError as error:
        st.error(text.plain(sentence(error)))
        return None
    return Side(model, name, colour, state, result, threshold)


def _below(sides: Sequence[Side], state: State, models: Sequence[str], status: DeltaGenerator) -> None:
    """The chart, the statements and the way back; then better proofs, into the same places."""
    chart, versions = st.empty(), itertools.count()
    legend = figures.legend([side.line for side in sides])
    large_type.note(legend)
    with st.expander(words.STATEMENTS):
        statements = st.empty()
    st.page_link(
        destinations.EXPLORER,
        label=words.LEAVE,
        icon=":material/arrow_back:",
        query_params=to_params(state, models),
    )

    def draw() -> None:
        lines = [side.line for side in sides]
        chart.plotly_chart(
            enlarged(figures.curve_figure(lines, state.eps, state.most, "eps"), ROOM),
            key=f"present-{next(versions)}",
            config={"displayModeBar": False},
            alt=figures.describe(lines, state.eps),
        )
        said = "\n\n".join(f"**{side.name}.** {side.statement}" for side in sides)
        statements.markdown(said)

    draw()
    for side, prove in _steps(sides, state):
        try:
            side.add(prove(_progress(side.name, status)))
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
            args = (side.model, state.digit, state.settings, FAST[-1], state.grid)
            yield side, partial(tighter_bounds.grid, *args)
    for method in dict.fromkeys((state.spread, state.method)):
        for side in sides if method not in FAST else ():
            args = (side.model, state.digit, state.settings, method, state.eps)
            yield side, partial(tighter_bounds.point, *args)


def _progress(name: str, status: DeltaGenerator) -> Show:
    def progress(now: Now) -> None:
        status.progress(now.share, f"{name}: {now.what}. Any control cancels it.")

    return progress
