"""What a visitor painted over an image, as text of an address that anyone may have written."""

from __future__ import annotations

import base64
import binascii
import math
import re
import zlib
from dataclasses import dataclass

import numpy as np

from dashboard.addresses.kinds import SHIPPED_IMAGES, Shape
from dashboard.addresses.settings import Seen, Setting

UNITS = 2**14
"""Steps from black to white: a painting is a change of each value in these, int16."""
MOST_TEXT = 12_000
"""Characters; a painting that needs more has no place in an address."""
_LEVEL = np.dtype("<i2")


def nothing(shape: Shape) -> np.ndarray:
    """An image (C, H, W) that nobody has painted on."""
    return np.zeros(shape, _LEVEL)


def from_bytes(raw: bytes, shape: Shape) -> np.ndarray | None:
    """Levels (C, H, W) in [-UNITS, UNITS]; None for another size, or where one of them is beyond."""
    if len(raw) != _LEVEL.itemsize * math.prod(shape):
        return None
    levels = np.frombuffer(raw, _LEVEL).reshape(shape)
    return levels if bool((np.abs(levels.astype(int)) <= UNITS).all()) else None


def encode(levels: np.ndarray) -> str:
    """The text of a painting; "" for one without paint, or one whose text would be too long."""
    if not levels.any():
        return ""
    text = base64.urlsafe_b64encode(zlib.compress(levels.astype(_LEVEL).tobytes(), 9)).decode().rstrip("=")
    return text if len(text) <= MOST_TEXT else ""


def decode(text: str, shape: Shape) -> np.ndarray | None:
    """The painting of a text; None for one that `encode` would not write for an image of this shape."""
    if not text:
        return nothing(shape)
    if len(text) > MOST_TEXT or not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        return None
    most, inflate = _LEVEL.itemsize * math.prod(shape), zlib.decompressobj()
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        raw = inflate.decompress(packed, most + 1)
    except (binascii.Error, zlib.error):
        return None
    whole = inflate.eof and not inflate.unused_data
    return from_bytes(raw, shape) if whole else None


@dataclass(frozen=True, kw_only=True)
class Paint(Setting):
    """A painting, as its text. It is read after the source of the images."""

    default: str = ""
    used: str = "the image as it is"

    def read(self, text: str, seen: Seen) -> str | None:
        levels = decode(text, seen.get("source", SHIPPED_IMAGES).shape)
        return None if levels is None else encode(levels)

    def must(self, text: str, seen: Seen) -> str:
        size = " x ".join(map(str, seen.get("source", SHIPPED_IMAGES).shape))
        return f"it must be a painting of {size} values, as this page writes it; copy the whole link."
