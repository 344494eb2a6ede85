"""Which digit a page shows: a shipped one, or an image of one's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from dashboard.addresses.sync import touch
from dashboard.shared import compute, destinations, own_images, own_text
from dashboard.shared.controls import Controls

THUMBNAILS = 10


def choose(controls: Controls[Any], labels: np.ndarray) -> None:
    """Controls for which digit is shown, by its class, its number, or of one's own."""
    index, own = int(controls.get("index")), controls.get("own")
    if own_images.images():
        _own(controls)

    def takes(number: Callable[[], object]) -> Callable[[], None]:
        return lambda: _shipped(controls, number())

    controls.put("digit", None if own else int(labels[index]))
    st.pills(
        "Digit",
        list(range(10)),
        key=controls.key("digit"),
        required=True,
        on_change=takes(lambda: int(np.flatnonzero(labels == controls.get("digit"))[0])),
    )
    same = np.flatnonzero(labels == labels[index])
    controls.put("which", None if own else index)
    first = max(0, min(int(np.searchsorted(same, index)) - THUMBNAILS // 2, len(same) - THUMBNAILS))
    st.pills(
        f"Which {labels[index]}",
        [int(i) for i in same[first : first + THUMBNAILS]],
        key=controls.key("which"),
        required=True,
        format_func=compute.thumbnail,
        on_change=takes(lambda: controls.get("which")),
    )
    after, other = int(same[(np.searchsorted(same, index) + 1) % len(same)]), random.randrange(len(labels))
    with st.container(horizontal=True):
        st.button(f"Next {labels[index]}", on_click=takes(lambda: after))
        st.button("Random", on_click=takes(lambda: other))
    controls.number("index", step=1, on_change=takes(lambda: controls.get("index")))
    st.page_link(destinations.OWN, label=destinations.TO_OWN, icon=":material/draw:")


def _own(controls: Controls[Any]) -> None:
    """The images of this session beside the shipped ones."""
    thumbnails = own_images.thumbnails()
    controls.put("mine", controls.get("own") or None)
    st.pills(
        own_text.YOURS,
        list(thumbnails),
        key=controls.key("mine"),
        required=True,
        format_func=thumbnails.__getitem__,
        help=own_text.YOURS_HELP,
        on_change=lambda: controls.set("own", controls.get("mine")),
    )


def _shipped(controls: Controls[Any], index: object) -> None:
    """A shipped digit was chosen, in place of an image of one's own if that is shown."""
    controls.put("index", index)
    controls.put("own", "")
    touch()
