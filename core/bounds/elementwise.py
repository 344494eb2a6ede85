"""Bounds on elementwise functions, all from one recipe (core.bounds.relaxations): any slope, then the exact
extreme of "function minus slope times argument" as intercept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.interval import Interval, propagate
from core.bounds.linear import Share, inner, prepare, pull, roundoff
from core.bounds.rounding import ELEMENTARY, EXACT, FLOAT64, FLUSHED, UNDERFLOW, Arithmetic
from core.network.functions import CONVEX, Function
from core.network.operations import Elementwise

# Halvings of an interval in which a bent piece has its extreme, and points that chords are tried between.
_HALVINGS, _POINTS, _ROUNDS = 16, 4, 2
# Below this width a chord's slope is mostly rounding; a constant takes its place.
_NARROW = 1e-9
# How far the slope of a tangent goes from that at the centre to the flattest of the interval.
_FLATTER = 0.3


@dataclass(frozen=True)
class Lines:
    """below_slope v + below <= f(v) <= above_slope v + above on an interval, each (N, ...)."""

    below_slope: Tensor
    below: Tensor
    above_slope: Tensor
    above: Tensor


def lowest(function: Function, x: Interval, slope: Tensor, sign: int) -> Tensor:
    """Minimum of sign f(v) - slope v over the interval, or a little below; -inf where f is not defined."""

    def g(v: Tensor) -> Tensor:
        return sign * function.value(v) - slope * v

    best = torch.minimum(g(x.lower), g(x.upper))
    edges = (-math.inf, *function.knots, math.inf)
    for low, high, bend in zip(edges[:-1], edges[1:], function.bends, strict=True):
        start, end = x.lower.clamp(min=low), x.upper.clamp(max=high)
        found = torch.minimum(g(start), g(end))
        if sign * bend == CONVEX:
            found = torch.minimum(found, _lowest_convex(function, start, end, slope, sign))
        best = torch.where(start < end, torch.minimum(best, found), best)
    return torch.where(_defined(function, x), best, -math.inf)


def _lowest_convex(function: Function, start: Tensor, end: Tensor, slope: Tensor, sign: int) -> Tensor:
    """The same on a piece where sign f is convex. The tangent at a point that is left of the minimum, or at
    it, lies below up to a point that is right of it."""

    def turn(v: Tensor) -> Tensor:
        return sign * function.slope(v) - slope

    with torch.no_grad():
        left, right = start, end
        for _ in range(_HALVINGS):
            middle = (left + right) / 2
            falls = turn(middle) <= 0
            left, right = torch.where(falls, middle, left), torch.where(falls, right, middle)
    value = sign * function.value(left) - slope * left
    return value + turn(left).clamp(max=0) * (right - left)


def _defined(function: Function, x: Interval) -> Tensor:
    inside = [(x.lower > low) & (x.upper < high) for low, high in function.domains]
    return torch.stack(inside).any(0)


def steepness(function: Function, x: Interval) -> Tensor:
    """No slope of f between two values of the interval is larger in size."""
    if function.steepest is None:
        return torch.maximum(function.slope(x.lower).abs(), function.slope(x.upper).abs())
    return (x.lower.new_zeros(()) + function.steepest).expand_as(x.lower)


def lines(function: Function, x: Interval) -> Lines:
    """A line below and one above f, about as near as they come at the centre of the interval."""
    steep = steepness(function, x)
    below, above = (_slope(function, x, sign).clamp(-steep, steep) for sign in (1, -1))
    return Lines(below, lowest(function, x, below, 1), -above, -lowest(function, x, above, -1))


def _slope(function: Function, x: Interval, sign: int) -> Tensor:
    """Slope of a line below sign f: where that is concave or linear on the interval, of the chord; where it
    is convex, of the tangent at the centre, made a little flatter; else of the envelope at the centre.

    A linear bound is lowest where sign f is small more often than where it is large, and by how much a
    flatter line is higher there is of the first order, what is lost at the centre of the second. Any slope
    is sound; how much flatter was chosen by the networks of benchmarks.operations.
    """
    first, last = sign * function.slope(x.lower), sign * function.slope(x.upper)
    rise = sign * (function.value(x.upper) - function.value(x.lower))
    found = torch.where(x.width > _NARROW, rise / x.width, 0).nan_to_num(0, 0, 0)
    known = x.width <= _NARROW
    tangent = sign * function.slope(x.center)
    flattest = torch.minimum(first.clamp(min=0), last).nan_to_num(0, 0, 0)
    tangent = tangent + _FLATTER * (flattest - tangent)
    edges = (-math.inf, *function.knots, math.inf)
    for low, high, bend in zip(edges[:-1], edges[1:], function.bends, strict=True):
        inside = (x.lower >= low) & (x.upper <= high)
        if sign * bend == CONVEX:
            found = torch.where(inside & ~known, tangent, found)
        known = known | inside
    if bool(known.all()):
        return found
    if isinstance(function.steepest, Tensor):  # of each channel its own function: no part of it is one
        return torch.where(known, found, _envelope_slope(function, x, sign))
    rest = _envelope_slope(function, Interval(x.lower[~known], x.upper[~known]), sign)
    return found.masked_scatter(~known, rest)


def _envelope_slope(function: Function, x: Interval, sign: int) -> Tensor:
    """About the slope of the convex envelope of sign f at the centre: that of the chord which is lowest
    there, between points left and right of it."""
    middle, left_step, right_step = x.center, x.radius / _POINTS, x.radius / _POINTS
    left = [x.lower + left_step * i for i in range(_POINTS)]
    right = [x.upper - right_step * i for i in range(_POINTS)]
    ends = _lowest_chord(function, middle, left, right, sign)
    for _ in range(_ROUNDS):
        left_step, right_step = left_step / 3, right_step / 3
        left = [
            torch.minimum((ends[0] + left_step * i).clamp(min=x.lower), middle - left_step / 2)
            for i in range(-2, 3)
        ]
        right = [
            torch.maximum((ends[1] + right_step * i).clamp(max=x.upper), middle + right_step / 2)
            for i in range(-2, 3)
        ]
        ends = _lowest_chord(function, middle, left, right, sign)
    return ends[2].nan_to_num(0, 0, 0)


def _lowest_chord(
    function: Function, middle: Tensor, left: Sequence[Tensor], right: Sequence[Tensor], sign: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The ends and the slope of the chord that is lowest at `middle`."""
    stops = torch.stack([*right])
    others = sign * function.value(stops)
    best = (left[0], right[0], torch.zeros_like(middle))
    level = torch.full_like(middle, math.inf)
    for start in left:
        value = sign * function.value(start)
        chords = (others - value) / (stops - start)
        heights = (value + chords * (middle - start)).nan_to_num(math.inf, math.inf, -math.inf)
        height, which = heights.min(0, keepdim=True)
        lower = height[0] < level
        level = torch.where(lower, height[0], level)
        found = (start, stops.gather(0, which)[0], chords.gather(0, which)[0])
        best = tuple(torch.where(lower, new, old) for new, old in zip(found, best, strict=True))
    return best[0], best[1], best[2]


