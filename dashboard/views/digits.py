"""Which digit the explorer shows: a shipped one, or an image of one's own."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import streamlit as st

from dashboard import compute
from dashboard.own import store
from dashboard.own import text as own_text
from dashboard.state import MOST_INDEX
from dashboard.text import HELP, OWN_PAGE
from dashboard.views.address import touch

THUMBNAILS = 10


def choose(labels: np.ndarray) -> None:
    """Controls for which digit is shown, by its class, its number, or of one's own."""
    session = st.session_state
    index, own = int(session["index"]), session["own"]
    if store.images():
        _own()
    session["digit"] = None if own else int(labels[index])
    st.pills(
        "Digit",
        list(range(10)),
        key="digit",
        required=True,
        on_change=_shipped,
        args=(lambda: int(np.flatnonzero(labels == session["digit"])[0]),),
    )
    same = np.flatnonzero(labels == labels[index])
    session["which"] = None if own else index
    first = max(0, min(int(np.searchsorted(same, index)) - THUMBNAILS // 2, len(same) - THUMBNAILS))
    st.pills(
        f"Which {labels[index]}",
        [int(i) for i in same[first : first + THUMBNAILS]],
        key="which",
        required=True,
        format_func=compute.thumbnail,
        on_change=_shipped,
        args=(lambda: session["which"],),
    )
    after, other = int(same[(np.searchsorted(same, index) + 1) % len(same)]), random.randrange(len(labels))
    with st.container(horizontal=True):
        st.button(f"Next {labels[index]}", on_click=_shipped, args=(lambda: after,))
        st.button("Random", on_click=_shipped, args=(lambda: other,))
    st.number_input(
        "Test image number",
        0,
        MOST_INDEX,
        step=1,
        key="index",
        help=HELP["index"],
        on_change=_shipped,
        args=(lambda: session["index"],),
    )
    st.page_link(OWN_PAGE, label=own_text.TO_OWN, icon=":material/draw:")


def _own() -> None:
    """The images of this session beside the shipped ones."""
    session, images = st.session_state, store.images()
    session["mine"] = session["own"] or None
    st.pills(
        own_text.YOURS,
        list(images),
        key="mine",
        required=True,
        format_func=store.thumbnail,
        help=own_text.YOURS_HELP,
        on_change=_mine,
    )


def _shipped(index: Callable[[], object]) -> None:
    """A shipped digit was chosen, in place of an image of one's own if that is shown."""
    session = st.session_state
    session["index"], session["own"] = index(), ""
    touch()


def _mine() -> None:
    st.session_state["own"] = st.session_state["mine"]
    touch()
