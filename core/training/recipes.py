"""What a robust training step scores: one function a recipe, from provable to merely empirical.

Every recipe stands in the same place of the objective, R in kappa ELBO(x) + (1 - kappa) R(x; eps).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.interval import Interval
from core.bounds.rounding import EXACT
from core.certificates.elbo_bounds.layer_bounds import LayerBounds, interval_bounds
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.elbo_bounds.robust_elbo import separate_terms
from core.vae.elbo import elbo_terms
from core.vae.model import VAE


@dataclass(frozen=True)
class Batch:
    """A batch and what may happen to it.

    x, noise, jitter  images (B, C, H, W); draws (1, B, k); uniform numbers in [0, 1), shape of x.
    clean             so many first images are scored as they are, nothing happens to them: one pass through
                      the networks for all images is faster than one for each kind.
    eps, target       radius (0 is none), "likelihood" or "reconstruction".
    beta              weight of the KL: 1 for an ELBO.
    share, steps      see TrainSettings.
    """

    x: Tensor
    noise: Tensor
    jitter: Tensor
    clean: int
    eps: float
    target: str
    beta: float
    share: float
    steps: int

    @property
    def ball(self) -> Ball:
        """What may become of the other images."""
        x = self.x[self.clean :]
        return Ball(x, torch.full((len(x),), self.eps, dtype=x.dtype, device=x.device))

    def behind_clean(self, x: Tensor) -> Tensor:
        """The clean images and what became of the others, shape of `self.x`."""
        return torch.cat([self.x[: self.clean], x])

    def scored(self, x: Tensor) -> Tensor:
        """The images whose likelihood counts when x, shape of `self.x`, is handed in."""
        return x if self.target == "likelihood" else self.x


@dataclass(frozen=True)
class Score:
    """R of all images, (B,) in nats, the ELBO itself for the clean ones; and the bounds on the layers that
    it rests on, if it does."""

    value: Tensor
    bounds: LayerBounds | None = None


def plain_score(vae: VAE, x: Tensor, noise: Tensor, t: Tensor, beta: float) -> Tensor:
    """recon - beta KL of ELBO(x; t, noise), (B,); beta 1 is the ELBO (Higgins et al. 2017: beta-VAE)."""
    recon, kl = elbo_terms(vae, x, noise, t)
    return recon - beta * kl


def _ibp(vae: VAE, batch: Batch) -> Score:
    """The paper's: the bound by interval propagation over the whole ball (arXiv 2004.10608, section 3)."""
    return _interval(vae, batch, batch.ball.box)


def _crown_ibp(vae: VAE, batch: Batch) -> Score:
    """One backward pass of linear bounds over the intervals (Zhang et al. 2020, arXiv 1906.06316)."""
    clean, noise = batch.x[: batch.clean], batch.noise[:, batch.clean :]
    t = None if batch.target == "likelihood" else batch.ball.center
    relaxation = Relaxation(vae, batch.ball, noise, t, weight=1, arithmetic=EXACT)
    bounds = relaxation.interval_bounds()
    plain = plain_score(vae, clean, batch.noise[:, : batch.clean], clean, batch.beta)
    return Score(torch.cat([plain, LinearBounds(relaxation, bounds).bound(Slopes())]), bounds)


def _sabr(vae: VAE, batch: Batch) -> Score:
    """The interval bound over a small box around an attacked point (Müller et al. 2023, arXiv
    2210.04871): radius share * eps, moved so that it lies in the ball."""
    box, reach = batch.ball.box, batch.share * batch.eps
    point = attacked(vae, batch)
    center = torch.minimum(torch.maximum(point, box.lower + reach), box.upper - reach)
    small = Interval(torch.maximum(center - reach, box.lower), torch.minimum(center + reach, box.upper))
    return _interval(vae, batch, small)


def _mtl_ibp(vae: VAE, batch: Batch) -> Score:
    """share of the interval bound, the rest attained by an attack (De Palma et al. 2024, arXiv
    2305.13991)."""
    bound = _ibp(vae, batch)
    value = batch.share * bound.value + (1 - batch.share) * _adversarial(vae, batch).value
    return Score(value, bound.bounds)


def _adversarial(vae: VAE, batch: Batch) -> Score:
    """What an attack attains (Madry et al. 2018): no proof is trained for."""
    return _at(vae, batch, attacked(vae, batch))


def _noise(vae: VAE, batch: Batch) -> Score:
    """A random point of the ball in place of the worst one."""
    box = batch.ball.box
    return _at(vae, batch, box.lower + batch.jitter[batch.clean :] * box.width)


Recipe = Callable[[VAE, Batch], Score]
RECIPES: dict[str, Recipe] = {
    "ibp": _ibp,
    "crown-ibp": _crown_ibp,
    "sabr": _sabr,
    "mtl-ibp": _mtl_ibp,
    "adversarial": _adversarial,
    "noise": _noise,
}


def _interval(vae: VAE, batch: Batch, box: Interval) -> Score:
    """The interval bound over a box for each of the other images."""
    x = Interval(batch.behind_clean(box.lower), batch.behind_clean(box.upper), points=batch.clean)
    bounds = interval_bounds(vae, x, batch.noise)
    t = x if batch.target == "likelihood" else Interval(batch.x, batch.x)
    terms = separate_terms(vae, bounds, t)
    return Score(terms.recon - batch.beta * terms.kl, bounds)


def _at(vae: VAE, batch: Batch, point: Tensor) -> Score:
    """What is attained at a point for each of the other images."""
    x = batch.behind_clean(point)
    return Score(plain_score(vae, x, batch.noise, batch.scored(x), batch.beta))


def attacked(vae: VAE, batch: Batch) -> Tensor:
    """A low point of each ball by a few signed gradient steps from its centre. Unlike core.attacks it
    neither scores nor keeps the best in float64: a step of training has no time for it."""
    ball, noise = batch.ball, batch.noise[:, batch.clean :]
    x, length = ball.center, 2.5 * batch.eps / batch.steps
    for _ in range(batch.steps):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            t = x if batch.target == "likelihood" else ball.center
            total = plain_score(vae, x, noise, t, batch.beta).sum()
        (gradient,) = torch.autograd.grad(total, x)
        x = ball.project(x.detach() - length * gradient.sign())
    return x
