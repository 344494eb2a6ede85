"""Ink on paper -> a digit as MNIST has them (LeCun, Bottou, Bengio, Haffner 1998).

An image of ink is (H, W) float in [0, 1]: 0 paper, 1 ink.
"""

from __future__ import annotations

import numpy as np

from core.errors import InputError

SIDE, BOX, CENTRE = 28, 20, 14


def like_mnist(ink: np.ndarray) -> np.ndarray:
    """The ink's bounding box fitted into 20 x 20 with its aspect ratio and smooth edges, its centre of mass
    put on pixel 14 of 28: (28, 28). An MNIST digit, however enlarged, comes back as it was.

    Raises InputError where there is no ink.
    """
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    if not len(rows):
        raise InputError("There is no ink in this image: draw something, or choose another file.")
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    largest = max(cut.shape)
    height, width = (max(1, round(side * BOX / largest)) for side in cut.shape)
    small = _levels(_averages(height, cut.shape[0]) @ cut @ _averages(width, cut.shape[1]).T)
    if not small.any():
        raise InputError("There is too little ink in this image to see it at 28 x 28 pixels.")
    page = np.zeros((SIDE, SIDE), dtype=np.float32)
    top, left = _offset(small, axis=0), _offset(small, axis=1)
    page[top : top + height, left : left + width] = small
    return page


def whole(ink: np.ndarray, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """All of the image on paper of the same proportions as `size`, made that high and wide by averaging."""
    (high, wide), (rows, columns) = ink.shape, size
    sides = max(high, round(wide * rows / columns)), max(wide, round(high * columns / rows))
    top, left = (sides[0] - high) // 2, (sides[1] - wide) // 2
    page = np.zeros(sides, dtype=np.float32)
    page[top : top + high, left : left + wide] = ink
    return _levels(_averages(rows, sides[0]) @ page @ _averages(columns, sides[1]).T)


def _offset(small: np.ndarray, axis: int) -> int:
    """Where a digit begins: its centre of mass on the central pixel, but all of it on the page."""
    mass = small.sum(axis=1 - axis)
    centre = float((mass * np.arange(len(mass))).sum() / mass.sum())
    return min(max(0, CENTRE - round(centre)), SIDE - len(mass))


def _averages(short: int, long: int) -> np.ndarray:
    """(short, long): row i averages the i-th of `short` equal parts of `long` pixels, with fractions."""
    edges = np.linspace(0, long, short + 1)
    pixels = np.arange(long)
    ends, begins = np.minimum(edges[1:, None], pixels + 1), np.maximum(edges[:-1, None], pixels)
    return np.clip(ends - begins, 0, 1) * (short / long)


def _levels(values: np.ndarray) -> np.ndarray:
    """Rounded to the 256 grey levels of MNIST, float32."""
    return np.round(np.clip(values, 0, 1) * 255).astype(np.float32) / np.float32(255)
