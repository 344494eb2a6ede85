"""What is finite term by term may overflow in float32 where terms are summed, or taken from each other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import core
from core.vae.model import VAE

SHAPE = (1, 4, 4)
BERNOULLI = {"likelihood": "bernoulli", "output": "logits"}
KINDS: dict[str, tuple[float, dict[str, Any]]] = {
    "bernoulli": (-1.5e38, BERNOULLI),
    "continuous bernoulli": (-1.1e38, BERNOULLI | {"likelihood": "continuous_bernoulli"}),
    "gaussian": (1.4e19, {"likelihood": "gaussian", "output": "mean", "sigma": 1.0}),
    "learned variance": (1.5e19, {"likelihood": "gaussian", "output": "mean_logvar"}),
}
METHODS = ("ibp", "crown-ibp", "crown")


def constant(inputs: int, outputs: int, first: float) -> nn.Linear:
    """A layer that gives one number, and zeros, whatever it takes."""
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        layer.bias[0] = first
    return layer


def wrapped(mu: float, natural: float, asked: dict[str, Any]) -> VAE:
    pixels = 32 if asked["output"] == "mean_logvar" else 16
    encoder = nn.Sequential(nn.Flatten(), constant(16, 4, mu)).eval()
    return core.wrap(encoder, constant(2, pixels, natural).eval(), shape=SHAPE, heads="chunk", **asked)


def bounds(vae: VAE, draws: int, method: str) -> dict[str, Tensor]:
    x, asked = torch.ones(1, *SHAPE), {"target": "reconstruction", "arithmetic": "float32"}
    noise = torch.zeros(draws, 2)
    return core.certify(vae, x, noise, eps=0.0, method=method, **asked).by_method  # pyright: ignore


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_over_draws(kind: str, method: str) -> None:
    natural, asked = KINDS[kind]
    vae = wrapped(0.0, natural, asked)
    assert all(bool(value.isneginf().all()) for value in bounds(vae, 4, method).values())
    small = wrapped(0.0, natural / 1e4, asked)
    assert all(bool(value.isfinite().all()) for value in bounds(small, 4, method).values())


@pytest.mark.parametrize("method", METHODS)
def test_the_difference_of_score_and_kl(method: str) -> None:
    vae = wrapped(1.7e19, -3e38, BERNOULLI)
    assert all(bool(value.isneginf().all()) for value in bounds(vae, 1, method).values())


@pytest.mark.parametrize("method", METHODS)
def test_a_product_that_is_halved_afterwards(method: str) -> None:
    """d^2 exp(-s) / 2 is finite in float32 where d^2 exp(-s) is not."""
    decoder = constant(2, 32, 0.0)
    with torch.no_grad():
        decoder.bias[0], decoder.bias[16] = 1.74, -87.0
    encoder = nn.Sequential(nn.Flatten(), constant(16, 4, 0.0)).eval()
    asked = {"likelihood": "gaussian", "output": "mean_logvar", "pixels": (-1.0, 1.0), "heads": "chunk"}
    vae = core.wrap(encoder, decoder.eval(), shape=SHAPE, **asked)
    x, noise = torch.zeros(1, *SHAPE), torch.zeros(1, 2)
    single = vae.likelihood.log_prob(x, vae.decode(torch.zeros(1, 2)))
    double = vae.likelihood.log_prob(x.double(), vae.decode(torch.zeros(1, 2)).double())
    assert bool(single.isneginf())
    assert double > -torch.finfo(torch.float32).max
    found = core.certify(
        vae, x, noise, eps=0.0, method=method, arithmetic="float32", target="reconstruction"
    )
    assert all(bool(value.isneginf().all()) for value in found.by_method.values())
