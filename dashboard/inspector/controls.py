"""The controls of this page, in step with the session and the URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import streamlit as st

from core.inspection import METHODS
from dashboard.addresses import sync
from dashboard.addresses.digit import own_name
from dashboard.addresses.explorer import MOST_SEED
from dashboard.addresses.inspect import MOST_DRAWS, RADII, Look, default_look, parse, to_params
from dashboard.addresses.reader import Message
from dashboard.addresses.sync import touch
from dashboard.inspector import text
from dashboard.inspector.compute import layout
from dashboard.shared import common_controls, compute, image_picker, own_images
from dashboard.shared.text import EPS_LABELS, HELP, METHOD_NAMES

PAGE = "inspect"
PREFIX = f"{PAGE}-"
FIELDS = (
    *("model", "index", "eps", "target", "norm", "draws", "seed"),
    *("layer", "draw", "bounds", "across", "up"),
)


def restore(models: Sequence[str]) -> list[Message]:
    """Take over the URL; what it said that was wrong."""
    read_ = partial(parse, models=models, layout=layout, own=own_images.images())
    return sync.restore(PAGE, read_, _write)


def publish(look: Look, models: Sequence[str]) -> None:
    """Write the state to the URL."""
    sync.publish(PAGE, to_params(look, models))


def read(models: Sequence[str]) -> tuple[Look, list[Message]]:
    """The state that the controls show, checked again: a browser can send anything."""
    session = st.session_state
    values = {field: str(session[key(field)]) for field in FIELDS}
    known = layout(session[key("model")])
    # What the last model or question had, and this one does not have, is no mistake of the visitor's.
    if values["layer"] not in known.layers:
        values.pop("layer")
    for field, most in (("draw", session[key("draws")]), ("across", known.latent), ("up", known.latent)):
        if not values[field].isdigit() or int(values[field]) > most:
            values.pop(field)
    if session[key("own")]:
        values["own"] = session[key("own")]
    look, messages = parse(values, models, layout, own_images.images())
    for field in ("layer", "draw", "across", "up"):
        session[key(field)] = getattr(look, field)
    return look, messages


def sidebar(models: Sequence[str], labels: np.ndarray) -> None:
    """Model, digit and question."""
    names, session = compute.labels(tuple(models)), st.session_state
    with st.sidebar:
        st.selectbox(
            "Model",
            models,
            key=key("model"),
            format_func=names.__getitem__,
            help=text.HELP["model"],
            on_change=touch,
        )
        image_picker.choose(labels, PREFIX)
        norm = session[key("norm")]
        st.select_slider(
            EPS_LABELS[norm],
            sorted({*RADII[norm], float(session[key("eps")])}),
            key=key("eps"),
            format_func=lambda eps: f"{eps:.6g}",
            help=HELP["eps"],
            on_change=touch,
        )
        common_controls.question(key("target"))
        with st.expander("More settings"):
            common_controls.limit(key("norm"), _change_norm)
            st.number_input("Draws", 1, MOST_DRAWS, key=key("draws"), help=HELP["draws"], on_change=touch)
            st.number_input("Seed", 0, MOST_SEED, key=key("seed"), help=HELP["seed"], on_change=touch)
        common_controls.foot(_reset, models)


def layer_choice(names: Mapping[str, str], look: Look, drawn: bool, pictured: bool) -> None:
    """Which layer, which draw if it has several, and whose bounds if they are pictures.

    names  layers by key.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Layer",
            list(names),
            key=key("layer"),
            format_func=names.__getitem__,
            on_change=touch,
            width=260,
        )
        if pictured:
            st.segmented_control(
                "Bounds by",
                METHODS,
                key=key("bounds"),
                required=True,
                format_func=METHOD_NAMES.__getitem__,
                help=text.HELP["bounds"],
                on_change=touch,
            )
        if drawn and look.question.draws > 1:
            st.segmented_control(
                "Noise draw",
                list(range(1, look.question.draws + 1)),
                key=key("draw"),
                required=True,
                help=text.HELP["draw"],
                on_change=touch,
            )


def plane_choice(latent: int, dims: tuple[int, int]) -> None:
    """The two dimensions of the latent plane."""
    with st.container(horizontal=True):
        for field, label, dim in (("across", "Across", dims[0]), ("up", "Up", dims[1])):
            st.selectbox(
                label,
                list(range(latent + 1)),
                key=key(field),
                format_func=partial(_dimension, dim=dim),
                on_change=touch,
                width=200,
            )


def _dimension(number: int, dim: int) -> str:
    return f"widest box (mu {dim + 1})" if number == 0 else f"mu {number}"


def _write(look: Look) -> None:
    session = st.session_state
    values = vars(look) | vars(look.question)
    for field in FIELDS:
        session[key(field)] = values[field]
    session[key("own")] = own_name(look.own) if look.own else ""


def _change_norm() -> None:
    """An eps of one norm means nothing in the other."""
    session = st.session_state
    session[key("eps")] = default_look([session[key("model")]], session[key("norm")]).question.eps
    touch()


def _reset(models: Sequence[str]) -> None:
    _write(default_look(models))
    touch()


def key(field: str) -> str:
    """The name of a control in the session."""
    return PREFIX + field
