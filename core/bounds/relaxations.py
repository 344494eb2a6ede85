"""Linear bounds on the nonlinear pieces of the ELBO, over intervals. They know nothing about networks.

Every line is made the same way: choose a slope, any slope, and take the exact extreme of
"function minus slope times argument" over the interval as the intercept. A slope that is off, by
rounding, a degenerate interval or an optimiser, makes a bound looser but never wrong, and there is no
division that needs a guard.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.bounds.interval import Interval

# Below this width a chord's slope is mostly rounding; the derivative takes its place.
_NARROW = 1e-6

# Differences that are rounding, relatively.
_TIE = 1e-9


def unit(share: Tensor) -> Tensor:
    """share clamped to [0, 1], with the gradient of the identity.

    torch.clamp has gradient 0 at the ends of its range (as of torch 2.14), and the ends are where
    slopes start: an optimiser would never move them.
    """
    fixed = share.detach()
    return fixed.clamp(0, 1) + (share - fixed)


def lower_of(a: Tensor, b: Tensor) -> Tensor:
    """The smaller one; where both are the same but for rounding, with half of the gradient of each.

    Chords, from which optimisers start, are such ties: else rounding alone would say where they go first.
    """
    least = torch.minimum(a, b)
    if not least.requires_grad:
        return least
    gap = (b - a).detach().abs()
    tie = (gap <= _TIE * (a.abs() + b.abs()).detach()) & gap.isfinite()
    mean = (a + b) / 2
    return torch.where(tie, mean + (least - mean).detach(), least)


def chord_slope(f: Callable[[Tensor], Tensor], derivative: Tensor, x: Interval) -> Tensor:
    """(f(upper) - f(lower)) / width; `derivative` (at the centre, say) where the interval is narrow."""
    wide = x.width > _NARROW
    width = torch.where(wide, x.width, 1)
    return torch.where(wide, (f(x.upper) - f(x.lower)) / width, derivative)


def relu_upper(x: Interval) -> tuple[Tensor, Tensor]:
    """Slope and intercept of the chord above relu: exact where relu is linear on the interval."""
    crossing = (x.lower < 0) & (x.upper > 0)
    slope = torch.where(crossing, x.upper / torch.where(crossing, x.width, 1), (x.lower >= 0).to(x.lower))
    ends = torch.maximum(x.upper.relu() - slope * x.upper, x.lower.relu() - slope * x.lower)
    return slope, torch.where(crossing, ends, 0)


def relu_lower(x: Interval, share: Tensor) -> Tensor:
    """Slope in [0, 1] of a line through 0 below relu: `share` on a crossing interval, else exact."""
    exact = (x.lower >= 0).to(x.lower)
    return torch.where((x.lower < 0) & (x.upper > 0), unit(share), exact)


def relu_share(x: Interval) -> Tensor:
    """The slope that leaves the smaller area below relu (Zhang et al. 2018, arXiv 1811.00866)."""
    return (x.upper > -x.lower).to(x.lower)


def chord_share(x: Interval) -> Tensor:
    """Slope of the chord above relu where x crosses 0."""
    return (x.upper / torch.where(x.width > 0, x.width, 1)).clamp(0, 1)


def relu_form(x: Interval, share: Tensor) -> tuple[Tensor, Tensor]:
    """s, r with relu(v) = s v + r + r e, |e| <= 1, on the interval; s is `share` where it crosses 0.

    relu(v) - s v is lowest at 0, where it is 0, and highest at one of the ends.
    """
    crossing = (x.lower < 0) & (x.upper > 0)
    slope = torch.where(crossing, unit(share), (x.lower >= 0).to(x.lower))
    most = torch.maximum(-slope * x.lower, (1 - slope) * x.upper)
    return slope, torch.where(crossing, most / 2, 0)


def half_exp_form(x: Interval, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s, m, r with exp(v / 2) = s v + m + r e, |e| <= 1, on the interval.

    s goes from the derivative at the lower end to that at the upper end. exp(v / 2) - s v is convex:
    highest at one of the ends, lowest where the derivative is s.
    """
    low, high = (x.lower / 2).exp(), (x.upper / 2).exp()
    slope = (low + unit(share) * (high - low)) / 2
    most = torch.maximum(low - slope * x.lower, high - slope * x.upper)
    least = torch.minimum(2 * slope * (1 - (2 * slope).log()), most)
    return slope, (most + least) / 2, (most - least) / 2


