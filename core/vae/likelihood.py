"""The likelihoods: log p(t | a), its interval minimum, and what rounding can do to it.

t is the image that is scored, a are the decoder's natural parameters: one per pixel here and in
core.vae.continuous_bernoulli, two in core.vae.learned_variance. All sums run over the pixels of one
image; results are in nats with their true sign.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from core.bounds.interval import Interval
from core.bounds.relaxations import chord_slope, corner_plane, join_faces, unit
from core.bounds.rounding import ELEMENTARY, FLOAT64, FLUSHED, Arithmetic
from core.vae.continuous_bernoulli import ContinuousBernoulli
from core.vae.learned_variance import LearnedVariance
from core.vae.parabola import Parabola

_IMAGE = (-3, -2, -1)
# Closer than this, a difference quotient is mostly rounding.
_NEAR = 1e-3


class Likelihood(Protocol):
    def log_prob(self, t: Tensor, a: Tensor) -> Tensor:
        """log p(t | a) in nats; t (..., C, H, W), a with as many channels or twice them -> (...)."""
        ...

    def lower(self, t: Interval, a: Interval) -> Tensor:
        """Exact minimum of log p over t in [t.lower, t.upper], a in [a.lower, a.upper] -> (...)."""
        ...

    def upper(self, t: Interval, a: Interval) -> Tensor:
        """Exact maximum of log p over the same box -> (...)."""
        ...

    def magnitude(self, t: Interval, a: Interval) -> Tensor:
        """Upper bound on the sum of the absolute values of all summands of log p over the box.

        A floating-point evaluation with n operations a pixel, in any order of summation, is off by
        at most gamma(d + n) times this (Higham 2002, section 3.1).
        """
        ...

    def peak(self, t: Interval, a: Interval) -> Tensor:
        """Upper bound on every intermediate result of log p, in absolute value: what must not overflow."""
        ...

    def plane_size(self, t: Interval, a: Interval) -> Tensor:
        """Upper bound on the absolute values of all summands of a plane and of a over the box."""
        ...

    def plane(self, t: Interval, a: Interval, mix: Tensor, weight: int) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes for a and t and a constant: m a + n t + c <= weight log p(t | a) for each pixel.

        weight  +1 bounds log p from below, -1 from above.
        mix     any number, best in [0, 1], shape of a: which of the valid planes. t and a broadcast.
        """
        ...

    def moved(self, t: Tensor, a: Interval) -> tuple[Interval, Tensor]:
        """How log p changes when the image moves from t by any d, for every a of the interval:

            log p(t + d | a) = log p(t | a) + <g, d> - <b, d^2>,    g in slope, every 0 <= b_j <= bend

        slope (..., C, H, W), nats for each pixel from black to white; bend (...), nats.
        """
        ...

    def highest(self, t: Tensor) -> Tensor:
        """Upper bound on log p(t | a) over all a, whatever decodes to it, t (..., C, H, W) -> (...) nats:
        +inf where there is none."""
        ...

    def mean(self, a: Tensor) -> Tensor:
        """Expected image under p(. | a), (..., C, H, W)."""
        ...

    def floor(self, pixels: int) -> float:
        """Below this many nats a lower bound says nothing and is called vacuous."""
        ...


@runtime_checkable
class OneParameter(Likelihood, Protocol):
    """A likelihood with one natural parameter a pixel, in which log p lies between parabolas."""

    def parabola(self, a: Interval, share: Tensor) -> Parabola:
        """A parabola below log p for every a in the interval and every t; share in [0, 1], shape of a:
        where it touches."""
        ...

    def curvature(self, a: Interval) -> Tensor:
        """About how much log p bends in each natural parameter, -d^2 log p / da^2 at the centre."""
        ...

    def natural(self, mean: Tensor) -> Tensor:
        """Natural parameters with that mean: the inverse of `mean`."""
        ...


