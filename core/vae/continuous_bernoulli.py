"""The continuous Bernoulli (Loaiza-Ganem & Cunningham 2019, arXiv 1907.06845): its density and bounds."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.relaxations import chord_slope, corner_plane, join_faces, unit
from core.vae.parabola import Parabola

_IMAGE = (-3, -2, -1)
# Halvings of an interval in which a mean has its place, and of all natural parameters within this.
_HALVINGS, _ANY = 60, 1e6
# The mean of a parameter within _ANY is at least 1e-6 from 0 and 1.
_EDGE = 2e-6
# Closer to 0 the mean is its series: both are off by less than 1e-12 there.
_NEAR = 0.03
# No second derivative of the log partition function is larger: it is the variance, largest at a = 0.
_VARIANCE = 1 / 12


class _LogPartition(torch.autograd.Function):
    """A(a) = log of the integral of exp(t a) over t in [0, 1] = log((exp(a) - 1) / a); its derivative is
    the mean."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        ctx.save_for_backward(a)
        size = a.abs().clamp(min=1e-30)
        return a.clamp(min=0) + (-torch.expm1(-size) / size).log()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0] * mean(ctx.saved_tensors[0])


def log_partition(a: Tensor) -> Tensor:
    return _LogPartition.apply(a)  # pyright: ignore[reportReturnType]


def mean(a: Tensor) -> Tensor:
    """E[t] = A'(a) = 1 / (1 - exp(-a)) - 1 / a, rising from 0 to 1."""
    far = torch.where(a.abs() > _NEAR, a, 1)
    series = 0.5 + a / 12 - a**3 / 720
    return torch.where(a.abs() > _NEAR, -1 / torch.expm1(-far) - 1 / far, series).clamp(0, 1)


def _log_prob(t: Tensor, a: Tensor) -> Tensor:
    return t * a - log_partition(a)


class ContinuousBernoulli:
    """log p(t | a) = sum_j t_j a_j - A(a_j), a = logits: a density on [0, 1], linear in t, concave in a."""

    def log_prob(self, t: Tensor, a: Tensor) -> Tensor:
        return _log_prob(t, a).sum(_IMAGE)

    def lower(self, t: Interval, a: Interval) -> Tensor:
        """Linear in t_j, concave in a_j: the minimum over the box is at one of its four corners."""
        at_low, at_high = (
            torch.minimum(_log_prob(end, a.lower), _log_prob(end, a.upper)) for end in (t.lower, t.upper)
        )
        return torch.minimum(at_low, at_high).sum(_IMAGE)

    def upper(self, t: Interval, a: Interval) -> Tensor:
        """Linear in t_j: the maximum is at an end of it, and there at the a_j whose mean is nearest."""
        return torch.maximum(_highest(t.lower, a), _highest(t.upper, a)).sum(_IMAGE)

    def magnitude(self, t: Interval, a: Interval) -> Tensor:
        """|A(a)| <= |a|; in it a is added to the logarithm of something that is rounded."""
        return ((t.upper + 2) * a.magnitude + 1).sum(_IMAGE)

    def peak(self, t: Interval, a: Interval) -> Tensor:
        return self.magnitude(t, a)

    def plane_size(self, t: Interval, a: Interval) -> Tensor:
        return self.magnitude(t, a) + a.magnitude.sum(_IMAGE)

    def plane(self, t: Interval, a: Interval, mix: Tensor, weight: int) -> tuple[Tensor, Tensor, Tensor]:
        """As for a Bernoulli (core.vae.likelihood), with A in place of softplus."""
        if weight > 0:
            s = t.lower + mix * t.width - chord_slope(log_partition, mean(a.center), a)
            return s, *corner_plane(_log_prob, t, a, s)
        s = mean(a.lower + unit(mix) * a.width) - t.center
        return s, *join_faces(t, -_highest(t.lower + s, a), -_highest(t.upper + s, a))

    def parabola(self, a: Interval, share: Tensor) -> Parabola:
        """Tangent to -A, bent as much as A bends at most."""
        at = a.lower + unit(share) * a.width
        bend = torch.full_like(at, _VARIANCE / 2)
        return Parabola(at, -log_partition(at), -mean(at), bend, cross=1.0, square=0.0)

    def curvature(self, a: Interval) -> Tensor:
        at = a.center
        half = torch.where(at.abs() > 0.1, at / 2, 0.05)
        return torch.where(at.abs() > 0.1, 0.25 * (half**-2 - torch.sinh(half) ** -2), _VARIANCE)

    def moved(self, t: Tensor, a: Interval) -> tuple[Interval, Tensor]:
        """Linear in t, with slope a."""
        return a, torch.zeros_like(a.lower[..., 0, 0, 0])

    def highest(self, t: Tensor) -> Tensor:
        """At the parameter whose mean is t, by a tangent above it; a density may be as high as one likes
        at 0 and 1, and so near to them that the parameter is off the scale."""
        everywhere = Interval(torch.full_like(t, -_ANY), torch.full_like(t, _ANY))
        best = torch.where(t.minimum(1 - t) > _EDGE, _highest(t, everywhere), math.inf)
        return best.sum(_IMAGE)

    def mean(self, a: Tensor) -> Tensor:
        return mean(a)

    def natural(self, mean: Tensor) -> Tensor:
        low, high = _bracket(mean, torch.full_like(mean, -_ANY), torch.full_like(mean, _ANY))
        return (low + high) / 2

    def floor(self, pixels: int) -> float:
        """A density of e^-10 at every single pixel."""
        return -10.0 * pixels


def _highest(slope: Tensor, a: Interval) -> Tensor:
    """Maximum of slope a - A(a) over the interval, or a little above: a tangent left of where the mean is
    the slope, at a point that is right of it. It moves with the slope as if that place stood still."""
    low, high = _bracket(slope.detach(), a.lower, a.upper)
    left = slope * low - log_partition(low)
    steep = (slope - mean(low)).clamp(min=0)
    return torch.maximum(left + steep * (high - low), slope * high - log_partition(high))


@torch.no_grad()
def _bracket(wanted: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Two places next to each other with the one in between at which the mean is as wanted, or the end that
    is nearest."""
    wanted, low, high = torch.broadcast_tensors(wanted, low, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        small = mean(middle) <= wanted
        low, high = torch.where(small, middle, low), torch.where(small, high, middle)
    return low, high
