"""Arrays -> PNG, pixel for pixel. A picture is (H, W), grey, or (H, W, 3), in colour."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from torch import Tensor

_BLUE, _WHITE, _RED = np.array([[33, 102, 172], [247, 247, 247], [178, 24, 43]], dtype=float)


def pictures(x: Tensor) -> np.ndarray:
    """Images (B, C, H, W) as pictures (B, H, W), or (B, H, W, 3) where they have colours."""
    return (x[:, 0] if x.shape[1] == 1 else x.movedim(1, -1)).numpy()


def grey(image: np.ndarray, scale: int = 10) -> bytes:
    """A picture in [0, 1], 0 black and 1 white: the same scale for every image."""
    return _png(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8), scale)


def diverging(change: np.ndarray, most: float, scale: int = 10) -> bytes:
    """A signed image (H, W): -most blue, 0 white, +most red."""
    return _png(_colours(np.clip(change / most if most > 0 else np.zeros_like(change), -1, 1)), scale)


def palette(steps: int) -> np.ndarray:
    """The colours of `diverging` from -most to +most: (2 steps + 1, 3) uint8."""
    return _colours(np.arange(-steps, steps + 1) / steps)


def enlarged(image: np.ndarray, pixels: int) -> bytes:
    """A picture about so many pixels high, by a whole factor."""
    return grey(image, scale=max(1, round(pixels / image.shape[0])))


def in_markdown(image: np.ndarray, alt: str) -> str:
    """A small picture as Markdown, for the label of a choice; of a large one every so many pixels."""
    image = image[:: max(1, image.shape[0] // 56), :: max(1, image.shape[1] // 56)]
    return f"![{alt}](data:image/png;base64,{base64.b64encode(enlarged(image, 56)).decode()})"


def _colours(share: np.ndarray) -> np.ndarray:
    end = np.where(share[..., None] < 0, _BLUE, _RED)
    return np.round(_WHITE + (end - _WHITE) * np.abs(share)[..., None]).astype(np.uint8)


def _png(pixels: np.ndarray, scale: int) -> bytes:
    """Enlarged without smoothing: the browser would smooth a small image."""
    big = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(big).save(buffer, format="PNG")
    return buffer.getvalue()
