"""Which digit is compared, and which is held beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from dashboard import compute
from dashboard.compare.session import get, key, put, set_, take
from dashboard.compare.state import Comparison
from dashboard.own import store
from dashboard.own import text as own_text
from dashboard.state import MOST_INDEX
from dashboard.text import HELP


def choose(comparison: Comparison, labels: Sequence[int]) -> None:
    index, own, array = comparison.asked.index, get("own"), np.asarray(labels)
    if thumbnails := store.thumbnails():
        put("mine", own or None)
        st.pills(
            own_text.YOURS,
            list(thumbnails),
            key=key("mine"),
            required=True,
            format_func=thumbnails.__getitem__,
            help=own_text.YOURS_HELP,
            on_change=take,
            args=("own", lambda: get("mine")),
        )
    put("class", None if own else labels[index])
    st.pills(
        "Digit",
        list(range(10)),
        key=key("class"),
        required=True,
        on_change=_shipped,
        args=(lambda: int(np.flatnonzero(array == get("class"))[0]),),
    )
    same = np.flatnonzero(array == labels[index])
    put("which", None if own else index)
    first = max(0, min(int(np.searchsorted(same, index)) - 5, len(same) - 10))
    st.pills(
        f"Which {labels[index]}",
        [int(i) for i in same[first : first + 10]],
        key=key("which"),
        required=True,
        format_func=compute.thumbnail,
        on_change=_shipped,
        args=(lambda: get("which"),),
    )
    st.number_input(
        "Test image number",
        0,
        MOST_INDEX,
        step=1,
        key=key("index"),
        help=HELP["index"],
        on_change=_shipped,
        args=(lambda: get("index"),),
    )
    with st.container(horizontal=True):
        if comparison.against != index and not own:
            st.button(
                "Pin this digit",
                on_click=set_,
                args=("against", index),
                icon=":material/keep:",
                help="The digit stays, and the one that you choose next is held beside it.",
            )
        if comparison.against is not None:
            st.button("Unpin", on_click=set_, args=("against", None), icon=":material/keep_off:")


def _shipped(index: Callable[[], object]) -> None:
    """A shipped digit was chosen, in place of an image of one's own if that is shown."""
    put("own", "")
    set_("index", index())
