"""Settings of trainings that take a fraction of a second."""

from __future__ import annotations

from dataclasses import replace

import torch

from core.training.settings import TrainSettings
from core.vae.config import VAEConfig
from core.vae.model import VAE

MLP = VAEConfig(widths=(12, 8), latent=3)
CONV = VAEConfig(arch="conv", likelihood="gaussian", widths=(2, 3, 8), latent=2, sigma=0.4)
PLAIN = TrainSettings(model=MLP, epochs=4, batch=32, lr=5e-3)
ROBUST = replace(PLAIN, eps=0.1, warmup=0.5, ramp=1.5, kappa=0.3)


def weights_equal(a: VAE, b: VAE) -> bool:
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())
