"""The robust ELBO by interval propagation (Condessa & Kolter 2020, arXiv 2004.10608)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.rounding import EXACT, Arithmetic
from core.latent import kl_lower, kl_upper
from core.layers import LayerBounds, interval_bounds
from core.likelihood import score_roundoff
from core.model import VAE


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
    a = bounds.natural
    recon = vae.likelihood.lower(t, a) if weight > 0 else vae.likelihood.upper(t, a)
    recon = recon - weight * score_roundoff(vae.likelihood, t, a, bounds.draws, arithmetic)
    kl = kl_upper if weight > 0 else kl_lower
    return RobustELBO(recon.mean(0), kl(*bounds.posterior, arithmetic))
