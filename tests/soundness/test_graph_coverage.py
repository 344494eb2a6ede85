"""Statements on a fresh draw of networks that are no chains of linear layers and ReLUs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import core
from core.errors import UnsupportedLayerError
from core.vae.model import VAE

DELTA = 0.1


class Residual(nn.Module):
    """A decoder in which a value goes two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 8), nn.Linear(8, 16)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.first(z))
        return self.last(h + torch.nn.functional.silu(h)).unflatten(1, (1, 4, 4))


@pytest.fixture(scope="module")
def vae() -> VAE:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ELU(), nn.Linear(8, 4))
    return core.wrap(encoder.eval(), Residual().eval(), shape=(1, 4, 4), heads="chunk")


@pytest.mark.parametrize("method", ["ibp", "crown"])
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_no_attack_is_below_on_more_than_a_share_of_draws(vae: VAE, target: str, method: str) -> None:
    x, eps = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(1)), 0.05
    asked = {"states": "coverage", "delta": DELTA, "draws": 1000, "method": method, "target": target}
    proved = core.certify(vae, x, core.sample_noise(vae), eps=eps, **asked)  # pyright: ignore
    assert not bool(proved.vacuous.any())
    fresh = core.sample_noise(vae, 400, seed=77)
    attacked = [core.attack(vae, x, draw[None], eps=eps, target=target, steps=3).elbo for draw in fresh]
    below = (torch.stack(attacked) < proved.lower).double().mean(0)
    assert bool((below <= DELTA).all())


def test_the_expectation_is_refused(vae: VAE) -> None:
    x = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    with pytest.raises(UnsupportedLayerError, match="coverage"):
        core.certify(vae, x, core.sample_noise(vae), eps=0.01, states="expectation")
