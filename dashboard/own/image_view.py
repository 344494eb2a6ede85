"""An image of one's own: draw it, or upload it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from core.data.digits import SIDE, like_mnist
from core.data.pictures import Page, read_page
from core.errors import CoreError
from core.vae.model_images import SHIPPED
from dashboard.addresses import looking
from dashboard.addresses.digit import own_name
from dashboard.addresses.kinds import kinds
from dashboard.own.draw import draw
from dashboard.own.strokes import render
from dashboard.shared import destinations, own_images
from dashboard.shared import own_text as text
from dashboard.shared.images import grey

PREVIEW = 196
"""Pixels on the screen, 7 for each of the image's."""


def show() -> None:
    drawing, file = st.columns(2, gap="medium", border=True)
    with drawing:
        st.header(text.DRAW, anchor=False, help=text.DRAW_HELP)
        _draw()
    with file:
        st.header(text.UPLOAD, anchor=False)
        _upload()
    st.caption(f"{text.KEPT_WHERE} {text.CERTIFICATE}")
    if own_images.images(SHIPPED):
        _kept(own_images.images(SHIPPED))


def _draw() -> None:
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=320):
            try:
                strokes = draw()
            except CoreError as error:
                st.error(str(error))
                return
        with st.container(width=PREVIEW):
            if strokes:
                _offer(like_mnist(render(strokes)), text.USE_DRAWING)
            else:
                st.caption(text.EMPTY)


def _upload() -> None:
    # By MIME type: names of files with other endings would end the page before it can say so.
    file = st.file_uploader(
        text.FILE, type=["image/png", "image/jpeg"], key="upload", max_upload_size=text.MOST_MB
    )
    if file is None:
        st.caption(text.NO_FILE)
        return
    try:
        content = file.getvalue()
        page = _page(content)
        with st.container(horizontal=True, gap="medium"):
            with st.container(width=PREVIEW):
                place = st.container()
            with st.container(width=300):
                # Another file has toggles of its own, which begin as it suggests.
                name = own_name(content)
                invert = st.toggle(
                    text.INVERT, page.dark_on_light, key=f"invert-{name}", help=text.INVERT_HELP
                )
                centre = st.toggle(text.CENTRE, not page.ready, key=f"centre-{name}", help=text.CENTRE_HELP)
        with place:
            _offer(page.digit(invert, centre), text.USE_IMAGE)
    except CoreError as error:
        st.error(str(error))


@st.cache_data(max_entries=1, show_spinner=False, scope="session")
def _page(content: bytes) -> Page:
    """The decoded file, in its visitor's session; large ones take half a second."""
    return read_page(content)


def _offer(ready: np.ndarray, label: str) -> None:
    """The image as it will be used, and the button that uses it."""
    alt = text.seen_alt(int((ready > 0.5).sum()))
    st.image(grey(ready, scale=2 * PREVIEW // SIDE), caption=text.SEEN, width=PREVIEW, alt=alt)
    if st.button(label, width="stretch"):
        _explore(own_images.add(ready))


def _explore(name: str) -> None:
    """Go on in the explorer with an image of one's own. Not by an address: Streamlit would write it to this
    page's before it leaves, a step of the browser's history that leads nowhere."""
    if any(kind.shape != SHIPPED for kind in kinds(looking.models()).values()):
        looking.forget_models()
    looking.look_at({"own": name})
    st.switch_page(destinations.EXPLORER)


def _kept(images: Mapping[str, bytes]) -> None:
    st.header(text.KEPT, anchor=False, help=text.YOURS_HELP)
    with st.container(horizontal=True, gap="small"):
        for number, (name, pixels) in enumerate(images.items(), 1):
            with st.container(width=84):
                st.image(grey(own_images.picture(pixels), scale=6), width=84, alt=text.image_alt(number))
                if st.button("Use", key=f"use-{name}", width="stretch"):
                    _explore(name)
    st.button(text.FORGET, on_click=own_images.clear, icon=":material/delete:")
