"""Arrays -> PNG, pixel for pixel."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SCALE = 10
_BLUE, _WHITE, _RED = np.array([[33, 102, 172], [247, 247, 247], [178, 24, 43]], dtype=float)


def grey(image: np.ndarray) -> bytes:
    """An image (H, W) in [0, 1], 0 black and 1 white: the same scale for every image."""
    return _png(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))


def diverging(change: np.ndarray, most: float) -> bytes:
    """A signed image (H, W): -most blue, 0 white, +most red."""
    share = np.clip(change / most if most > 0 else np.zeros_like(change), -1, 1)[..., None]
    end = np.where(share < 0, _BLUE, _RED)
    return _png(np.round(_WHITE + (end - _WHITE) * np.abs(share)).astype(np.uint8))


def _png(pixels: np.ndarray) -> bytes:
    """Enlarged without smoothing: the browser would smooth a small image."""
    big = pixels.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(big).save(buffer, format="PNG")
    return buffer.getvalue()
