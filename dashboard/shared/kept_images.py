"""The browser keeps a visitor's own images, and is asked for them when a session lacks one."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import streamlit as st
from streamlit.components.v2 import component

from dashboard.shared.frontend import source
from dashboard.shared.unseen import unseen

IMAGES, FORGOTTEN = "own images", "own images forgotten"
"""In the session: pixels by name, and how often all of them were forgotten."""
MOST_IMAGES = 8
"""Kept of one visitor; the oldest goes."""
KEY, ALL = "kept-images", "*"
_kept = component("elbo_kept_images", js=source(Path(__file__).parent, "kept_images.js"))


def show(all_of_them: bool) -> None:
    """Give the browser what the session has, and ask it for what that lacks: the image that the address
    names, or, for a page that lists them, any. Imports nothing that a first frame would wait for."""
    has = st.session_state.get(IMAGES, {})
    named = st.query_params.get("own", "")
    want = named if named and named not in has else ALL if all_of_them and not has else ""
    data = {
        "keep": {name: base64.b64encode(pixels).decode() for name, pixels in has.items()},
        "most": MOST_IMAGES,
        "forget": st.session_state.get(FORGOTTEN, 0),
        "want": want,
    }
    with unseen():
        _kept(key=KEY, data=data, on_images_change=_take)


def checked(sent: object, sizes: frozenset[int]) -> list[bytes]:
    """The pixels of each image that was sent, as far as they are some. sizes: how many numbers an image
    has."""
    import numpy as np  # late on purpose, see `show`

    found = list[bytes]()
    for text in sent[-MOST_IMAGES:] if isinstance(sent, list) else ():
        # The length first: whatever is longer than the largest image is not even decoded.
        if not isinstance(text, str) or len(text) not in {4 * -(-4 * size // 3) for size in sizes}:
            continue
        try:
            pixels = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(pixels) not in {4 * size for size in sizes}:
            continue
        values = np.frombuffer(pixels, np.float32)
        # False for NaN, too.
        if bool(((values >= 0) & (values <= 1)).all()):
            found.append(pixels)
    return found


def _take() -> None:
    """The browser sends images, as anyone may have written them: the address is read once more."""
    # Late on purpose: these bring torch.
    from dashboard.addresses import sync
    from dashboard.shared import own_images

    found = checked(st.session_state[KEY].images, own_images.sizes())
    for pixels in found:
        own_images.keep(pixels)
    if found:
        sync.again()