def softplus(a: Tensor) -> Tensor:
    """log(1 + exp(a)). F.softplus returns a itself above 20, which is 2e-9 too low and not monotone: a
    bound that relies on the value at an end would be beaten just below 20. Above 50 they are equal."""
    return F.softplus(a, threshold=50)


def _above(a: Tensor, b: Tensor | float) -> Tensor:
    """1 where a > b, else 0, in a's dtype: choosing by lerp is many times faster than by torch.where."""
    return torch.gt(a, b, out=torch.empty_like(a))


class _WorstCorner(torch.autograd.Function):
    """min over t and a in their boxes of t a - softplus(a), elementwise, with the gradient of the corner
    that it is attained at; written out, because autograd's passes cost a training step more than this."""

    @staticmethod
    def forward(ctx: Any, t_low: Tensor, t_high: Tensor, a_low: Tensor, a_high: Tensor) -> Any:
        at_low, at_high = (
            torch.lerp(t_high, t_low, _above(end, 0)) * end - softplus(end) for end in (a_low, a_high)
        )
        first = _above(at_high, at_low)
        end = torch.lerp(a_high, a_low, first)
        ctx.save_for_backward(first, end, torch.lerp(t_high, t_low, _above(end, 0)))
        ctx.shapes = [v.shape for v in (t_low, t_high, a_low, a_high)]
        return torch.minimum(at_low, at_high)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (grad,), (first, end, t) = grad_outputs, ctx.saved_tensors
        parts: list[Tensor | None] = [None] * 4
        if any(ctx.needs_input_grad[:2]):
            on_t, positive = grad * end, _above(end, 0)
            at_low = on_t * positive
            parts[:2] = at_low, on_t - at_low
        if any(ctx.needs_input_grad[2:]):
            on_a = grad * (t - torch.sigmoid(end))
            at_low = on_a * first
            parts[2:] = at_low, on_a - at_low
        return tuple(
            None if part is None else part.sum_to_size(shape)
            for part, shape in zip(parts, ctx.shapes, strict=True)
        )