def half_exp_lower(x: Interval, share: Tensor) -> tuple[Tensor, Tensor]:
    """Tangent below exp(v / 2), at lower + share * width."""
    point = x.lower + unit(share) * x.width
    value = (point / 2).exp()
    return value / 2, value * (1 - point / 2)


def half_exp_upper(x: Interval) -> tuple[Tensor, Tensor]:
    """Chord above exp(v / 2)."""

    def f(v: Tensor) -> Tensor:
        return (v / 2).exp()

    slope = chord_slope(f, f(x.center) / 2, x)
    return slope, torch.maximum(f(x.lower) - slope * x.lower, f(x.upper) - slope * x.upper)


def square_intercept(x: Interval, slope: Tensor, weight: int) -> Tensor:
    """Minimum of -weight v^2 / 2 - slope v over the interval; weight +1 (concave) or -1 (convex)."""

    def g(v: Tensor) -> Tensor:
        return -weight * v * v / 2 - slope * v

    if weight > 0:
        return lower_of(g(x.lower), g(x.upper))
    return g(torch.minimum(torch.maximum(slope, x.lower), x.upper))


def logvar_term(v: Tensor, scale: Tensor, weight: int) -> Tensor:
    """scale exp(v / 2) - weight (exp(v) - v - 1) / 2: all that the ELBO's linear bound makes of logvar.

    The first part is what z = mu + exp(logvar / 2) noise passes on, the second the KL's.
    """
    return scale * (v / 2).exp() - weight * (v.exp() - v - 1) / 2


def logvar_slope(x: Interval, scale: Tensor, weight: int) -> Tensor:
    """Chord slope of `logvar_term`: the best one where it is concave, a good one elsewhere."""
    s = (x.center / 2).exp()
    derivative = (scale * s - weight * (s * s - 1)) / 2
    return chord_slope(lambda v: logvar_term(v, scale, weight), derivative, x)


def logvar_intercept(x: Interval, scale: Tensor, slope: Tensor, weight: int) -> Tensor:
    """Minimum of logvar_term - slope v over the interval, exactly.

    With s = exp(v / 2) the derivative vanishes where weight s^2 - scale s + 2 slope - weight = 0; the
    root with positive curvature, scale > 2 weight s, is the only interior minimum. For scale > 0 it is
    taken from the product of the roots: a small s would drown in the difference scale - sqrt(...).
    """
    discriminant = scale * scale - 4 * weight * (2 * slope - weight)
    real = discriminant > 0
    root = torch.where(real, discriminant, 1).sqrt()
    product = 2 * (2 * slope - weight) / torch.where(scale > 0, scale + root, 1)
    s = torch.where(scale > 0, product, (scale - root) / (2 * weight))
    usable = real & (s > 0)
    inner = 2 * torch.where(usable, s, 1).log()
    inner = torch.where(usable, torch.minimum(torch.maximum(inner, x.lower), x.upper), x.lower)
    values = [logvar_term(v, scale, weight) - slope * v for v in (x.lower, x.upper, inner)]
    ends = lower_of(values[0], values[1])
    # What is not a number stays none.
    return torch.where(values[2] >= ends, ends, torch.minimum(ends, values[2]))


def corner_plane(
    f: Callable[[Tensor, Tensor], Tensor], t: Interval, a: Interval, slope: Tensor
) -> tuple[Tensor, Tensor]:
    """Coefficient of t and constant of a plane slope a + n t + c below f over the box.

    f must be concave along a and along t (linear will do), so that f minus a plane is lowest at one of
    the four corners. On each face t = t.lower, t = t.upper the two corners give the exact intercept;
    the plane joins the two.
    """
    low = lower_of(f(t.lower, a.lower) - slope * a.lower, f(t.lower, a.upper) - slope * a.upper)
    high = lower_of(f(t.upper, a.lower) - slope * a.lower, f(t.upper, a.upper) - slope * a.upper)
    return join_faces(t, low, high)


def join_faces(t: Interval, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """n, c with n t + c equal to `low` at t.lower and `high` at t.upper, never above either.

    Where the two ends are closer than rounding, the constant min(low, high).
    """
    wide = t.width > _NARROW
    n = torch.where(wide, (high - low) / torch.where(wide, t.width, 1), 0)
    return n, torch.minimum(low - n * t.lower, high - n * t.upper)
