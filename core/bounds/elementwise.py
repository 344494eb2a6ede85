"""Bounds on elementwise functions, all from one recipe (core.bounds.relaxations): any slope, then the exact
extreme of "function minus slope times argument" as intercept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.interval import Interval, propagate
from core.bounds.linear import Share, inner, prepare, pull, roundoff
from core.bounds.rounding import ELEMENTARY, EXACT, FLOAT64, FLUSHED, UNDERFLOW, Arithmetic
from core.network.functions import CONCAVE, CONVEX, Function, Run
from core.network.operations import Elementwise

# Halvings and secants, in turns, of an interval around where a bent piece is lowest; least share of a step.
_STEPS, _LEAST = 8, 1e-3
# Points that chords are tried between, and how often these come closer.
_POINTS, _ROUNDS = 4, 2
# Below this width a chord's slope is mostly rounding; a constant takes its place.
_NARROW = 1e-9
# How far the point of a tangent goes from the centre to where the function is flattest in the interval.
_FLATTER = 0.3
# How far from the centre, in radii, an envelope is taken where f is neither convex nor concave.
_LOWER = 0.25
# Half the length of the chord at the centre that stands for a tangent where corners are near, in radii.
_CORNER = 0.2
# Intervals whose chords are tried at once.
_TOGETHER = 1 << 15
# A tangent is level up to this share of the slope that was asked for.
_LEVEL = 1e-12


@dataclass(frozen=True)
class Lines:
    """below_slope v + below <= f(v) <= above_slope v + above on an interval, each (N, ...)."""

    below_slope: Tensor
    below: Tensor
    above_slope: Tensor
    above: Tensor


def lowest(function: Function, x: Interval, slopes: Tensor, touch: Tensor) -> Tensor:
    """Minima of f(v) - slopes[0] v and of -f(v) - slopes[1] v over the interval, or a little below,
    (2, N, ...); -inf where f is not defined. touch: about where they are, if anybody knows."""
    stops = _stops(function, x)
    signs = _signs(slopes)
    found = (signs[:, None] * function.value(stops) - slopes[:, None] * stops).amin(1)
    bent = [piece for piece, bend in enumerate(function.bends) if bend]
    if bent:  # all pieces at once, each with the side that it bends to
        sides = [int(function.bends[piece] != CONVEX) for piece in bent]
        start, end = _some(stops, bent), _some(stops, [piece + 1 for piece in bent])
        slope, near, sign = (_some(v, sides) for v in (slopes, touch, signs))
        inner = _lowest_convex(function, start, end, slope, near, sign)
        inner, lowest = torch.where(start < end, inner, math.inf), [*found]
        for side, low in zip(sides, inner, strict=True):
            lowest[side] = torch.minimum(lowest[side], low)
        found = torch.stack(lowest)
    return torch.where(_defined(function, x), found, -math.inf)


def _some(values: Tensor, places: list[int]) -> Tensor:
    """Some of the first dimension."""
    first, last = places[0], places[-1] + 1
    return values[first:last] if places == [*range(first, last)] else values[places]


def _stops(function: Function, x: Interval) -> Tensor:
    """Both ends, and the knots between them: (2 + K, N, ...), ascending."""
    knots = [x.lower.clamp(min=knot).minimum(x.upper) for knot in function.knots]
    return torch.stack([x.lower, *knots, x.upper])


def _signs(both: Tensor) -> Tensor:
    """1 and -1, to multiply (2, ...), as many dimensions as `both` has."""
    return both.new_tensor([1.0, -1.0]).reshape(2, *[1] * (both.ndim - 1))


def _lowest_convex(
    function: Function, start: Tensor, end: Tensor, slope: Tensor, touch: Tensor, sign: Tensor
) -> Tensor:
    """Minima of sign f(v) - slope v, or a little below, between two points where sign f is convex: for
    pieces of f, (P, N, ...), sign (P, 1, ...).

    Its tangent anywhere lies below it: that at `touch`, and that is all if it is level there, or where f
    knows that place. Else those at two points that come together, left and right of the minimum, or at it,
    as far as the other one.
    """

    def tilt_of(v: Tensor) -> Tensor:
        return sign * function.slope(v) - slope

    def below(v: Tensor, tilt: Tensor) -> Tensor:
        least = torch.minimum(tilt * (start - v), tilt * (end - v))
        found = sign * function.value(v) - slope * v + least
        return torch.where(found.isnan(), -math.inf, found)  # where it is too steep for a number

    if function.level is not None:
        touch = -sign * function.level((sign * slope).detach())
    touch = touch.maximum(start).minimum(end)
    tilt = tilt_of(touch)
    found = below(touch, tilt)
    if function.level is not None:
        return found
    rest = ~(tilt.abs() <= _LEVEL * slope.abs()) & (start < end)
    if not bool(rest.any()):
        return found
    start, end, slope, sign = start[rest], end[rest], slope[rest], sign.expand_as(slope)[rest]
    falls, climbs = tilt_of(start), tilt_of(end)
    lower = torch.maximum(torch.maximum(below(start, falls), below(end, climbs)), found[rest])
    inside = (falls < 0) & (climbs > 0)
    if bool(inside.any()):
        with torch.no_grad():
            for step in range(_STEPS):
                share = (falls / (falls - climbs)).clamp(_LEAST, 1 - _LEAST) if step % 2 else 0.5
                middle = start + share * (end - start)
                tilt = tilt_of(middle)
                left = tilt <= 0
                start, end = torch.where(left, middle, start), torch.where(left, end, middle)
                falls, climbs = torch.where(left, tilt, falls), torch.where(left, climbs, tilt)
        at_ends = torch.maximum(below(start, tilt_of(start)), below(end, tilt_of(end)))
        lower = torch.where(inside, torch.maximum(lower, at_ends), lower)
    return found.masked_scatter(rest, lower)


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
    bend = _common_bend(function, x)
    if bend:
        return _bent_lines(function, x, bend)
    steep = steepness(function, x)
    slopes, touch = _slopes(function, x)
    slopes = slopes.clamp(-steep, steep)
    below, above = lowest(function, x, slopes, touch)
    return Lines(slopes[0], below, -slopes[1], -above)


def _common_bend(function: Function, x: Interval) -> int:
    """CONVEX or CONCAVE, where f is that, and smooth, on all of the intervals; else 0."""
    for run in function.runs:
        everywhere = run.low == -math.inf and run.high == math.inf
        if everywhere or bool(((x.lower >= run.low) & (x.upper <= run.high)).all()):
            return 0 if run.corners else run.bend
    return 0


def _bent_lines(function: Function, x: Interval, bend: int) -> Lines:
    """The same for f that is convex (bend 1) or concave (-1) on the intervals: a chord, and the tangent at
    a point, which is lowest, or highest, where it touches."""
    ends, width = torch.stack([x.lower, x.upper]), x.width
    both = function.value, function.slope
    values, at_ends = _each(both, ends)
    steep = at_ends.abs().amax(0) if function.steepest is None else steepness(function, x)
    first, last = values.unbind()
    chord = ((last - first) / width).nan_to_num(0, 0, 0).masked_fill(width <= _NARROW, 0)
    chord = chord.clamp(-steep, steep)
    above = values - chord * ends
    far = above.amax(0) if bend == CONVEX else (-above).amax(0)
    at = _toward(_flattest(at_ends if bend == CONVEX else -at_ends, x), x)
    value, slope = _each(both, at)
    level = slope.nan_to_num(0, 0, 0).clamp(-steep, steep)
    # Its tilt is 0, but where the slope is no number.
    near, off = value - level * at, (slope - level) * (ends - at)
    near = near + off.amin(0) if bend == CONVEX else (-off).amin(0) - near
    unknown = ~_defined(function, x)
    near = near.masked_fill(unknown | near.isnan(), -math.inf)
    far = far.masked_fill(unknown | far.isnan(), math.inf)
    return Lines(level, near, chord, far) if bend == CONVEX else Lines(chord, -far, level, -near)


def _each(functions: tuple[Callable[[Tensor], Tensor], ...], v: Tensor) -> tuple[Tensor, Tensor]:
    """A function's values and slopes: of an exponential they are the same."""
    value, slope = functions
    values = value(v)
    return values, values if slope is value else slope(v)


