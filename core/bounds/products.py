"""Rules for operations on two values that are not linear: products (McCormick 1976), maxima and minima."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.bounds.interval import Interval, propagate
from core.bounds.linear import inner, prepare, pull, roundoff
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


@dataclass(frozen=True)
class Planes:
    """on_a a + on_b b + constant on one side of the product a b over a box, each (N, ...)."""

    on_a: Tensor
    on_b: Tensor
    constant: Tensor


def _plane(x: Two, sign: int) -> Planes:
    """A mean of the two planes below (sign 1) or above (-1) the product that touch it along two edges:

        a b >= a.lower b + b.lower a - a.lower b.lower   and   a.upper b + b.upper a - a.upper b.upper
        a b <= a.lower b + b.upper a - a.lower b.upper   and   a.upper b + b.lower a - a.upper b.lower

    The larger share is that of the plane whose worst value over the box is better, all where neither factor
    changes its sign. Any share from 0 to 1 is sound; these were chosen by the networks of
    benchmarks.operations.
    """
    a, b = x
    ends = (b.lower, b.upper) if sign > 0 else (b.upper, b.lower)
    first, second = (
        Planes(end, corner, -corner * end) for corner, end in zip((a.lower, a.upper), ends, strict=True)
    )
    worst = _worst(first, x, sign) - _worst(second, x, sign)
    changes = ((a.lower < 0) & (a.upper > 0)) | ((b.lower < 0) & (b.upper > 0))
    share = 0.5 + (sign * worst).sign().nan_to_num(0) * (0.5 - 0.3 * changes.to(worst))
    return Planes(
        *(
            share * v + (1 - share) * w
            for v, w in zip(vars(first).values(), vars(second).values(), strict=True)
        )
    )


def _worst(plane: Planes, x: Two, sign: int) -> Tensor:
    """The lowest (sign 1) or highest (-1) value of a plane over the box."""
    found = plane.constant
    for slope, v in zip((plane.on_a, plane.on_b), x, strict=True):
        low, high = (v.lower, v.upper) if sign > 0 else (v.upper, v.lower)
        found = found + slope.clamp(min=0) * low + slope.clamp(max=0) * high
    return found


@prepare.register(Multiply)
def _multiply_prepare(layer: Multiply, x: Two) -> tuple[Planes, Planes]:
    return _plane(x, 1), _plane(x, -1)


@pull.register(Multiply)
def _multiply_pull(
    layer: Multiply, rows: Tensor, x: Two, share: Any
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    below, above = _multiply_prepare(layer, x) if share is None else share
    positive, negative = rows.clamp(min=0), rows.clamp(max=0)
    constant = inner(positive, below.constant) + inner(negative, above.constant)
    on_a = positive * below.on_a + negative * above.on_a
    on_b = positive * below.on_b + negative * above.on_b
    return (_summed(on_a, x[0]), _summed(on_b, x[1])), constant


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
