"""A place for components that work and draw nothing."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

_PLACE = "unseen"


def open_place() -> None:
    """Make the place, first on every page: what is in it stays as it is from page to page."""
    st.session_state[_PLACE] = st.container(key=_PLACE)


def unseen() -> DeltaGenerator:
    """The place that this run of the page has."""
    return st.session_state[_PLACE]