def _slopes(function: Function, x: Interval) -> tuple[Tensor, Tensor]:
    """Slopes of a line below f and of one below -f, (2, N, ...), and where they touch: of the chord, where
    the one or the other is concave or linear on the interval; of a tangent near the centre where it is
    convex; else of its envelope at a point somewhat lower than the centre.

    A linear bound is lowest where f is small more often than where it is large, and by how much a flatter
    line is higher there is of the first order, what is lost at the centre of the second. Any slope is
    sound; how much flatter was chosen by the networks of benchmarks.operations.
    """
    center, known = x.center, x.width <= _NARROW
    chord = ((function.value(x.upper) - function.value(x.lower)) / x.width).nan_to_num(0, 0, 0)
    chord = torch.where(known, 0, chord)
    slopes, touch = [chord, -chord], [center, center]
    for run in function.runs:
        inside = (x.lower >= run.low) & (x.upper <= run.high)
        if run.bend:
            side, mine = int(run.bend != CONVEX), inside & ~known
            slope, at = _tangent(function, x, run)
            slopes[side] = torch.where(mine, slope, slopes[side])
            touch[side] = torch.where(mine, at, touch[side])
        known = known | inside
    if bool(known.all()):
        return torch.stack(slopes), torch.stack(touch)
    if isinstance(function.steepest, Tensor):  # of each channel its own function: no part of it is one
        slopes = torch.where(known, torch.stack(slopes), _envelope_slopes(function, x))
        return slopes, torch.stack(touch)
    rest = ~known
    parts = zip(*(end[rest].split(_TOGETHER) for end in (x.lower, x.upper)), strict=True)
    found = torch.cat([_envelope_slopes(function, Interval(*ends)) for ends in parts], 1)
    slopes = torch.stack(slopes)
    return slopes.masked_scatter(rest.expand_as(slopes), found), torch.stack(touch)


