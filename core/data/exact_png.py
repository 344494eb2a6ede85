"""PNG files that are images pixel for pixel: nothing is scaled, rounded, turned round or mixed with paper.

Anyone may have made them. What they say of themselves is checked before they are decoded.
"""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from core.data.pictures import check_kind, is_whole
from core.errors import DataError

_KINDS = {1: 0, 3: 2}
"""PNG's colour type of each number of channels."""
_COLOURS = {0: "grey", 2: "RGB", 3: "colours of a palette", 4: "grey with transparency", 6: "RGBA"}
_WANTED = {1: "grey", 3: "RGB"}
_SHORTEST = 33
"""Bytes up to the end of a PNG's first chunk, which holds its size."""


def read_png(content: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """The image (C, H, W), uint8, of a PNG file that has a model's shape: grey or RGB, 8 bits.

    Raises DataError with a sentence for anything else.
    """
    if check_kind(content) != "PNG":
        raise DataError("It is a JPEG image, whose pixels are not exact; save it as PNG.")
    _check_header(content, shape)
    try:
        if not is_whole(content):
            raise ValueError("its checksums say so")
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.has_transparency_data:
                raise DataError("It has transparent pixels, which no model takes; save it without.")
            _check_decoded(image, shape)
            pixels = np.array(image, dtype=np.uint8)
    except DataError:
        raise
    except Exception as error:  # a decoder of hostile bytes raises whatever they lead it to
        raise DataError(
            "It begins like a PNG image but is damaged or incomplete; save it again."
        ) from error
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _check_header(content: bytes, shape: tuple[int, int, int]) -> None:
    """Raises DataError unless a file says that it has this shape."""
    if len(content) < _SHORTEST or content[12:16] != b"IHDR":
        raise DataError("It begins like a PNG image but is damaged or incomplete; save it again.")
    channels, high, wide = shape
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    bits, kind = content[24], content[25]
    if (width, height) != (wide, high):
        raise DataError(
            f"It is {width} wide and {height} high, and the model's images are {wide} wide and {high} "
            "high; make it as large as these."
        )
    if kind != _KINDS[channels]:
        found = _COLOURS.get(kind, f"of the unknown kind {kind}")
        raise DataError(
            f"Its pixels are {found}, and the model's are {_WANTED[channels]}; save it as such."
        )
    if bits != 8:
        raise DataError(f"It has {bits} bits a value, and 8 are taken; save it with 8.")


def _check_decoded(image: Image.Image, shape: tuple[int, int, int]) -> None:
    """Raises ValueError where later chunks (a second header, animations) make another image of it than the
    header said."""
    channels, high, wide = shape
    found = (
        image.mode,
        image.size,
        getattr(image, "n_frames", 1),
        [tile[1] for tile in getattr(image, "tile", [])],
    )
    if found != ("L" if channels == 1 else "RGB", (wide, high), 1, [(0, 0, wide, high)]):
        raise ValueError("its chunks say something else than its header")


def as_png(image: np.ndarray) -> bytes:
    """An image (C, H, W), uint8, as a file that `read_png` reads back."""
    buffer = io.BytesIO()
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def most_bytes(shape: tuple[int, int, int]) -> int:
    """More than a PNG file of that shape ever needs."""
    return 2 * math.prod(shape) + 100_000
