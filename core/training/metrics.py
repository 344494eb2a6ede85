"""What is measured on test images after training and kept in config.json."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.certificates.prove import certify
from core.isolation import isolated
from core.vae.elbo import elbo, sample_noise
from core.vae.latent import kl_terms
from core.vae.model import VAE
from core.vae.validate import TARGETS

QUANTILES = (0.01, 0.05, 0.1, 0.5)
ACTIVE = 0.01
CERTIFIED = 1000


@torch.no_grad()
def active_units(vae: VAE, x: Tensor) -> int:
    """Number of latent dimensions whose KL is above 0.01 nats on average over x (B, C, H, W)."""
    return int((kl_terms(*vae.encode(x)).mean(0) > ACTIVE).sum())


@isolated()
def model_metrics(vae: VAE, x: Tensor, eps: float) -> dict[str, Any]:
    """Means in nats over test images x (N, C, H, W), one noise draw (seed 0).

    Clean values and quantiles over all of x; certified ones (IBP, both targets, at the training eps)
    over its first 1,000 images.
    """
    noise = sample_noise(vae, draws=1, seed=0)
    clean = elbo(vae, x, noise)
    few = x[:CERTIFIED]
    metrics: dict[str, Any] = {
        "draws": 1,
        "noise_seed": 0,
        "images": len(x),
        "elbo": clean.total.mean().item(),
        "recon": clean.recon.mean().item(),
        "kl": clean.kl.mean().item(),
        "elbo_quantiles": {str(q): torch.quantile(clean.total, q).item() for q in QUANTILES},
        "active_units": active_units(vae, few),
        "elbo_first_1000": clean.total[:CERTIFIED].mean().item(),
    }
    if eps > 0:
        metrics["eps"] = eps
        for target in TARGETS:
            bound = certify(vae, few, noise, eps=eps, target=target)
            metrics[f"ibp_{target}_first_1000"] = bound.lower.mean().item()
    return metrics