def _tangent(function: Function, x: Interval, run: Run) -> tuple[Tensor, Tensor]:
    """Slope of a tangent of bend f, which is convex on the interval, and where it touches."""
    if run.corners:
        reach = _CORNER * x.radius
        left, right = x.center - reach, x.center + reach
        rise = function.value(right) - function.value(left)
        return (run.bend * rise / (right - left)).nan_to_num(0, 0, 0), x.center
    at = _toward(_flattest(run.bend * function.slope(torch.stack([x.lower, x.upper])), x), x)
    return (run.bend * function.slope(at)).nan_to_num(0, 0, 0), at


def _toward(flattest: Tensor, x: Interval) -> Tensor:
    """Where a tangent touches: between the centre and where the function is flattest."""
    return x.center + _FLATTER * (flattest - x.center)


@torch.no_grad()  # where it is hardly bent it has no gradient that is a number, and needs none
def _flattest(slopes: Tensor, x: Interval) -> Tensor:
    """About where a function that is convex on the interval is lowest, given its slopes at both ends,
    (2, N, ...): where a line through them is 0."""
    first, last = slopes.unbind()
    found = (x.lower - x.width * (first / (last - first))).nan_to_num(0, 0, 0)
    return torch.where(last > first, found.maximum(x.lower).minimum(x.upper), x.center)


def _envelope_slopes(function: Function, x: Interval) -> Tensor:
    """About the slopes of the convex envelopes of f and -f, (2, N, ...), beside the centre where each is
    lower: those of the chords which are lowest there, between points left and right of it."""
    rise = (function.value(x.upper) - function.value(x.lower)).sign()
    down = -_LOWER * rise * x.radius
    middle = x.center + torch.stack([down, -down])
    left_step, right_step = (middle - x.lower) / _POINTS, (x.upper - middle) / _POINTS
    left = torch.stack([x.lower + left_step * i for i in range(_POINTS)])
    right = torch.stack([x.upper - right_step * i for i in range(_POINTS)])
    ends = _lowest_chords(function, middle, left, right)
    for _ in range(_ROUNDS):
        left_step, right_step = left_step / 3, right_step / 3
        left = ends[0] + torch.stack([left_step * i for i in range(-2, 3)])
        right = ends[1] + torch.stack([right_step * i for i in range(-2, 3)])
        left = left.maximum(x.lower).minimum(middle - left_step / 2)
        right = right.minimum(x.upper).maximum(middle + right_step / 2)
        ends = _lowest_chords(function, middle, left, right)
    return ends[2].nan_to_num(0, 0, 0)


def _lowest_chords(
    function: Function, middle: Tensor, left: Tensor, right: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Ends and slopes of the chords of f and of -f that are lowest at `middle`, (2, N, ...) each, between
    points (P, 2, N, ...) left and right of it."""
    signs = _signs(middle)
    start, end = signs * function.value(left), signs * function.value(right)
    chords = (end[None] - start[:, None]) / (right[None] - left[:, None])
    heights = start[:, None] + chords * (middle - left)[:, None]
    which = heights.nan_to_num(math.inf, math.inf, -math.inf).flatten(0, 1).argmin(0)[None]
    return (
        left.gather(0, which // len(right))[0],
        right.gather(0, which % len(right))[0],
        chords.flatten(0, 1).gather(0, which)[0],
    )


@propagate.register(Elementwise)
def _propagate(layer: Elementwise, x: Interval, arithmetic: Arithmetic = EXACT) -> Interval:
    function = layer.function
    found = _range(function, x)
    if not arithmetic.rounds:
        return found
    return found.widened(_forward(function, x, found, steepness(function, x), arithmetic)).guarded()


def _range(function: Function, x: Interval) -> Interval:
    if function.monotone or function.lowest_at is not None:
        defined = _defined(function, x)
        if function.lowest_at is not None:
            at = x.lower.clamp(min=function.lowest_at).minimum(x.upper)
            first, lower, last = function.value(torch.stack([x.lower, at, x.upper]))
            upper = torch.maximum(first, last)
        elif function.monotone > 0:
            lower, upper = function.value(x.lower), function.value(x.upper)
        else:
            lower, upper = function.value(x.upper), function.value(x.lower)
        lower, upper = torch.where(defined, lower, -math.inf), torch.where(defined, upper, math.inf)
    else:
        slopes = function.slope(torch.stack([x.lower, x.upper]))
        touch = torch.stack([_flattest(sign * slopes, x) for sign in (CONVEX, CONCAVE)])
        lower, minus_upper = lowest(function, x, torch.zeros_like(touch), touch)
        upper = -minus_upper
    return Interval(lower, upper, points=x.points)


def _forward(
    function: Function, x: Interval, found: Interval, steep: Tensor, arithmetic: Arithmetic
) -> Tensor:
    """How far the network's own evaluation may be from f, and that of the ends in float64."""
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
    found, steep = _range(function, x), steepness(function, x)
    size = found.magnitude + 4 * steep * x.magnitude
    own = FLOAT64.gamma(x.lower[0].numel() + 8 * ELEMENTARY) * size
    return (_forward(function, x, found, steep, arithmetic) + own).nan_to_num(torch.inf, torch.inf)
