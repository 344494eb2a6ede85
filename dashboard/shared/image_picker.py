"""Which image a page shows: a shipped one, one of a model's own, or an image of a visitor's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from core.data.image_sets import ImageSet
from dashboard.addresses.kinds import SHIPPED_IMAGES, USUAL_DATASET, Source
from dashboard.addresses.sync import touch
from dashboard.shared import compute, destinations, own_images, own_text, upload
from dashboard.shared.controls import Controls

THUMBNAILS = 10


def choose(controls: Controls[Any], found: ImageSet, source: Source) -> None:
    """Controls for which image of a source is shown, by its class, its number, or of one's own."""
    index, own = int(controls.get("index")), controls.get("own")
    if own_images.images(source.shape):
        _own(controls, source)
    labels = found.y.numpy()
    same = np.flatnonzero(labels == labels[index])

    def takes(number: Callable[[], object]) -> Callable[[], None]:
        return lambda: _shipped(controls, number())

    if found.classes:
        controls.put("digit", None if own else int(labels[index]))
        st.pills(
            "Digit" if source == SHIPPED_IMAGES else "Class",
            [place for place in range(len(found.classes)) if (labels == place).any()],
            key=controls.key("digit"),
            required=True,
            format_func=found.classes.__getitem__,
            on_change=takes(lambda: int(np.flatnonzero(labels == controls.get("digit"))[0])),
        )
    name = found.name_of(index) or "image"
    controls.put("which", None if own else index)
    first = max(0, min(int(np.searchsorted(same, index)) - THUMBNAILS // 2, len(same) - THUMBNAILS))
    thumbnails = {int(i): compute.thumbnail(source, int(i)) for i in same[first : first + THUMBNAILS]}
    st.pills(
        f"Which {name}",
        list(thumbnails),
        key=controls.key("which"),
        required=True,
        format_func=thumbnails.__getitem__,  # it is asked several times for each
        on_change=takes(lambda: controls.get("which")),
    )
    after, other = int(same[(np.searchsorted(same, index) + 1) % len(same)]), random.randrange(len(labels))
    with st.container(horizontal=True):
        st.button(f"Next {name}", on_click=takes(lambda: after))
        st.button("Random", on_click=takes(lambda: other))
    controls.number("index", step=1, on_change=takes(lambda: controls.get("index")))
    if source.shape == SHIPPED_IMAGES.shape and source.dataset in ("", USUAL_DATASET):
        st.page_link(destinations.OWN, label=destinations.TO_OWN, icon=":material/draw:")
    else:
        upload.offer(controls, source.shape)


def _own(controls: Controls[Any], source: Source) -> None:
    """The images of this session beside those of the source."""
    thumbnails = own_images.thumbnails(source.shape)
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
    """An image of the source was chosen, in place of an image of one's own if that is shown."""
    controls.put("index", index)
    controls.put("own", "")
    touch()
