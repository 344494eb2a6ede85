"""The controls, and how they, the session and the URL stay in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import streamlit as st

from core.certificates.methods import METHODS
from core.vae.threat import SIDES
from dashboard.addresses import sync
from dashboard.addresses.digit import own_name
from dashboard.addresses.explorer import (
    MOST_DRAWS,
    MOST_NATS,
    MOST_RESTARTS,
    MOST_SEED,
    MOST_STEPS,
    OFFERED,
    SCALES,
    STATED,
    Scale,
    State,
    default_state,
    parse,
    to_params,
)
from dashboard.addresses.reader import Message
from dashboard.addresses.sync import touch
from dashboard.explorer.stage import view as stage
from dashboard.shared import common_controls, compute, image_picker, own_images
from dashboard.shared.text import ATTACK_LABELS, HELP, METHOD_LABELS, SIDE_LABELS, STATES_LABELS, help_on

OWN, COMMON = "5 % quantile of each model", "The same for both"
_NAMES = (
    *("left", "right", "index", "upto", "method", "states"),
    *("target", "attack", "norm", "steps", "restarts", "draws", "seed", "side"),
)


def restore(models: Sequence[str]) -> list[Message]:
    """Take over the URL; what it said that was wrong."""
    return sync.restore(sync.EXPLORER, partial(parse, models=models, own=own_images.images()), _write)


def publish(state: State, models: Sequence[str]) -> None:
    """Write the state to the URL."""
    sync.publish(sync.EXPLORER, to_params(state, models))


def read(models: Sequence[str]) -> tuple[State, list[Message]]:
    """The state that the controls show, checked again: a browser can send anything."""
    session = st.session_state
    values = {name: str(session[name]) for name in _NAMES} | {"eps": str(session["eps"])}
    if session["kind"] == COMMON:
        values["threshold"] = str(session["threshold"])
    if session["own"]:
        values["own"] = session["own"]
    return parse(values, models, own_images.images())


def sidebar(models: Sequence[str], labels: np.ndarray) -> None:
    """Everything but eps."""
    with st.sidebar:
        image_picker.choose(labels)
        _models(models)
        side = _side()
        words = help_on(side)
        common_controls.question("target", side=side)
        common_controls.limit("norm", _change_norm)
        for key, label, options, names in (
            ("attack", "Attack", OFFERED[side], ATTACK_LABELS),
            ("method", "Proof", METHODS, METHOD_LABELS),
            ("states", "What is proved", STATED[side], STATES_LABELS),
        ):
            st.selectbox(
                label, options, key=key, format_func=names.__getitem__, help=words[key], on_change=touch
            )
        _threshold()
        with st.expander("More settings"):
            _more()
        common_controls.foot(_reset, models)


def answer(models: Sequence[str]) -> None:
    """The stage asks for something: take it over."""
    asked = stage.asked(models, _scale().most)
    for name in ("eps", "index", "left", "right"):
        if (value := getattr(asked, name)) is not None:
            _set(name, value)
    if asked.index is not None:
        st.session_state["own"] = ""


def chart_range() -> None:
    """How far the chart goes."""
    st.segmented_control(
        "Chart up to eps", _scale().ranges, key="upto", required=True, help=HELP["upto"], on_change=touch
    )


def _models(models: Sequence[str]) -> None:
    names = compute.labels(tuple(models))
    for side, title in (("left", ":orange[●] Left model"), ("right", ":blue[●] Right model")):
        st.selectbox(
            title, models, key=side, format_func=names.__getitem__, help=HELP["model"], on_change=touch
        )


def _side() -> str:
    """Which way the adversary goes."""
    st.segmented_control(
        "What the adversary does to the ELBO",
        SIDES,
        key="side",
        required=True,
        format_func=SIDE_LABELS.__getitem__,
        help=HELP["side"],
        on_change=_change_side,
    )
    return st.session_state["side"]


def _threshold() -> None:
    session = st.session_state
    words = help_on(session["side"])
    st.radio("Threshold", (OWN, COMMON), key="kind", help=words["threshold"], on_change=touch)
    if session["kind"] == COMMON:
        st.number_input(
            "Threshold in nats",
            -MOST_NATS,
            MOST_NATS,
            step=10.0,
            format="%.6g",
            key="threshold",
            help=HELP["nats"],
            on_change=touch,
        )


def _more() -> None:
    session = st.session_state
    session["eps_box"] = float(session["eps"])
    scale = _scale()
    st.number_input(
        f"Exact eps (0 to {scale.most:g})",
        0.0,
        scale.most,
        step=scale.step / 10,
        format="%.6g",
        key="eps_box",
        help=HELP["eps"],
        on_change=_take,
        args=("eps", lambda: session["eps_box"]),
    )
    one_step = session["attack"] == "fgsm"
    st.number_input("Draws", 1, MOST_DRAWS, key="draws", help=HELP["draws"], on_change=touch)
    st.number_input(
        "Steps of the attack",
        1,
        MOST_STEPS,
        key="steps",
        help=HELP["steps"],
        on_change=touch,
        disabled=one_step,
    )
    st.number_input(
        "Restarts of the attack",
        1,
        MOST_RESTARTS,
        key="restarts",
        help=HELP["restarts"],
        on_change=touch,
        disabled=one_step,
    )
    st.number_input("Seed", 0, MOST_SEED, key="seed", help=HELP["seed"], on_change=touch)


def _write(state: State) -> None:
    session = st.session_state
    values = vars(state) | vars(state.settings)
    for name in _NAMES:
        session[name] = values[name]
    session["own"] = own_name(state.own) if state.own else ""
    session["eps"] = state.eps
    session["kind"] = OWN if state.threshold is None else COMMON
    session["threshold"] = -150.0 if state.threshold is None else state.threshold


def _scale() -> Scale:
    return SCALES[st.session_state["norm"]]


def _change_norm() -> None:
    """An eps of one norm means nothing in the other."""
    st.session_state["eps"], st.session_state["upto"] = _scale().eps, _scale().upto
    touch()


def _change_side() -> None:
    """What there is for one side only goes back to what there is for both."""
    session = st.session_state
    for name, offered in (("attack", OFFERED), ("states", STATED)):
        if session[name] not in offered[session["side"]]:
            session[name] = offered[session["side"]][0]
    touch()


def _set(name: str, value: object) -> None:
    st.session_state[name] = value
    touch()


def _take(name: str, value: Callable[[], object]) -> None:
    _set(name, value())


def _reset(models: Sequence[str]) -> None:
    _write(default_state(models))
    touch()
