"""Pictures of a model: what it makes up, and what it makes of digits, attacked ones too."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from core.attacks import attack
from core.data.samples import save_image
from core.evaluation.suite.plan import SuiteModel
from core.vae.elbo import sample_noise
from core.vae.model import VAE

SIDE = 8
# The radius at which models are attacked that were trained for none.
PLAIN_EPS = 0.1


@torch.no_grad()
def prior_grid(vae: VAE) -> Tensor:
    """Means decoded from SIDE x SIDE draws of the prior, seed 0: (C, SIDE * H, SIDE * W) in [0, 1]."""
    return _grid(_mean(vae, sample_noise(vae, SIDE * SIDE, seed=0)), SIDE)


def reconstruction_grid(vae: VAE, x: Tensor, y: Tensor, entry: SuiteModel, steps: int) -> Tensor:
    """Four rows: the first image x (N, C, H, W) of each class y (N,), its reconstruction from the posterior
    mean, the image attacked by pgd at the radius and target of the training, and the reconstruction of
    that. -> (C, 4 H, classes * W) in [0, 1].
    """
    digits = x[[int((y == label).nonzero()[0]) for label in y.unique()]]
    eps, target = entry.training["eps"] or PLAIN_EPS, entry.training["target"]
    attacked = attack(vae, digits, sample_noise(vae), eps=eps, target=target, steps=steps).x_adv
    with torch.no_grad():
        seen = [
            part for images in (digits, attacked) for part in (images, _mean(vae, vae.encode(images)[0]))
        ]
    return _grid(torch.cat(seen), len(digits))


def write_grids(vae: VAE, x: Tensor, y: Tensor, entry: SuiteModel, steps: int, folder: Path) -> None:
    """<model>-prior.png and <model>-reconstructions.png."""
    save_image(prior_grid(vae)[None], folder / f"{entry.name}-prior.png")
    grid = reconstruction_grid(vae, x, y, entry, steps)
    save_image(grid[None], folder / f"{entry.name}-reconstructions.png")


def _mean(vae: VAE, z: Tensor) -> Tensor:
    """Expected images for z (N, k), cut to [0, 1], which a Gaussian mean may leave."""
    return vae.likelihood.mean(vae.decode(z)).clamp(0, 1)


def _grid(images: Tensor, columns: int) -> Tensor:
    """(R * columns, C, H, W), row by row -> (C, R * H, columns * W)."""
    rows = images.unflatten(0, (-1, columns))
    return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
