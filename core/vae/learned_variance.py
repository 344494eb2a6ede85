"""The Gaussian whose variances the decoder gives with the means: log p(t | a) and its bounds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.relaxations import chord_slope, join_faces, unit

_CONSTANT = 0.5 * math.log(2 * math.pi)
# Sizes are at least this, so that a relative margin covers what underflows in the product of two of them.
_TINY = 1e-20
# Standard deviation, on the scale [0, 1], of the fixed Gaussian whose floor is taken.
_USUAL = 0.1


class LearnedVariance:
    """log p(t | g, s) = -1/2 sum_j d_j^2 exp(-s_j) + s_j + log(2 pi), d_j = stretch (t_j - g_j).

    a = (g, s) has twice the channels of an image: means first, on the scale [0, 1] of t, then log
    variances, on the model's own scale of pixels, of which `stretch` units go from black to white; the
    density is on that, too.

    log p is concave in each of t, g and s alone, not in all of them together.
    """

    def __init__(self, stretch: float = 1.0) -> None:
        self._stretch = stretch

    def log_prob(self, t: Tensor, a: Tensor) -> Tensor:
        g, s = a.chunk(2, -3)
        return _log_prob(self._stretch * (t - g), s).flatten(-3).sum(-1)

    def lower(self, t: Interval, a: Interval) -> Tensor:
        """At the largest distance, and as it is concave in s, at one of its ends."""
        g, s = _parts(a)
        far = self._stretch * _farthest(t, g)
        worst = torch.minimum(_log_prob(far, s.lower), _log_prob(far, s.upper))
        return worst.flatten(-3).sum(-1)

    def upper(self, t: Interval, a: Interval) -> Tensor:
        """At the smallest distance, and at the s that is nearest to the log of its square."""
        g, s = _parts(a)
        near = self._stretch * _nearest(t, g)
        best = torch.minimum(torch.maximum((near**2).log(), s.lower), s.upper)
        return _log_prob(near, best).flatten(-3).sum(-1)

    def magnitude(self, t: Interval, a: Interval) -> Tensor:
        scaled, s = self._sizes(t, a)
        return (0.5 * (scaled + s) + _CONSTANT).flatten(-3).sum(-1)

    def peak(self, t: Interval, a: Interval) -> Tensor:
        g, s = _parts(a)
        single = (self._stretch * (t.upper + g.magnitude)) ** 2 + (-s.lower).exp()
        scaled, _ = self._sizes(t, a)  # before it is halved
        return self.magnitude(t, a) + (single + scaled).flatten(-3).sum(-1)

    def plane_size(self, t: Interval, a: Interval) -> Tensor:
        scaled, s = self._sizes(t, a)
        summands = scaled * (1 + s) + s + _CONSTANT
        return summands.flatten(-3).sum(-1) + a.magnitude.flatten(-3).sum(-1)

    def plane(self, t: Interval, a: Interval, mix: Tensor, weight: int) -> tuple[Tensor, Tensor, Tensor]:
        """Below: log p minus a plane is concave in each of t, g and s alone, so that it is lowest at one of
        the eight corners. Above: about the tangent plane at a point, with its exact intercept. The point
        is of the box whatever `mix` is: elsewhere slopes may be steeper than `plane_size` says."""
        (g, s), mix = _parts(a), unit(mix)
        each = mix.shape[-3] > 1  # else it is one number for all
        of_g, of_s = mix.chunk(2, -3) if each else (mix, mix)
        return self._below(t, g, s, of_g, of_s) if weight > 0 else self._above(t, g, s, of_g, of_s)

    def _below(
        self, t: Interval, g: Interval, s: Interval, of_g: Tensor, of_s: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The slopes are those of chords: along g at a t, along s at a distance."""
        precision = chord_slope(lambda v: -(-v).exp(), (-s.center).exp(), s)
        on_g = self._stretch**2 * precision * (t.lower + of_g * t.width - g.center)
        near, far = ((self._stretch * d) ** 2 for d in (_nearest(t, g), _farthest(t, g)))
        on_s = 0.5 * (precision * (near + of_s * (far - near)) - 1)

        def lowest(end: Tensor) -> Tensor:
            corners = [
                _log_prob(self._stretch * (end - mean), spread) - on_g * mean - on_s * spread
                for mean in (g.lower, g.upper)
                for spread in (s.lower, s.upper)
            ]
            return torch.stack(corners).amin(0)

        return torch.cat([on_g, on_s], -3), *join_faces(t, lowest(t.lower), lowest(t.upper))

    def _above(
        self, t: Interval, g: Interval, s: Interval, of_g: Tensor, of_s: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """-log p is d^2 exp(-s) / 2 + s / 2 + c, d = stretch (t - g). Less the tangent plane at (p, q) that
        is

            F(d, s) = d^2 exp(-s) / 2 - p exp(-q) d + p^2 exp(-q) s / 2

        but for a constant. At each s the best d is p exp(s - q), or the end that is nearest. What that
        gives is smooth in s, concave where the best d is inside, convex where it is an end: lowest at an
        end of s, or where F at an end of d is stationary, d^2 exp(-s) = p^2 exp(-q).
        """
        d = Interval(self._stretch * (t.lower - g.upper), self._stretch * (t.upper - g.lower))
        p, q = d.lower + of_g * d.width, s.lower + of_s * s.width
        on_d = p * (-q).exp()
        rest = 0.5 * p * on_d

        def value(at: Tensor) -> Tensor:
            inside = torch.minimum(torch.maximum((on_d * at.exp()).detach(), d.lower), d.upper)
            return 0.5 * inside**2 * (-at).exp() - on_d * inside + rest * at

        def stationary(end: Tensor) -> Tensor:
            at = (2 * (end / p).abs().log() + q).detach().nan_to_num(0, 0, 0)
            return torch.minimum(torch.maximum(at, s.lower), s.upper)

        places = (s.lower, s.upper, stationary(d.lower), stationary(d.upper))
        lowest = torch.stack([value(at).expand_as(p) for at in places]).amin(0)
        on_t = self._stretch * on_d
        return torch.cat([-on_t, 0.5 - rest], -3), on_t, lowest + _CONSTANT

    def moved(self, t: Tensor, a: Interval) -> tuple[Interval, Tensor]:
        """A parabola in t, most bent and steepest, either way, at the smallest variance."""
        g, s = _parts(a)
        sharp, flat = (self._stretch**2 * (-end).exp() for end in (s.lower, s.upper))
        below, above = g.lower - t, g.upper - t
        slope = Interval(
            torch.minimum(sharp * below, flat * below), torch.maximum(sharp * above, flat * above)
        )
        return slope, sharp.amax((-3, -2, -1)) / 2

    def highest(self, t: Tensor) -> Tensor:
        """None: the smaller the variance around t, the higher the density."""
        return torch.full_like(t, math.inf).sum((-3, -2, -1))

    def mean(self, a: Tensor) -> Tensor:
        return a.chunk(2, -3)[0]

    def floor(self, pixels: int) -> float:
        """The floor of a Gaussian of standard deviation 0.1: how sharp this one is, each image decides."""
        return -(10 / (2 * _USUAL**2) + _CONSTANT + math.log(_USUAL * self._stretch)) * pixels

    def constant(self, mean: Tensor, square: Tensor) -> Tensor:
        """Natural parameters of the best density of one mean and variance a pixel, given the mean square of
        distances to that mean; both (C, H, W)."""
        return torch.cat([mean, (self._stretch**2 * square).log()], -3)

    def _sizes(self, t: Interval, a: Interval) -> tuple[Tensor, Tensor]:
        """Upper bounds on stretch^2 (|t| + |g|)^2 exp(-s) and on |s|."""
        g, s = _parts(a)
        square = (self._stretch * (t.upper + g.magnitude)) ** 2
        return (square + _TINY) * ((-s.lower).exp() + _TINY), s.magnitude


def _log_prob(distance: Tensor, s: Tensor) -> Tensor:
    """Of each pixel."""
    return -0.5 * (distance**2 * (-s).exp() + s) - _CONSTANT


def _parts(a: Interval) -> tuple[Interval, Interval]:
    (low, low_s), (high, high_s) = a.lower.chunk(2, -3), a.upper.chunk(2, -3)
    return Interval(low, high), Interval(low_s, high_s)


def _farthest(t: Interval, g: Interval) -> Tensor:
    return torch.maximum(t.upper - g.lower, g.upper - t.lower)


def _nearest(t: Interval, g: Interval) -> Tensor:
    return torch.maximum(t.lower - g.upper, g.lower - t.upper).clamp(min=0)
