"""The robust ELBO by interval propagation (Condessa & Kolter 2020, arXiv 2004.10608)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.interval import Interval, propagate_through
from core.bounds.rounding import EXACT, Arithmetic
from core.certificates.elbo_bounds.layer_bounds import LayerBounds, interval_bounds, latent_bounds
from core.vae.latent import kl_lower, kl_upper
from core.vae.likelihood import score_roundoff
from core.vae.model import VAE

ROWS = 1024
"""Images x draws whose intervals are computed together; more would take memory only."""


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
    natural = propagate_through(vae.decoder, z, arithmetic)[-1]
    a = natural.map(lambda v: v.unflatten(0, (-1, len(t.lower))))
    return _recon(vae, a, t, draws, weight, arithmetic)


def _recon(vae: VAE, a: Interval, t: Interval, draws: int, weight: int, arithmetic: Arithmetic) -> Tensor:
    """The worst reconstruction term of each of some draws, (S, B), of a mean over so many."""
    worst = vae.likelihood.lower(t, a) if weight > 0 else vae.likelihood.upper(t, a)
    return worst - weight * score_roundoff(vae.likelihood, t, a, draws, arithmetic)


def _kl(posterior: tuple[Interval, Interval], weight: int, arithmetic: Arithmetic) -> Tensor:
    return (kl_upper if weight > 0 else kl_lower)(*posterior, arithmetic)