class Bernoulli:
    """log p(t | a) = sum_j t_j a_j - softplus(a_j), t in [0, 1], a = logits."""

    def log_prob(self, t: Tensor, a: Tensor) -> Tensor:
        return (t * a - softplus(a)).sum(_IMAGE)

    def lower(self, t: Interval, a: Interval) -> Tensor:
        """Linear in t_j, concave in a_j: the minimum over the box is at one of its four corners."""
        return _WorstCorner.apply(t.lower, t.upper, a.lower, a.upper).sum(_IMAGE)

    def upper(self, t: Interval, a: Interval) -> Tensor:
        """Linear in t_j: the maximum is at an end of it, and there at the a_j whose mean is nearest."""

        def best(end: Tensor) -> Tensor:
            mean = torch.logit(end).clamp(-1e30, 1e30)
            nearest = torch.minimum(torch.maximum(mean, a.lower), a.upper)
            return end * nearest - softplus(nearest)

        return torch.maximum(best(t.lower), best(t.upper)).sum(_IMAGE)

    def magnitude(self, t: Interval, a: Interval) -> Tensor:
        return (t.upper * a.magnitude + softplus(a.upper)).sum(_IMAGE)

    def peak(self, t: Interval, a: Interval) -> Tensor:
        return self.magnitude(t, a)

    def plane_size(self, t: Interval, a: Interval) -> Tensor:
        return self.magnitude(t, a) + a.magnitude.flatten(-3).sum(-1)

    def plane(self, t: Interval, a: Interval, mix: Tensor, weight: int) -> tuple[Tensor, Tensor, Tensor]:
        """Below: the lower convex envelope has two facets, along the chords at the two ends of t; any
        slope between theirs is valid. Above: concave in a, linear in t, so that for any slope m the
        maximum of log p - m a on each end of t, at sigmoid(a) = t - m, gives the plane."""

        def log_prob(t: Tensor, a: Tensor) -> Tensor:
            return t * a - softplus(a)

        if weight > 0:
            s = t.lower + mix * t.width - chord_slope(softplus, torch.sigmoid(a.center), a)
            return s, *corner_plane(log_prob, t, a, s)
        s = t.center - torch.sigmoid(a.lower + mix * a.width)

        def highest(end: Tensor) -> Tensor:
            # Where no mean is that high (low) the maximum is at the upper (lower) end. It moves with the
            # slope, but what it attains does so, by the envelope theorem, as if it stood still.
            mean = (end - s).detach().clamp(0, 1)
            best = torch.minimum(torch.maximum(torch.logit(mean), a.lower), a.upper)
            return s * best - log_prob(end, best)

        return -s, *join_faces(t, highest(t.lower), highest(t.upper))

    def parabola(self, a: Interval, share: Tensor) -> Parabola:
        """Tangent to -softplus at m, and as little bent as the interval allows:

            bend = max over a of (softplus(a) - softplus(m) - sigmoid(m) (a - m)) / (a - m)^2

        The ratio is half a mean of the second derivative, with a symmetric weight around (m + a) / 2.
        That derivative is even and falls away from 0, so that the ratio rises up to a = -m and falls
        beyond (at -m it is the bound of Jaakkola & Jordan 2000). The maximum is at the point of the
        interval nearest to -m.
        """
        m = a.lower + unit(share) * a.width
        worst = torch.minimum(torch.maximum(-m, a.lower), a.upper)
        value, mean, away = softplus(m), torch.sigmoid(m), worst - m
        far = away.abs() > _NEAR
        away = torch.where(far, away, 1)
        rise = softplus(worst) - value - mean * away
        rounding = FLOAT64.gamma(ELEMENTARY) * (softplus(worst) + value + away.abs())
        # Nearby the ratio is half the second derivative, which changes by less than 0.1 times the way.
        bend = torch.where(far, (rise + rounding) / away**2, (mean * (1 - mean) + 0.1 * _NEAR) / 2)
        return Parabola(m, -value, -mean, bend, cross=1.0, square=0.0)

    def curvature(self, a: Interval) -> Tensor:
        mean = torch.sigmoid(a.center)
        return mean * (1 - mean)

    def moved(self, t: Tensor, a: Interval) -> tuple[Interval, Tensor]:
        """Linear in t, with slope a."""
        return a, torch.zeros_like(a.lower[..., 0, 0, 0])

    def highest(self, t: Tensor) -> Tensor:
        """At the logit whose mean is t: minus the entropy of a coin of bias t_j, in each pixel."""
        return -(torch.special.entr(t) + torch.special.entr(1 - t)).sum(_IMAGE)

    def mean(self, a: Tensor) -> Tensor:
        return torch.sigmoid(a)

    def natural(self, mean: Tensor) -> Tensor:
        return torch.logit(mean)

    def floor(self, pixels: int) -> float:
        """A probability of e^-10 for every single pixel."""
        return -10.0 * pixels


