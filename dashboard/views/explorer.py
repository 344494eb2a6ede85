"""The page: two models, one digit, one axis for what is attained and what is proved."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import core
from core.errors import CoreError
from dashboard import compute, figures, text
from dashboard.compute import Result
from dashboard.state import State
from dashboard.views import controls, panels


@dataclass(frozen=True)
class Shown:
    """One side of the page, computed."""

    name: str
    hue: str
    colour: str
    result: Result
    threshold: float

    @property
    def line(self) -> figures.Line:
        curve = self.result.curve
        return figures.Line(
            self.name,
            self.colour,
            curve.eps.numpy(),
            curve.clean,
            curve.attained.numpy(),
            curve.certified.numpy(),
            self.threshold,
        )


def show() -> None:
    st.title(text.TITLE, anchor=False)
    models = core.list_models()
    if not models:
        st.error("There is no model in assets/models. Restore that folder, or train a model.")
        return
    try:
        _, labels = compute.samples()
    except CoreError as error:
        st.error(str(error))
        return
    messages = controls.restore(models)
    controls.sidebar(models, labels)
    headline = st.container(gap="xsmall")
    controls.eps_slider()
    state, late = controls.read(models)
    controls.publish(state, models)
    for message in {m.text: m for m in (*messages, *late)}.values():
        st.warning(message.text)
    places = st.columns(2, gap="medium", border=True)
    shown = []
    for model, colour, place in zip((state.left, state.right), figures.COLOURS, places, strict=True):
        side = _side(state, model, colour, place, headline)
        if side is not None:
            shown.append(side)
    if shown:
        _chart(shown, state.eps)
        _lost(shown, state.eps)
    st.caption(text.SUBTITLE)


def _side(
    state: State, model: str, colour: str, place: DeltaGenerator, headline: DeltaGenerator
) -> Shown | None:
    """Compute and draw one model; None if it cannot be."""
    name, hue = compute.label(model), text.HUES[colour]
    with place:
        st.subheader(f":{hue}[{name}]", anchor=False)
        slot = st.empty()

        def report(share: float, what: str) -> None:
            slot.progress(share, f"{name}: {what}. Any control cancels it.")

        try:
            result = compute.explore(model, state.index, state.settings, state.grid, report)
            threshold = compute.usual_threshold(model) if state.threshold is None else state.threshold
        except CoreError as error:
            slot.error(str(error))
            return None
        slot.empty()
        i = result.at(state.eps)
        panels.pictures(result, i)
        panels.numbers(result, i)
        panels.statement(result, i)
    sentence = text.minus(result.curve.verdict(threshold).sentence())
    headline.markdown(f"##### :{hue}[{name}]: {sentence}")
    return Shown(name, hue, colour, result, threshold)


def _chart(shown: list[Shown], eps: float) -> None:
    lines = [side.line for side in shown]
    st.subheader("ELBO over eps", anchor=False, help=text.HELP["elbo"] + "\n\n" + text.HELP["nats"])
    st.plotly_chart(
        figures.curve_figure(lines, eps),
        key="curve",
        config={"displayModeBar": False},
        alt=figures.describe(lines, eps),
    )


def _lost(shown: list[Shown], eps: float) -> None:
    st.subheader("Where it was lost", anchor=False)
    for place, side in zip(st.columns(2, gap="medium"), shown, strict=False):
        with place:
            panels.lost(side.result, side.result.at(eps), side.colour, side.hue)
