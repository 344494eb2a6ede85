"""A parabola below the likelihood of a pixel, for the quadratic bounds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Parabola:
    """constant + slope y - bend y^2 + cross t a - square t^2 <= log p(t | a), y = a - center, per pixel."""

    center: Tensor
    constant: Tensor
    slope: Tensor
    bend: Tensor
    cross: float
    square: float
