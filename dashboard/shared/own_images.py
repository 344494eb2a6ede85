"""A visitor's own images: in the memory of a browser session, and in the storage of the visitor's browser,
nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import streamlit as st

from core.vae.model_images import SHIPPED
from dashboard.addresses import models
from dashboard.addresses.digit import Digit, fits, own_name
from dashboard.addresses.kinds import Shape, Source, kinds
from dashboard.shared import own_text as text
from dashboard.shared.images import in_markdown, pictures
from dashboard.shared.kept_images import FORGOTTEN, IMAGES, MOST_IMAGES


def images(shape: Shape | None = None) -> Mapping[str, bytes]:
    """Pixels of each image by the name that addresses call it, see `Digit`; oldest first. shape: those of
    this (C, H, W) alone."""
    kept = st.session_state.get(IMAGES, {})
    return {name: p for name, p in kept.items() if shape is None or fits(p, Source(shape=shape))}


def add(image: np.ndarray) -> str:
    """Keep an image, (H, W) or (C, H, W), in [0, 1]; its name."""
    return keep(image.astype(np.float32).tobytes())


def keep(pixels: bytes) -> str:
    """The same for its pixels."""
    name = own_name(pixels)
    kept = {key: value for key, value in images().items() if key != name}
    st.session_state[IMAGES] = dict([*kept.items(), (name, pixels)][-MOST_IMAGES:])
    return name


def clear() -> None:
    """Forget all of them, here and in the browser."""
    st.session_state[IMAGES] = {}
    st.session_state[FORGOTTEN] = st.session_state.get(FORGOTTEN, 0) + 1


def sizes() -> frozenset[int]:
    """How many numbers the images of the models have that there are."""
    shapes = {SHIPPED, *(kind.shape for kind in kinds(models.available()).values())}
    return frozenset(map(math.prod, shapes))


def picture(pixels: bytes, shape: Shape = SHIPPED) -> np.ndarray:
    """The picture of an image, see `shared.images`."""
    return pictures(Digit(pixels=pixels, source=Source(shape=shape)).image())[0]


def thumbnails(shape: Shape = SHIPPED) -> dict[str, str]:
    """The images as Markdown, for the labels of a choice. No cache: it would outlive the session."""
    return {
        name: in_markdown(picture(pixels, shape), text.image_alt(number))
        for number, (name, pixels) in enumerate(images(shape).items(), 1)
    }
