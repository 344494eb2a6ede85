"""Rules for operations on two values that are not linear: products (McCormick 1976), maxima and minima."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.bounds.interval import Interval, propagate
from core.bounds.linear import inner, pull, roundoff
from core.bounds.relaxations import relu_share, relu_upper
from core.bounds.rounding import ELEMENTARY, EXACT, FLOAT64, UNDERFLOW, Arithmetic
from core.network.operations import Maximum, Minimum, Multiply

Two = tuple[Interval, Interval]


@propagate.register(Multiply)
def _multiply(layer: Multiply, x: Two, arithmetic: Arithmetic = EXACT) -> Interval:
    """The product is largest and smallest at one of the four corners."""
    a, b = x
    corners = torch.stack([p * q for p in (a.lower, a.upper) for q in (b.lower, b.upper)])
    found = Interval(corners.amin(0), corners.amax(0), points=min(a.points, b.points))
    return found.widened(_product(x, arithmetic)).guarded() if arithmetic.rounds else found


def _product(x: Two, arithmetic: Arithmetic) -> Tensor:
    size, lost = x[0].magnitude * x[1].magnitude, UNDERFLOW * (1 + x[0].magnitude + x[1].magnitude)
    return arithmetic.unless_overflow(arithmetic.gamma(4) * size + lost, size)


@pull.register(Multiply)
def _multiply_pull(
    layer: Multiply, rows: Tensor, x: Two, share: Any
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The mean of the two planes on either side: a b = (slope a) ... with the centres as slopes.

    a b >= a.center b + b.center a - (a.lower b.lower + a.upper b.upper) / 2
    a b <= a.center b + b.center a - (a.lower b.upper + a.upper b.lower) / 2
    """
    a, b = x
    below = -(a.lower * b.lower + a.upper * b.upper) / 2
    above = -(a.lower * b.upper + a.upper * b.lower) / 2
    constant = inner(rows.clamp(min=0), below) + inner(rows.clamp(max=0), above)
    return (_summed(rows * b.center, a), _summed(rows * a.center, b)), constant


def _summed(rows: Tensor, x: Interval) -> Tensor:
    """Rows (R, N, ...) on a value that x was broadcast to -> on x."""
    return rows.sum_to_size(*rows.shape[:2], *x.lower.shape[1:])


@roundoff.register(Multiply)
def _multiply_roundoff(layer: Multiply, x: Two, arithmetic: Arithmetic) -> Tensor:
    size = x[0].magnitude * x[1].magnitude
    own = FLOAT64.gamma(size[0].numel() + 4 * ELEMENTARY) * 4 * size
    return own + _product(x, arithmetic)


@propagate.register(Maximum)
@propagate.register(Minimum)
def _maximum(layer: Maximum | Minimum, x: Two, arithmetic: Arithmetic = EXACT) -> Interval:
    a, b = x
    finite = a.width.isfinite() & b.width.isfinite()  # what may overflow may be no number, and so are these
    lower = torch.where(finite, layer(a.lower, b.lower), -torch.inf)
    upper = torch.where(finite, layer(a.upper, b.upper), torch.inf)
    return Interval(lower, upper, points=min(a.points, b.points))


def _difference(x: Two) -> Interval:
    """a - b, with which max(a, b) = b + relu(a - b), rounded outwards."""
    a, b = x
    margin = FLOAT64.gamma(2) * (a.magnitude + b.magnitude)
    return Interval(a.lower - b.upper, a.upper - b.lower).widened(margin)


@pull.register(Maximum)
def _maximum_pull(layer: Maximum, rows: Tensor, x: Two, share: Any) -> tuple[tuple[Tensor, Tensor], Tensor]:
    d = _difference(x)
    above, intercept = relu_upper(d)
    below = torch.where((d.lower < 0) & (d.upper > 0), relu_share(d), above)
    negative = rows.clamp(max=0)
    on_a = rows.clamp(min=0) * below + negative * above
    return (_summed(on_a, x[0]), _summed(rows - on_a, x[1])), inner(negative, intercept)


@pull.register(Minimum)
def _minimum_pull(layer: Minimum, rows: Tensor, x: Two, share: Any) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """min(a, b) = -max(-a, -b)."""
    minus = tuple(Interval(-v.upper, -v.lower) for v in x)
    (on_a, on_b), constant = _maximum_pull(Maximum(), -rows, (minus[0], minus[1]), share)
    return (-on_a, -on_b), constant


@roundoff.register(Maximum)
@roundoff.register(Minimum)
def _maximum_roundoff(layer: Maximum | Minimum, x: Two, arithmetic: Arithmetic) -> Tensor:
    """They are exact: slopes, intercepts and their sums are rounded."""
    size = x[0].magnitude + x[1].magnitude
    return FLOAT64.gamma(size[0].numel() + 4 * ELEMENTARY) * 2 * size
