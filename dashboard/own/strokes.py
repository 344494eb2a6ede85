"""What a visitor drew, as a browser sends it -> ink. A browser can send anything."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from core.errors import InputError

Point = tuple[float, float]
Strokes = tuple[tuple[Point, ...], ...]
"""Lines of the pen, each a sequence of points (x, y) in [0, 1], from the top left."""

PEN = 0.09
"""Width of the pen on the page that is drawn on, of its side."""
MOST_POINTS = 4000
# Pixels of the larger extent of a drawing; the pen, of that extent: MNIST's; and what is only a dot.
_EXTENT, _SHARE, _DOT = 560, 0.13, 0.03


def check_strokes(sent: object) -> Strokes:
    """Strokes from anything. Raises InputError with a sentence if it is none, or too long."""
    if not isinstance(sent, list) or not all(isinstance(line, list) and line for line in sent):
        raise InputError("What arrived is no drawing: it must be a list of lines, each a list of points.")
    if sum(map(len, sent)) > MOST_POINTS:
        raise InputError(f"The drawing has over {MOST_POINTS:,} points, more than are taken. Draw it anew.")
    return tuple(tuple(map(_point, line)) for line in sent)


def _point(sent: object) -> Point:
    if isinstance(sent, list) and len(sent) == 2:
        x, y = (_coordinate(value) for value in sent)
        if 0 <= x <= 1 and 0 <= y <= 1:
            return x, y
    raise InputError("What arrived is no drawing: a point must be two numbers from 0 to 1.")


def _coordinate(value: object) -> float:
    """NaN, which lies nowhere, for what is no number."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def render(strokes: Strokes) -> np.ndarray:
    """The drawing as ink (H, W) in [0, 1], as large as can be, its pen as thick as MNIST's: where and how
    large it was drawn makes no difference."""
    points = np.array([point for line in strokes for point in line])
    low, extent = points.min(axis=0), float(np.ptp(points, axis=0).max())
    scale, radius = _EXTENT / extent if extent > _DOT else 0.0, _SHARE * _EXTENT / 2
    width, height = np.ceil(np.ptp(points, axis=0) * scale + 2 * radius).astype(int) + 1
    page = Image.new("L", (int(width), int(height)))
    pen = ImageDraw.Draw(page)
    for line in strokes:
        placed = [tuple(((point - low) * scale + radius).tolist()) for point in np.array(line)]
        if len(placed) > 1:
            pen.line(placed, fill=255, width=round(2 * radius))
        for x, y in placed:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(page, dtype=np.float32) / 255
