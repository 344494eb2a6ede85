"""Arrays -> PNG, pixel for pixel."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

_BLUE, _WHITE, _RED = np.array([[33, 102, 172], [247, 247, 247], [178, 24, 43]], dtype=float)


def grey(image: np.ndarray, scale: int = 10) -> bytes:
    """An image (H, W) in [0, 1], 0 black and 1 white: the same scale for every image."""
    return _png(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8), scale)


def diverging(change: np.ndarray, most: float, scale: int = 10) -> bytes:
    """A signed image (H, W): -most blue, 0 white, +most red."""
    return _png(_colours(np.clip(change / most if most > 0 else np.zeros_like(change), -1, 1)), scale)


def palette(steps: int) -> np.ndarray:
    """The colours of `diverging` from -most to +most: (2 steps + 1, 3) uint8."""
    return _colours(np.arange(-steps, steps + 1) / steps)


def in_markdown(image: np.ndarray, alt: str) -> str:
    """A small picture as Markdown, for the label of a choice."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(grey(image, scale=2)).decode()})"


def _colours(share: np.ndarray) -> np.ndarray:
    end = np.where(share[..., None] < 0, _BLUE, _RED)
    return np.round(_WHITE + (end - _WHITE) * np.abs(share)[..., None]).astype(np.uint8)


def _png(pixels: np.ndarray, scale: int) -> bytes:
    """Enlarged without smoothing: the browser would smooth a small image."""
    big = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(big).save(buffer, format="PNG")
    return buffer.getvalue()
