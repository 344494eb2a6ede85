"""What the tests of the certificates on the noise share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import core
from core.bounds.ball import Ball
from core.bounds.interval import Interval
from core.bounds.rounding import FLOAT64
from core.certificates.noise.expectation import coverage_lower, expectation_lower
from core.vae.elbo import as_double
from core.vae.latent import kl_divergence
from core.vae.model import VAE
from tests.conftest import make_images

KINDS = [("mlp", "bernoulli"), ("conv", "bernoulli"), ("mlp", "gaussian")]


def balls(
    vae: VAE, eps: float, target: str = "likelihood", count: int = 2
) -> tuple[Tensor, Ball, Interval]:
    """Images, the balls around them, and the boxes that are scored."""
    x = make_images(vae, count)
    ball = Ball(x, torch.full((count,), eps)).cover()
    return x, ball, ball.box if target == "likelihood" else Interval(x.double(), x.double())


def per_draw(vae: VAE, x: Tensor, noise: Tensor, t: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Reconstruction term (S, B) of each draw and the KL (B,)."""
    mu, logvar = vae.encode(x)
    z = mu + (logvar / 2).exp() * noise[:, None]
    a = vae.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2])
    return vae.likelihood.log_prob(x if t is None else t, a), kl_divergence(mu, logvar)


def fresh(vae: VAE, draws: int, seed: int = 99) -> Tensor:
    return core.sample_noise(vae, draws, seed).double()


def bound(vae: VAE, ball: Ball, t: Interval, **changes: object) -> Tensor:
    arguments = {"draws": 2000, "alpha": 0.01, "seed": 1, "arithmetic": FLOAT64} | changes
    return expectation_lower(as_double(vae), ball, t, **arguments)  # pyright: ignore[reportArgumentType]


def coverage(vae: VAE, ball: Ball, t: Interval, **changes: object) -> Tensor:
    arguments = {"draws": 2000, "delta": 0.05, "alpha": 0.01, "seed": 1, "arithmetic": FLOAT64} | changes
    return coverage_lower(as_double(vae), ball, t, **arguments)  # pyright: ignore[reportArgumentType]


def exact(vae: VAE, x: Tensor) -> Callable[[Tensor], Tensor]:
    """The ELBO of each draw, which is the tightest bound for eps = 0."""

    def refine(noise: Tensor) -> Tensor:
        recon, kl = per_draw(vae, x, noise)
        return recon - kl

    return refine
