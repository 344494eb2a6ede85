"""The ceiling: what no model can stay above, whatever it was trained for, and how far a model is up to it.

ELBO(x') = E[log p(t | a)] - KL(q(z | x') || p(z)), the mean over draws or over all z, with the decoder's
natural parameters a = a(z). No KL is negative, and no a does better than the best one for t, so that

    ELBO(x') <= c(t) = max over a of log p(t | a)

for every encoder and decoder. Target "likelihood" scores the attacked image, t = x': the adversary picks
it, and what a model keeps above for the whole ball it keeps above at that one image, so that its worst
ELBO is at most min over x' of c(x'). Target "reconstruction" scores the clean image, t = x, and the
adversary has no say: c(x).

Bernoulli   c(t) = -sum_j H(t_j), H(p) = -p log p - (1 - p) log (1 - p).
continuous Bernoulli  c(t) = sum_j A*(t_j), the convex conjugate of its log partition function A.
Gaussian    c(t) = -d/2 log(2 pi s^2), at its mode; with a learned variance there is none (+inf).

c is a sum over pixels, convex in each and lowest at 1/2 where it depends on the image. Within l_inf it is
thus lowest where each pixel is as near to 1/2 as the ball allows. Within l_2 every image of the ball gives
a ceiling; the best one for a Bernoulli is where the gradient, logit(t_j) + multiplier (t_j - x_j), is
zero, with the multiplier for which the image is on the ball's surface.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.bounds.ball import Ball, per_row
from core.errors import InputError
from core.isolation import isolated
from core.vae.likelihood import Likelihood
from core.vae.model import VAE
from core.vae.threat import Threat
from core.vae.validate import check_images

CEILING = "ceiling"
"""What it is called among models: with the likelihood, as the constant decoder is."""
_STEPS = 80
_NEAR, _NEXT = 1e-11, 1e-7
"""Relative; and the last step of Newton's before one that would be as small as rounding."""
# Multipliers between these: an image that stays where it is, and one that goes all the way to 1/2.
_LEAST, _MOST = math.log(1e-8), math.log(1e8)


@isolated()
def ceiling(
    vae: VAE, x: Tensor, eps: float | Tensor, target: str = "likelihood", norm: str = "linf"
) -> Tensor:
    """Bound from above the worst ELBO in a ball that any model with this likelihood can have.

    x    images (B, C, H, W) in [0, 1]. eps, target, norm: as in `core.attack`.
    Returns (B,) float64 nats, to about 1e-9; +inf where densities have no maximum. Of the model its
    likelihood counts alone. Raises InputError. Source: the head of this file.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x = core.load_samples("mnist")[0][:1]
    >>> [round(core.ceiling(vae, x, eps).item(), 1) for eps in (0.0, 0.1)]
    [-41.0, -277.4]
    """
    x = check_images(vae, x)
    return highest_worst(vae.likelihood, x, Threat(eps, target, norm))


def highest_worst(likelihood: Likelihood, x: Tensor, threat: Threat) -> Tensor:
    """The same of a likelihood, without a model: x (B, C, H, W) in [0, 1] -> (B,) float64 nats. Raises
    InputError for a radius that is none, and for the side "upper"."""
    if threat.sign < 0:
        raise InputError("A ceiling is of an adversary who lowers the ELBO; use side='lower'.")
    scored, balls = threat.scored(x.double()), threat.balls(x.double())
    return likelihood.highest(grey_image(balls) if scored is None else scored)


def grey_image(balls: Ball) -> Tensor:
    """The image of each ball that says least, (B, C, H, W) float64: its pixels are as near to 1/2 as they
    may be. For l_2 the best one for a Bernoulli, on the inside of the surface."""
    x, eps = balls.center.double(), balls.eps.double()
    if balls.norm == "linf":
        return Ball(x, eps).project(torch.full_like(x, 0.5))
    low = torch.full_like(eps, _LEAST)
    high = torch.where(eps > 0, _MOST, low)
    at, score, t = low, torch.zeros_like(x), x
    for _ in range(_STEPS):
        # From a smaller multiplier's image Newton's steps go one way.
        t, found = _towards_grey(x, at.exp(), score)
        moved = (t - x).flatten(1)
        length = moved.norm(dim=1)
        outside = length > eps
        low, high = torch.where(outside, at, low), torch.where(outside, high, at)
        score = torch.where(outside[:, None, None, None], found, score)
        far = (length.log() - eps.log()).abs()
        if bool(((far < _NEAR) | (high - low < _NEAR)).all()):
            break
        # d log length / d log multiplier: -multiplier (t - x) / (1 / t(1 - t) + multiplier) a pixel.
        pull = at.exp()[:, None] * moved**2 / (1 / (t * (1 - t)).flatten(1) + at.exp()[:, None])
        step = at + (length.log() - eps.log()) * length**2 / pull.sum(1)
        at = torch.where((step > low) & (step < high), step, (low + high) / 2)
    return Ball(x, eps, "l2").project(t)


def _towards_grey(x: Tensor, multiplier: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """Where logit(t) + multiplier (t - x) is zero, between x and 1/2, and logit(t) there; multiplier (B,).
    score: a logit(t) of a smaller multiplier, or 0."""
    weight = per_row(multiplier, x)
    for _ in range(_STEPS):
        t = score.sigmoid()
        step = (score + weight * (t - x)) / (1 + weight * t * (1 - t))
        score = score - step
        if bool((step.abs() <= _NEXT * (1 + score.abs())).all()):
            break
    return score.sigmoid(), score


def share_of_way(value: float, constant: float, ceiling: float) -> float:
    """How far a value is on the way from the constant decoder to the ceiling: 0 there, 1 here, below 0
    where the constant decoder is better. All in nats; the share has no unit. NaN where there is no way
    between them."""
    way = ceiling - constant
    return (value - constant) / way if 0 < way < float("inf") else float("nan")
