"""The explorer's question for a room: large type, few controls."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CoreError
from dashboard.addresses.digit import last_index
from dashboard.addresses.explorer import PAGE, State, opposite, to_params
from dashboard.addresses.models import sentence
from dashboard.explorer.presenter_side import Side
from dashboard.shared import (
    compute,
    destinations,
    figures,
    large_type,
    links,
    own_images,
    proof_schedule,
    skeleton,
    text,
)
from dashboard.shared.display_size import ROOM, enlarged
from dashboard.shared.question_controls import QuestionControls
from dashboard.shared.result import statement
from dashboard.shared.skeleton import chart, progress, warn

BEFORE, AFTER, LEAVE = "Previous image", "Next image", "Leave presenter view"


class Panel(QuestionControls[State]):
    """The explorer's settings, of which few are changed here."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__("present", PAGE, "present-", models=models, images=own_images.images())

    def row(self, state: State) -> None:
        """The image before and after, eps, both models."""
        models = self.there["models"]
        names, offered = {**compute.labels(tuple(models)), "": "None"}, opposite(state.left, models)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            for label, by, icon in ((BEFORE, -1, "back"), (AFTER, 1, "forward")):
                there = replace(state, index=(state.index + by) % (last_index(state.source) + 1), own=b"")
                st.button(label, on_click=self.go, args=(there,), icon=f":material/arrow_{icon}:")
            with st.container(width=320):
                self.eps_slider()
            for side in ("left", "right"):
                with st.container(width=240):
                    label = f"{side.capitalize()} model"
                    there = {"options": offered} if side == "right" else {}
                    self.select(side, label=label, format_func=names.__getitem__, help=None, **there)


def show() -> None:
    models = skeleton.models()
    panel = Panel(models)
    state, messages = panel.open()
    panel.row(state)
    if skeleton.images(state.source) is None:
        skeleton.say_no_images(state.source)
        return
    warn(messages)
    if not compute.comparable(state.sides):
        st.info(text.INCOMPARABLE)
    status, sides = st.empty(), list[Side]()
    names = compute.labels(tuple(models))
    pairs = zip(state.sides, figures.COLOURS, st.columns(2, gap="medium"), strict=False)
    for model, colour, place in pairs:
        with place:
            try:
                told = progress(status, names[model])
                sides.append(Side(compute.known(model, names[model], colour, state, told), state.eps))
            except CoreError as error:
                st.error(text.plain(sentence(error)))
    if sides:
        _below(sides, state, models, status)


def _below(sides: Sequence[Side], state: State, models: Sequence[str], status: DeltaGenerator) -> None:
    """The chart, the statements and the way back; then better proofs, into the same places."""
    place, versions = st.empty(), itertools.count()
    large_type.note(figures.legend([side.line() for side in sides]))
    with st.expander("What exactly is proved"):
        statements = st.empty()
    links.link(destinations.EXPLORER, LEAVE, to_params(state, models), "arrow_back")

    def draw() -> None:
        lines = [side.line() for side in sides]
        figure = enlarged(figures.curve_figure(lines, state.eps, state.most, "eps"), ROOM)
        chart(figure, f"present-{next(versions)}", figures.describe(lines, state.eps), place)
        said = (f"**{side.name}.** {statement(side.curve, state.eps)}" for side in sides)
        statements.markdown("\n\n".join(said))

    draw()
    # Of these draws, and at eps alone: no other radius is begun.
    for step in proof_schedule.steps(sides, replace(state, states="draws"), -math.inf):
        try:
            step.card.add(step.compute(progress(status, step.card.name)))
        except CoreError as error:
            status.error(text.plain(sentence(error)))
            return
        draw()
    status.empty()
