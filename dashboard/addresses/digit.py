"""The image a page is about: one that is shipped, or a visitor's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
import streamlit as st
import torch

import core
from dashboard.addresses.models import stamped

OWN_ENTRIES = 64
"""Results kept of the images of one visitor's own."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Digit:
    """Number `index` of the shipped digits, unless there are `pixels`: a visitor's own image, (H, W)
    float32 values in [0, 1], row by row. Part of cache keys."""

    index: int = 0
    pixels: bytes = b""

    @property
    def name(self) -> str:
        """For file names."""
        return f"own-{own_name(self.pixels)}" if self.pixels else str(self.index)

    def image(self) -> torch.Tensor:
        """(1, 1, H, W)."""
        if not self.pixels:
            return core.load_samples("mnist")[0][self.index : self.index + 1]
        values = np.frombuffer(self.pixels, dtype=np.float32).copy()
        side = round(len(values) ** 0.5)
        return torch.from_numpy(values).view(1, 1, side, side)


def own_name(pixels: bytes) -> str:
    """What an address calls an image that it cannot hold."""
    return hashlib.sha256(pixels).hexdigest()[:12]


def cached(
    entries: int,
) -> Callable[[Callable[Concatenate[str, Digit, P], T]], Callable[Concatenate[str, Digit, P], T]]:
    """Cache of a function of a model and a digit, as `stamped`: one for all visitors, and one in each
    visitor's session for images of one's own, which nobody else can reach and which end with it."""

    def decorate(work: Callable[Concatenate[str, Digit, P], T]) -> Callable[Concatenate[str, Digit, P], T]:
        shared = stamped(st.cache_data(max_entries=entries, show_spinner=False))(work)
        private = stamped(st.cache_data(max_entries=OWN_ENTRIES, show_spinner=False, scope="session"))(work)

        def call(name: str, digit: Digit, *args: P.args, **kwargs: P.kwargs) -> T:
            return (private if digit.pixels else shared)(name, digit, *args, **kwargs)

        return call

    return decorate
