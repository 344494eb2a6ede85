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
"""Width of the pen, of the side of the page: MNIST's pen, for a digit that fills most of it."""
MOST_POINTS = 4000
_SIDE = 560


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
    """The drawing as ink (H, W) in [0, 1], drawn with a round pen."""
    page = Image.new("L", (_SIDE, _SIDE))
    pen, radius = ImageDraw.Draw(page), PEN * _SIDE / 2
    for line in strokes:
        points = [(x * _SIDE, y * _SIDE) for x, y in line]
        if len(points) > 1:
            pen.line(points, fill=255, width=round(2 * radius))
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(page, dtype=np.float32) / 255
