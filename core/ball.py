"""The threat: B(x, eps) = { x' in [0, 1]^d : ||x' - x||_inf <= eps }."""

from __future__ import annotations

import torch
from torch import Tensor

from core.bounds.interval import Interval


def _per_image(eps: Tensor, x: Tensor) -> Tensor:
    return eps.to(x.dtype).view(-1, *[1] * (x.ndim - 1))


def ball(x: Tensor, eps: Tensor) -> Interval:
    """The ball as a box of pixels: x (B, ...), eps (B,) -> Interval (B, ...) in x's dtype."""
    e = _per_image(eps, x)
    return Interval((x - e).clamp(min=0), (x + e).clamp(max=1))


def covering_ball(x: Tensor, eps: Tensor) -> Interval:
    """A float64 box that holds the ball and everything that float32 rounding of x +- eps can reach.

    eps is taken one float32 rounding up (0.1 becomes 0.100000001...), and each end moves outward by
    one more rounding; a ball of eps = 0 is the point x itself.
    """
    x, ulp = x.double(), 2.0**-23
    e = _per_image(eps, x)
    e = torch.where(e > 0, e * (1 + ulp) + ulp, e)
    return Interval((x - e).clamp(min=0), (x + e).clamp(max=1))
