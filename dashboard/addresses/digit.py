"""The image a page is about: one that is shipped, one of a model's own, or a visitor's own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
import streamlit as st
import torch

import core
from core.data.image_sets import ImageSet
from core.errors import CoreError
from core.vae.model_images import load_image_set
from dashboard.addresses import models, session_models
from dashboard.addresses.kinds import SHIPPED_IMAGES, Source
from dashboard.addresses.models import stamped

MOST_INDEX = 499
"""Of the shipped images."""

OWN_ENTRIES = 64
"""Results kept of the images of one visitor's own."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Digit:
    """Number `index` of the images of a source, unless there are `pixels`: a visitor's own image, float32
    values in [0, 1] of the source's shape (C, H, W), row by row. Part of cache keys."""

    index: int = 0
    pixels: bytes = b""
    source: Source = SHIPPED_IMAGES

    @property
    def name(self) -> str:
        """For file names."""
        return f"own-{own_name(self.pixels)}" if self.pixels else str(self.index)

    def image(self) -> torch.Tensor:
        """(1, C, H, W). Raises CoreError where the source's images cannot be read."""
        if not self.pixels:
            return images(self.source).x[self.index : self.index + 1]
        values = np.frombuffer(self.pixels, dtype=np.float32).copy()
        return torch.from_numpy(values).view(1, *self.source.shape)


@st.cache_resource(max_entries=8, show_spinner=False)
def images(source: Source) -> ImageSet:
    """The images of a source; shared by all sessions, so nobody may change them. Raises CoreError."""
    if not source.model:
        return load_image_set(source.dataset)
    return core.load_images(models.folder(source.model))


def last_index(source: Source) -> int:
    """The largest number of an image; that of the shipped ones where there are none: a page will say so."""
    try:
        return len(images(source).x) - 1
    except CoreError:
        return MOST_INDEX


def fits(pixels: bytes, source: Source) -> bool:
    """Whether a visitor's own image has the shape of a source's."""
    return len(pixels) == 4 * math.prod(source.shape)


def own_name(pixels: bytes) -> str:
    """What an address calls an image that it cannot hold."""
    return hashlib.sha256(pixels).hexdigest()[:12]


def cached(
    entries: int,
) -> Callable[[Callable[Concatenate[str, Digit, P], T]], Callable[Concatenate[str, Digit, P], T]]:
    """Cache of a function of a model and a digit, as `stamped`: one for all visitors, and one in each
    visitor's session for images and models of one's own, which nobody else can reach and which end with
    it."""

    def decorate(work: Callable[Concatenate[str, Digit, P], T]) -> Callable[Concatenate[str, Digit, P], T]:
        shared = stamped(st.cache_data(max_entries=entries, show_spinner=False))(work)
        private = stamped(st.cache_data(max_entries=OWN_ENTRIES, show_spinner=False, scope="session"))(work)

        def call(name: str, digit: Digit, *args: P.args, **kwargs: P.kwargs) -> T:
            own = digit.pixels or session_models.is_brought(name)
            return (private if own else shared)(name, digit, *args, **kwargs)

        return call

    return decorate