@propagate.register(Elementwise)
def _propagate(layer: Elementwise, x: Interval, arithmetic: Arithmetic = EXACT) -> Interval:
    function = layer.function
    if function.rising:
        defined = _defined(function, x)
        lower = torch.where(defined, function.value(x.lower), -math.inf)
        upper = torch.where(defined, function.value(x.upper), math.inf)
    else:
        zero = torch.zeros_like(x.lower)
        lower, upper = lowest(function, x, zero, 1), -lowest(function, x, zero, -1)
    found = Interval(lower, upper, points=x.points)
    return found.widened(_forward(function, x, found, arithmetic)).guarded() if arithmetic.rounds else found


def _forward(function: Function, x: Interval, found: Interval, arithmetic: Arithmetic) -> Tensor:
    """How far the network's own evaluation may be from f, and that of the ends in float64."""
    steep = steepness(function, x)
    size = found.magnitude + steep * x.magnitude
    margin = arithmetic.gamma(2 * ELEMENTARY) * size + steep * FLUSHED + function.apart + UNDERFLOW
    if any(0.0 in domain for domain in function.domains):  # where what is flushed to 0 has no value
        closest = torch.minimum(x.lower.abs(), x.upper.abs())
        margin = torch.where(closest < FLUSHED, torch.inf, margin)
    return arithmetic.unless_overflow(margin, 8 * found.magnitude)  # v relu6(v + 3) is divided by 6


@prepare.register(Elementwise)
def _prepare(layer: Elementwise, x: Interval) -> Lines:
    return lines(layer.function, x)


@pull.register(Elementwise)
def _pull(layer: Elementwise, a: Tensor, x: Interval, share: Share) -> tuple[Tensor, Tensor]:
    ready = share if isinstance(share, Lines) else lines(layer.function, x)
    positive, negative = a.clamp(min=0), a.clamp(max=0)
    constant = inner(positive, ready.below) + inner(negative, ready.above)
    return positive * ready.below_slope + negative * ready.above_slope, constant


@roundoff.register(Elementwise)
def _roundoff(layer: Elementwise, x: Interval, arithmetic: Arithmetic) -> Tensor:
    function = layer.function
    found = propagate(layer, x, FLOAT64)
    size = found.magnitude + 4 * steepness(function, x) * x.magnitude
    own = FLOAT64.gamma(x.lower[0].numel() + 8 * ELEMENTARY) * size
    return _forward(function, x, found, arithmetic) + own
