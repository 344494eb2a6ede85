"""Initialisation and regularisers for interval training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.bounds.interval import Interval
from core.certificates.elbo_bounds.layer_bounds import interval_bounds
from core.training.fast_ibp import growth, initialise
from core.vae.config import VAEConfig
from core.vae.model import VAE
from tests.conftest import make_images, make_vae


def radii(vae: VAE, eps: float = 0.01) -> list[float]:
    """Mean radius of the box and of the input of each ReLU of the encoder."""
    x = make_images(vae, 8) * 0.5 + 0.25
    bounds = interval_bounds(vae, Interval(x - eps, x + eps), torch.zeros(1, 1, vae.config.latent))
    inputs = zip(vae.encoder, bounds.encoder, strict=False)
    hidden = [x for layer, x in inputs if isinstance(layer, nn.ReLU)]
    return [x.radius.mean().item() for x in (bounds.encoder[0], *hidden)]


@pytest.mark.parametrize(("arch", "widths"), [("mlp", (300, 300, 300)), ("conv", (16, 32, 128))])
def test_intervals_do_not_grow(arch: str, widths: tuple[int, ...]) -> None:
    vae = VAE(VAEConfig(arch=arch, widths=widths))
    before = radii(vae)
    initialise(vae, torch.Generator().manual_seed(0))
    after = radii(vae)
    # Twice the radius before a ReLU, which halves it, layer after layer.
    assert all(1.4 * after[0] < radius < 2.6 * after[0] for radius in after[1:])
    assert before[-1] > 4 * after[-1]
    assert all((layer.bias == 0).all() for layer in vae.encoder if isinstance(layer, nn.Linear))


def test_the_seed_decides_and_nothing_else() -> None:
    a, b, c = make_vae("conv", seed=1), make_vae("conv", seed=2), make_vae("conv", seed=2)
    for vae, seed in ((a, 5), (b, 5), (c, 6)):
        initialise(vae, torch.Generator().manual_seed(seed))
    assert all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())
    assert any(not torch.equal(v, c.state_dict()[k]) for k, v in b.state_dict().items())


def test_growth_of_tight_and_of_loose_intervals() -> None:
    vae, x = VAE(VAEConfig(widths=(300, 300))), torch.full((4, 1, 28, 28), 0.5)
    box = Interval(x - 0.1, x + 0.1)

    def measure() -> float:
        return growth(vae, interval_bounds(vae, box, torch.zeros(1, 1, vae.config.latent))).item()

    loose = measure()
    initialise(vae, torch.Generator().manual_seed(0))
    assert 0 <= measure() < 0.7 * loose < 2
    with torch.no_grad():
        for weight in vae.parameters():
            weight.zero_()
    assert 0 <= measure() <= 2  # nothing to divide by