class Gaussian:
    """log p(t | g) = -sum_j (t_j - g_j)^2 / (2 s^2) - d/2 log(2 pi s^2), fixed s.

    t and g are on the scale [0, 1]; `stretch` is how many of the model's own units that is: the density
    is the one on the model's scale, d log(stretch) nats lower.
    """

    def __init__(self, sigma: float, stretch: float = 1.0) -> None:
        self.sigma = sigma
        self._scale = 1 / (2 * sigma**2)
        self._constant = 0.5 * math.log(2 * math.pi * sigma**2) + math.log(stretch)

    def log_prob(self, t: Tensor, a: Tensor) -> Tensor:
        return (-self._scale * (t - a) ** 2 - self._constant).sum(_IMAGE)

    def lower(self, t: Interval, a: Interval) -> Tensor:
        """The distance |t_j - g_j| is largest where one interval ends and the other begins."""
        farthest = torch.maximum(t.upper - a.lower, a.upper - t.lower)
        return (-self._scale * farthest**2 - self._constant).sum(_IMAGE)

    def upper(self, t: Interval, a: Interval) -> Tensor:
        """The distance |t_j - g_j| is smallest across the gap between the intervals, 0 if they overlap."""
        nearest = torch.maximum(t.lower - a.upper, a.lower - t.upper).clamp(min=0)
        return (-self._scale * nearest**2 - self._constant).sum(_IMAGE)

    def magnitude(self, t: Interval, a: Interval) -> Tensor:
        # (|t| + |g|)^2, not (t - g)^2: the difference is rounded relative to its operands.
        return (self._scale * (t.upper + a.magnitude) ** 2 + abs(self._constant)).sum(_IMAGE)

    def peak(self, t: Interval, a: Interval) -> Tensor:
        return self.magnitude(t, a) + ((t.upper + a.magnitude) ** 2).sum(_IMAGE)

    def plane_size(self, t: Interval, a: Interval) -> Tensor:
        return self.magnitude(t, a) + a.magnitude.flatten(-3).sum(-1)

    def plane(self, t: Interval, a: Interval, mix: Tensor, weight: int) -> tuple[Tensor, Tensor, Tensor]:
        """Below: concave, so that a plane that is below at the four corners is below. Above: the tangent
        plane at any distance t - g, here between its two extremes."""
        if weight > 0:
            s = 2 * self._scale * (t.lower + mix * t.width - a.center)

            def log_prob(t: Tensor, a: Tensor) -> Tensor:
                return -self._scale * (t - a) ** 2 - self._constant

            return s, *corner_plane(log_prob, t, a, s)
        low, high = t.lower - a.upper, t.upper - a.lower
        at = low + mix * (high - low)
        s = 2 * self._scale * at
        return -s, s, self._constant - self._scale * at**2

    def parabola(self, a: Interval, share: Tensor) -> Parabola:
        """log p itself: it is a parabola in t and a, whatever the share."""
        zero = torch.zeros_like(a.lower)
        constant, bend = zero - self._constant, zero + self._scale
        return Parabola(zero, constant, zero, bend, cross=2 * self._scale, square=self._scale)

    def curvature(self, a: Interval) -> Tensor:
        return torch.full_like(a.lower, 2 * self._scale)

    def moved(self, t: Tensor, a: Interval) -> tuple[Interval, Tensor]:
        """A parabola in t, with slope -2 scale (t - g)."""
        slope = a.map(lambda g: 2 * self._scale * (g - t))
        return slope, torch.full_like(slope.lower[..., 0, 0, 0], self._scale)

    def highest(self, t: Tensor) -> Tensor:
        """At a mean of t: the density at the mode, the same for every image."""
        return torch.full_like(t, -self._constant).sum(_IMAGE)

    def mean(self, a: Tensor) -> Tensor:
        return a

    def natural(self, mean: Tensor) -> Tensor:
        return mean

    def floor(self, pixels: int) -> float:
        """Ten times what a mean that is wrong by a full grey scale costs at every single pixel."""
        return -(10 * self._scale + self._constant) * pixels


def score_roundoff(
    likelihood: Likelihood, t: Interval, a: Interval, draws: int, arithmetic: Arithmetic
) -> Tensor | float:
    """How far rounding can move log p(t | a) in a mean over so many draws, minus a KL, for every t and a of
    the box: (...), in nats. inf where it may overflow."""
    if not arithmetic.rounds:
        return 0.0
    terms = math.prod(a.lower.shape[-3:]) + 2 * ELEMENTARY + draws
    lost = arithmetic.gamma(terms) * likelihood.magnitude(t, a) + FLUSHED * a.magnitude.sum(_IMAGE)
    # The mean over the draws is their sum, divided.
    return arithmetic.unless_overflow(lost, draws * likelihood.peak(t, a))


def make_likelihood(
    name: str, sigma: float, stretch: float = 1.0, learned_variance: bool = False
) -> Likelihood:
    """The likelihood of a model's configuration, by name."""
    if name != "gaussian":
        return Bernoulli() if name == "bernoulli" else ContinuousBernoulli()
    return LearnedVariance(stretch) if learned_variance else Gaussian(sigma, stretch)
