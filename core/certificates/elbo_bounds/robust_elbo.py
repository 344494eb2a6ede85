"""The robust ELBO by interval propagation (Condessa & Kolter 2020, arXiv 2004.10608)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.interval import Interval, propagate_through
from core.bounds.rounding import ELEMENTARY, EXACT, FLOAT64, Arithmetic
from core.certificates.elbo_bounds.layer_bounds import LayerBounds, interval_bounds, latent_bounds
from core.vae.latent import kl_lower, kl_upper
from core.vae.likelihood import score_roundoff
from core.vae.model import VAE

ROWS = 1024
"""Images x draws whose intervals are computed together; more would take memory only."""
# Its square does not underflow.
_TINY = 1e-150


@dataclass(frozen=True)
class RobustELBO:
    """recon - kl <= ELBO(x'; t, noise) for every x' and t in their boxes (>= for weight -1).

    recon (B,) is a lower bound on the reconstruction term, kl (B,) an upper bound on the KL.
    """

    recon: Tensor
    kl: Tensor

    @property
    def total(self) -> Tensor:
        return self.recon - self.kl


def robust_elbo(vae: VAE, box: Interval, noise: Tensor, t: Interval) -> RobustELBO:
    """The paper's bound by interval propagation, differentiable, in exact arithmetic: what training uses.

    box -> intervals on mu and logvar -> interval on z for the given noise -> interval on the natural
    parameters -> worst case of each term. The encoder's intervals serve all draws.

    box, t  boxes of inputs and of scored images, (B, C, H, W).
    noise   (S, 1, k) shared by all images, or (S, B, k).
    """
    return separate_terms(vae, interval_bounds(vae, box, noise), t)


def separate_terms(
    vae: VAE, bounds: LayerBounds, t: Interval, weight: int = 1, arithmetic: Arithmetic = EXACT
) -> RobustELBO:
    """The worst case of each term alone, given bounds on every layer; the best case for weight -1."""
    recon = _recon(vae, bounds.natural, t, bounds.draws, weight, arithmetic)
    return RobustELBO(recon.mean(0), _kl(bounds.posterior, weight, arithmetic))


def interval_terms(
    vae: VAE, box: Interval, noise: Tensor, t: Interval, weight: int, arithmetic: Arithmetic
) -> RobustELBO:
    """`separate_terms` by interval propagation, some draws at a time: few intervals are there at once."""
    posterior = propagate_through(vae.encoder, box, arithmetic)[-1]
    codes = (
        latent_bounds(posterior, draws, arithmetic) for draws in noise.split(max(1, ROWS // len(box.lower)))
    )
    recon = [recon_of_codes(vae, z, t, len(noise), weight, arithmetic) for z in codes]
    mu, logvar = posterior.chunk(2)
    return RobustELBO(torch.cat(recon).mean(0), _kl((mu, logvar), weight, arithmetic))


def recon_of_codes(
    vae: VAE, z: Interval, t: Interval, draws: int, weight: int, arithmetic: Arithmetic
) -> Tensor:
    """The worst reconstruction term of latent codes z (S * B, k) by interval propagation, (S, B), in a mean
    over so many draws."""
    return _recon(vae, _natural(vae, z, t, arithmetic), t, draws, weight, arithmetic)


def recon_in_ball(vae: VAE, z: Interval, ball: Ball, arithmetic: Arithmetic) -> Tensor:
    """The same from below, of single draws, where the scored image is in an l_2 ball, not only in its box.

    log p falls by at most <slope, |d|> + bend |d|^2 when the image moves by d from the centre, |d| <= eps:
    by Cauchy-Schwarz that is eps |slope| + bend eps^2. The box serves where it is better.
    """
    a = _natural(vae, z, ball.box, arithmetic)
    lost = score_roundoff(vae.likelihood, ball.box, a, 1, arithmetic)
    by_box = vae.likelihood.lower(ball.box, a)
    slope, bend = vae.likelihood.moved(ball.center, a)
    moved = ball.eps * (slope.magnitude + _TINY).flatten(-3).norm(dim=-1) + bend * ball.eps**2
    by_norm = vae.likelihood.lower(Interval(ball.center, ball.center), a) - moved
    if arithmetic.rounds:
        own = FLOAT64.gamma(2 * a.lower[0, 0].numel() + 2 * ELEMENTARY)
        by_norm = by_norm - own * (vae.likelihood.magnitude(ball.box, a) + moved)
    return torch.fmax(by_box, by_norm) - lost


def _natural(vae: VAE, z: Interval, t: Interval, arithmetic: Arithmetic) -> Interval:
    """Natural parameters of latent codes z (S * B, k) by interval propagation, (S, B, ...)."""
    natural = propagate_through(vae.decoder, z, arithmetic)[-1]
    return natural.map(lambda v: v.unflatten(0, (-1, len(t.lower))))


def _recon(vae: VAE, a: Interval, t: Interval, draws: int, weight: int, arithmetic: Arithmetic) -> Tensor:
    """The worst reconstruction term of each of some draws, (S, B), of a mean over so many."""
    worst = vae.likelihood.lower(t, a) if weight > 0 else vae.likelihood.upper(t, a)
    return worst - weight * score_roundoff(vae.likelihood, t, a, draws, arithmetic)


def _kl(posterior: tuple[Interval, Interval], weight: int, arithmetic: Arithmetic) -> Tensor:
    return (kl_upper if weight > 0 else kl_lower)(*posterior, arithmetic)
