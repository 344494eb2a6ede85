"""The presenter's few controls, and how they, the session and the URL stay in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from dashboard.addresses import sync
from dashboard.addresses.explorer import MOST_INDEX, State, parse, to_params
from dashboard.addresses.reader import Message
from dashboard.addresses.sync import touch
from dashboard.present import text
from dashboard.shared import compute, own_images
from dashboard.shared.text import EPS_LABELS, HELP

PAGE = "present"
_STATE = "present-state"


def restore(models: Sequence[str]) -> list[Message]:
    """Take over the URL, which is the explorer's; what it said that was wrong."""
    return sync.restore(PAGE, partial(parse, models=models, own=own_images.images()), _write)


def read() -> State:
    """What is shown; only this page's own callbacks change it, and they check what they take."""
    return st.session_state[_STATE]


def publish(state: State, models: Sequence[str]) -> None:
    sync.publish(PAGE, to_params(state, models))


def row(state: State, models: Sequence[str]) -> None:
    """The digit before and after, eps, both models."""
    session, scale = st.session_state, state.scale
    session["present-eps"] = min(state.eps, scale.grid[-1])
    session["present-left"], session["present-right"] = state.left, state.right
    names = compute.labels(tuple(models))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for label, by, icon in ((text.BEFORE, -1, "back"), (text.AFTER, 1, "forward")):
            there = replace(state, index=(state.index + by) % (MOST_INDEX + 1), own=b"")
            st.button(label, on_click=_go, args=(there,), icon=f":material/arrow_{icon}:")
        with st.container(width=320):
            st.slider(
                EPS_LABELS[state.settings.norm],
                0.0,
                scale.grid[-1],
                step=scale.step,
                format="%.6g",
                key="present-eps",
                help=HELP["eps"],
                on_change=_change(models, lambda: {"eps": str(round(session["present-eps"], 2))}),
            )
        for side, label in (("left", text.LEFT), ("right", text.RIGHT)):
            with st.container(width=240):
                st.selectbox(
                    label,
                    models,
                    key=f"present-{side}",
                    format_func=names.__getitem__,
                    on_change=_change(models, partial(_chosen, side)),
                )


def _chosen(side: str) -> dict[str, str]:
    return {side: str(st.session_state[f"present-{side}"])}


def _change(models: Sequence[str], values: Callable[[], dict[str, str]]) -> Callable[[], None]:
    """Take values in as an address would bring them: a browser can send anything."""

    def change() -> None:
        state = read()
        _go(parse(to_params(state, models) | values(), models, own_images.images())[0])

    return change


def _write(state: State) -> None:
    st.session_state[_STATE] = state


def _go(state: State) -> None:
    _write(state)
    touch()
