"""The Gaussian posterior: reparameterisation and KL divergence, each beside the bounds on it."""

from __future__ import annotations

import torch
from torch import Tensor

from core.bounds.interval import Interval, exp
from core.bounds.relaxations import chord_slope, logvar_intercept, square_intercept
from core.bounds.rounding import ELEMENTARY, EXACT, FLOAT64, UNDERFLOW, Arithmetic


def reparameterise(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """z = mu + exp(logvar / 2) * noise; mu, logvar (B, k), noise (S, 1 or B, k) -> (S, B, k)."""
    return mu + torch.exp(logvar / 2) * noise


def reparameterise_interval(
    mu: Interval, logvar: Interval, noise: Tensor, arithmetic: Arithmetic = EXACT
) -> Interval:
    """Exact bounds on z for given noise: monotone in mu, and in sigma with the sign of the noise."""
    sigma = exp(logvar.map(lambda v: v / 2), arithmetic)
    ends = sigma.lower * noise, sigma.upper * noise
    z = Interval(mu.lower + torch.minimum(*ends), mu.upper + torch.maximum(*ends))
    if not arithmetic.rounds:
        return z
    size = mu.magnitude + sigma.upper * noise.abs()
    lost = UNDERFLOW * (1 + noise.abs() + sigma.upper)
    margin = arithmetic.unless_overflow(arithmetic.gamma(3) * size + lost, size)
    return z.widened(margin).guarded()


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, I)) = 1/2 sum_i mu_i^2 + exp(logvar_i) - logvar_i - 1; (B, k) -> (B,) nats.

    Closed form (Kingma & Welling 2014, appendix B); it has no noise in it.
    """
    return kl_terms(mu, logvar).sum(-1)


def kl_terms(mu: Tensor, logvar: Tensor) -> Tensor:
    """The summands of `kl_divergence`, one per latent dimension, (B, k) nats."""
    return (mu**2 + logvar.exp() - logvar - 1) / 2


def kl_upper(mu: Interval, logvar: Interval, arithmetic: Arithmetic = EXACT) -> Tensor:
    """Exact maximum of the KL divergence over a box of posteriors, (B,) nats.

    Every summand is convex in mu_i and in logvar_i, so its maximum is at an end of each interval.
    """
    zero = torch.zeros_like(mu.lower)
    from_mu = kl_terms(mu.magnitude, zero)
    from_logvar = torch.maximum(kl_terms(zero, logvar.lower), kl_terms(zero, logvar.upper))
    return (from_mu + from_logvar).sum(-1) + kl_roundoff(mu, logvar, arithmetic)


def kl_lower(mu: Interval, logvar: Interval, arithmetic: Arithmetic = EXACT) -> Tensor:
    """Exact minimum of the KL divergence over a box of posteriors, (B,) nats.

    Every summand is smallest at 0, or at the end of its interval that is nearest to 0.
    """
    zero = torch.zeros_like(mu.lower)
    nearest = [torch.minimum(torch.maximum(zero, x.lower), x.upper) for x in (mu, logvar)]
    # At least 0 in numbers, not in floats: what rounding can do comes after the clamp.
    return kl_terms(*nearest).sum(-1).clamp(min=0) - kl_roundoff(mu, logvar, arithmetic)


def kl_roundoff(mu: Interval, logvar: Interval, arithmetic: Arithmetic) -> Tensor | float:
    """What rounding can do to the KL of a posterior in the box, (B,) nats; inf where it may overflow."""
    if not arithmetic.rounds:
        return 0.0
    twice = (mu.magnitude**2 + logvar.upper.exp() + logvar.magnitude + 1).sum(-1)
    return arithmetic.unless_overflow(arithmetic.gamma(mu.lower.shape[-1] + ELEMENTARY) * twice / 2, twice)


def kl_line(
    mu: Interval,
    logvar: Interval,
    scale: Tensor,
    on_mu: Tensor,
    on_logvar: Tensor,
    weight: int,
    arithmetic: Arithmetic,
) -> tuple[Tensor, Tensor]:
    """The line with any slopes (..., B, k) below -weight KL and what the latent code passes on: its
    constant and what rounding can take from it, (..., B).

        <scale, exp(logvar / 2)> - weight KL >= <on_mu, mu> + <on_logvar, logvar> + constant - rounding

    Separable in the 2k coordinates, so that each has its exact intercept.
    """
    constant = square_intercept(mu, on_mu, weight).sum(-1)
    constant = constant + logvar_intercept(logvar, scale, on_logvar, weight).sum(-1)
    if not arithmetic.rounds:
        return constant, torch.zeros_like(constant)
    size = mu.magnitude * (mu.magnitude + on_mu.abs())
    size = size + (1 + logvar.magnitude) * (
        logvar.upper.exp() + 1 + scale.abs() * (logvar.upper / 2).exp() + on_logvar.abs()
    )
    own = FLOAT64.gamma(mu.lower.shape[1] + 2 * ELEMENTARY)
    return constant, kl_roundoff(mu, logvar, arithmetic) + own * size.sum(-1)


def kl_parabolas(posterior: Tensor, logvar: Interval) -> tuple[Tensor, Tensor, Tensor]:
    """-KL >= sum of rest + slope * moves - curve * moves^2, each (2k,), where mu and logvar move from
    `posterior` (2k,), logvar within its interval (k,).

    -mu^2 / 2 as it is; exp(v) lies below its chord by (v - l)(u - v) exp(l) / 2 at least.
    """
    mu, v = posterior.chunk(2)
    slope = chord_slope(torch.exp, logvar.center.exp(), logvar)
    above = torch.maximum(
        logvar.lower.exp() - slope * logvar.lower, logvar.upper.exp() - slope * logvar.upper
    )
    bend, left, right = logvar.lower.exp() / 4, v - logvar.lower, logvar.upper - v
    rest = -(slope * v + above) / 2 + bend * left * right + (v + 1) / 2
    on_logvar = (1 - slope) / 2 + bend * (right - left)
    half = torch.full_like(mu, 0.5)
    return torch.cat([-mu, on_logvar]), torch.cat([half, bend]), torch.cat([-(mu**2) / 2, rest])
