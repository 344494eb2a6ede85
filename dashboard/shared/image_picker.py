"""Which digit a page shows: a shipped one, or an image of one's own."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import streamlit as st

from dashboard.addresses.explorer import MOST_INDEX
from dashboard.addresses.sync import touch
from dashboard.shared import compute, destinations, own_images, own_text
from dashboard.shared.text import HELP

THUMBNAILS = 10


def choose(labels: np.ndarray, prefix: str = "") -> None:
    """Controls for which digit is shown, by its class, its number, or of one's own.

    prefix  of their keys in the session: each page has its own.
    """
    session = st.session_state
    index, own = int(session[prefix + "index"]), session[prefix + "own"]
    if own_images.images():
        _own(prefix)
    session[prefix + "digit"] = None if own else int(labels[index])
    st.pills(
        "Digit",
        list(range(10)),
        key=prefix + "digit",
        required=True,
        on_change=_shipped,
        args=(
            prefix,
            lambda: int(np.flatnonzero(labels == session[prefix + "digit"])[0]),
        ),
    )
    same = np.flatnonzero(labels == labels[index])
    session[prefix + "which"] = None if own else index
    first = max(0, min(int(np.searchsorted(same, index)) - THUMBNAILS // 2, len(same) - THUMBNAILS))
    st.pills(
        f"Which {labels[index]}",
        [int(i) for i in same[first : first + THUMBNAILS]],
        key=prefix + "which",
        required=True,
        format_func=compute.thumbnail,
        on_change=_shipped,
        args=(
            prefix,
            lambda: session[prefix + "which"],
        ),
    )
    after, other = int(same[(np.searchsorted(same, index) + 1) % len(same)]), random.randrange(len(labels))
    with st.container(horizontal=True):
        st.button(
            f"Next {labels[index]}",
            on_click=_shipped,
            args=(
                prefix,
                lambda: after,
            ),
        )
        st.button(
            "Random",
            on_click=_shipped,
            args=(
                prefix,
                lambda: other,
            ),
        )
    st.number_input(
        "Test image number",
        0,
        MOST_INDEX,
        step=1,
        key=prefix + "index",
        help=HELP["index"],
        on_change=_shipped,
        args=(
            prefix,
            lambda: session[prefix + "index"],
        ),
    )
    st.page_link(destinations.OWN, label=destinations.TO_OWN, icon=":material/draw:")


def _own(prefix: str) -> None:
    """The images of this session beside the shipped ones."""
    session, thumbnails = st.session_state, own_images.thumbnails()
    session[prefix + "mine"] = session[prefix + "own"] or None
    st.pills(
        own_text.YOURS,
        list(thumbnails),
        key=prefix + "mine",
        required=True,
        format_func=thumbnails.__getitem__,
        help=own_text.YOURS_HELP,
        on_change=_mine,
        args=(prefix,),
    )


def _shipped(prefix: str, index: Callable[[], object]) -> None:
    """A shipped digit was chosen, in place of an image of one's own if that is shown."""
    session = st.session_state
    session[prefix + "index"], session[prefix + "own"] = index(), ""
    touch()


def _mine(prefix: str) -> None:
    session = st.session_state
    session[prefix + "own"] = session[prefix + "mine"]
    touch()
