"""The constant decoder: the best image-independent output, with its worst case in closed form.

It ignores z, so its KL is 0, and a robust model that does not beat it certifies nothing of interest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.interval import Interval
from core.vae.learned_variance import LearnedVariance
from core.vae.likelihood import Gaussian, Likelihood, OneParameter

# Of numbers within one of 255 grey levels.
_GREY_VARIANCE = 1 / (12 * 255**2)


@dataclass(frozen=True)
class ConstantDecoder:
    """Natural parameters, those of one image, that every image is decoded to."""

    a: Tensor
    likelihood: Likelihood

    def elbo(self, x: Tensor) -> Tensor:
        """Clean ELBO of x (B, C, H, W) -> (B,) nats."""
        return self.likelihood.log_prob(x, self.a)

    def lower(self, x: Tensor, eps: float, target: str) -> Tensor:
        """Exact minimum of the ELBO over the ball, (B,) nats: what is attained is what is certified."""
        t = self._scored(x, eps, target)
        return self.likelihood.lower(t, Interval(self.a, self.a))

    @staticmethod
    def _scored(x: Tensor, eps: float, target: str) -> Interval:
        if target == "reconstruction":
            return Interval(x, x)
        return Ball(x, torch.full((len(x),), eps, dtype=torch.float64, device=x.device)).box


def fit_constant_decoder(
    levels: Tensor, likelihood: Likelihood, eps: float, target: str = "likelihood"
) -> ConstantDecoder:
    """The constant decoder with the best mean certified ELBO at eps over a data set.

    levels  (C, H, W, 256) histogram of the data set: how many images have grey level v/255 there.

    Bernoulli, target likelihood: the worst t_j for logit a_j is t_j - eps if a_j > 0 and t_j + eps if
    a_j < 0 (cut to [0, 1]), so on either side of 0 the objective is a Bernoulli log-likelihood with
    mean E[t - eps] or E[t + eps], concave, with its optimum at the logit of that mean: take the side
    whose optimum lies on it, else 0. Target reconstruction: the adversary has no say; logit of E[t].
    Gaussian: the mean image, exact for eps = 0 and for reconstruction, a baseline otherwise. With a learned
    variance: the same mean, and the variance that is best for the worst distances to it, at least that of a
    grey level, within which nothing is known.
    """
    count = levels.double()
    total = count.sum(-1)
    grey = torch.arange(256, dtype=torch.float64, device=count.device) / 255

    def mean(values: Tensor) -> Tensor:
        # A pixel that is 0 in every image of the set need not be 0 in the next one.
        half = 0.5 / total
        return ((count * values).sum(-1) / total).clamp(half, 1 - half)

    moves = 0.0 if target == "reconstruction" else eps
    if isinstance(likelihood, LearnedVariance):
        center = mean(grey)
        worst = torch.maximum(
            (grey + moves).clamp(max=1) - center[..., None], center[..., None] - (grey - moves).clamp(min=0)
        )
        square = (count * worst**2).sum(-1) / total
        return ConstantDecoder(likelihood.constant(center, square.clamp(min=_GREY_VARIANCE)), likelihood)
    assert isinstance(likelihood, OneParameter)
    if target == "reconstruction" or isinstance(likelihood, Gaussian):
        return ConstantDecoder(likelihood.natural(mean(grey)), likelihood)
    least, most = mean((grey - eps).clamp(min=0)), mean((grey + eps).clamp(max=1))
    a = likelihood.natural(least).clamp(min=0) + likelihood.natural(most).clamp(max=0)
    return ConstantDecoder(a, likelihood)
