"""The page to draw on: a component of the browser, and what it sends, checked."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.components.v2 import component

from dashboard.own.strokes import MOST_POINTS, PEN, Strokes, check_strokes
from dashboard.shared import own_text as text

_KEPT = "own strokes"


def _file(kind: str) -> str:
    return Path(__file__).with_name(f"draw.{kind}").read_text("utf-8")


_pad = component("elbo_draw", html=_file("html"), css=_file("css"), js=_file("js"))


def draw() -> Strokes:
    """The page to draw on, and what is on it. Raises InputError for what no pen of ours sends."""
    session = st.session_state
    data = {"strokes": session.get(_KEPT, []), "pen": PEN, "most": MOST_POINTS, "label": text.PAD}
    sent = _pad(key="pad", data=data, default={"strokes": data["strokes"]}, on_strokes_change=_nothing)
    strokes = check_strokes(sent.strokes)
    # For when this page is opened again.
    session[_KEPT] = [list(map(list, line)) for line in strokes]
    return strokes


def _nothing() -> None:
    """A change runs the page again; there is nothing else to do."""
