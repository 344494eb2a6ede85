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
    headline = st.container(gap=None)
    below = st.empty()
    controls.eps_slider()
    state, late = controls.read(models)
    controls.publish(state, models)
    below.caption(text.THRESHOLD[state.threshold is None])
    for message in {m.text: m for m in (*messages, *late)}.values():
        st.warning(message.text)
    places = st.columns(2, gap="medium", border=True)
    shown, names = [], compute.labels(tuple(models))
    for model, colour, place in zip((state.left, state.right), figures.COLOURS, places, strict=True):
        side = _side(state, model, names[model], colour, place, headline)
        if side is not None:
            shown.append(side)
    if shown:
        _chart(shown, state)
        _lost(shown, state.eps)
    with st.expander("Words on this page"):
        st.markdown("\n".join(f"- {text.HELP[word]}" for word in text.GLOSSARY))


def _side(
    state: State, model: str, name: str, colour: str, place: DeltaGenerator, headline: DeltaGenerator
) -> Shown | None:
    """Compute and draw one model; None if it cannot be."""
    hue = text.HUES[colour]
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


def _chart(shown: list[Shown], state: State) -> None:
    lines = [side.line for side in shown]
    st.subheader("ELBO over eps", anchor=False, help=text.HELP["elbo"] + "\n\n" + text.HELP["nats"])
    controls.chart_range()
    st.plotly_chart(
        figures.curve_figure(lines, state.eps, state.most),
        key="curve",
        config={"displayModeBar": False},
        alt=figures.describe(lines, state.eps),
    )


def _lost(shown: list[Shown], eps: float) -> None:
    st.subheader("Where it was lost", anchor=False, help=text.HELP["lost"])
    losses = [loss for side in shown for loss in panels.losses(side.result, eps, side.name, side.colour)]
    words = "; ".join(
        f"{loss.name}: {text.signed(loss.recon)} nats reconstruction, {text.signed(loss.kl)} nats KL"
        for loss in losses
    )
    st.plotly_chart(
        figures.loss_figure(losses),
        key="lost",
        config={"displayModeBar": False},
        alt=f"Bars of the change from clean. {words}.",
    )
