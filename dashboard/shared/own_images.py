"""A visitor's own images: in the memory of one browser session, nowhere else, and gone when it ends."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from dashboard.addresses.digit import Digit, own_name
from dashboard.shared import own_text as text
from dashboard.shared.images import in_markdown

MOST_IMAGES = 8
"""Kept of one visitor; the oldest goes."""
_KEY = "own images"


def images() -> Mapping[str, bytes]:
    """Pixels of each image by the name that addresses call it, see `Digit`; oldest first."""
    return st.session_state.get(_KEY, {})


def add(image: np.ndarray) -> str:
    """Keep an image (H, W) in [0, 1]; its name."""
    pixels = image.astype(np.float32).tobytes()
    name = own_name(pixels)
    kept = {key: value for key, value in images().items() if key != name}
    st.session_state[_KEY] = dict([*kept.items(), (name, pixels)][-MOST_IMAGES:])
    return name


def clear() -> None:
    """Forget all of them."""
    st.session_state[_KEY] = {}


def picture(pixels: bytes) -> np.ndarray:
    """(H, W) in [0, 1]."""
    return Digit(pixels=pixels).image()[0, 0].numpy()


def thumbnails() -> dict[str, str]:
    """The images as Markdown, for the labels of a choice. No cache: it would outlive the session."""
    return {
        name: in_markdown(picture(pixels), text.image_alt(number))
        for number, (name, pixels) in enumerate(images().items(), 1)
    }
