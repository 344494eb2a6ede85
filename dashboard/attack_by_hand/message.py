"""What the canvas sends, which anyone may have written."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from dashboard.addresses.kinds import Shape
from dashboard.addresses.paint import from_bytes
from dashboard.addresses.reader import to_number

CLEAN, FROM_MACHINE = "clean", "machine"
ORIGINS = (CLEAN, FROM_MACHINE)
"""What a painting was started from: what a machine found counts as no hand's."""
_MOST_SERIAL = 2**53


@dataclass(frozen=True)
class Message:
    """One look at the canvas.

    serial   the later, the larger. version: of the painting that was begun, see `Painting`.
    levels   (C, H, W), see `dashboard.addresses.paint`. done: whether the hand rests.
    eps      what the slider was moved to, None if it was not.
    """

    serial: int
    version: int
    levels: np.ndarray
    origin: str
    done: bool
    eps: float | None


def read_message(value: object, shape: Shape, most: float) -> Message | None:
    """A message about an image (C, H, W); None where nothing was sent. most: the largest eps there is.

    Raises InputError with a sentence for what no canvas of ours sends."""
    if value is None:
        return None
    sent = {str(key): part for key, part in value.items()} if isinstance(value, dict) else {}
    serial, version = (_whole(sent.get(name)) for name in ("serial", "version"))
    origin, done, eps = sent.get("origin"), sent.get("done"), sent.get("eps")
    levels = _levels(sent.get("levels"), shape)
    radius = to_number(repr(eps), 0, most) if type(eps) in (int, float) else None
    known = serial is not None and version is not None and origin in ORIGINS and isinstance(done, bool)
    if not known or levels is None or (eps is not None and radius is None):
        size = " x ".join(map(str, shape))
        raise InputError(
            f"What arrived is no painting of {size} values from this page. Reload the page; the last "
            "painting that arrived is kept."
        )
    assert serial is not None
    assert version is not None
    return Message(serial, version, levels, str(origin), bool(done), radius)


def _whole(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_SERIAL else None


def _levels(text: object, shape: Shape) -> np.ndarray | None:
    """Levels from base64; the length is looked at before anything is decoded."""
    size = 2 * int(np.prod(shape))
    if not isinstance(text, str) or len(text) != 4 * -(-size // 3):
        return None
    try:
        return from_bytes(base64.b64decode(text, validate=True), shape)
    except (binascii.Error, ValueError):
        return None
