"""ELBO: against plain Python floats, torch.distributions, and itself one image at a time."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import core
from core.network.graph import Network
from core.vae.elbo import as_double
from core.vae.model import VAE
from tests.conftest import make_images, make_vae, zero_vae


def plain(network: Network, values: list[float]) -> list[float]:
    """A fully connected network in Python floats."""
    for layer in network:
        if isinstance(layer, nn.Linear):
            rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
            values = [math.fsum([*map(float.__mul__, w, values), b]) for w, b in rows]
        elif isinstance(layer, nn.ReLU):
            values = [max(v, 0.0) for v in values]
    return values


def plain_elbo(vae: VAE, x: Tensor, noise: Tensor, t: Tensor) -> float:
    """ELBO of one image, written out with math."""
    k, sigma = vae.config.latent, vae.config.sigma
    out = plain(vae.encoder, x.flatten().tolist())
    mu, logvar = out[:k], out[k:]
    recon = []
    for draw in noise.tolist():
        z = [m + math.exp(v / 2) * e for m, v, e in zip(mu, logvar, draw, strict=True)]
        pairs = zip(t.flatten().tolist(), plain(vae.decoder, z), strict=True)
        if vae.config.likelihood == "bernoulli":
            terms = [p * a - math.log1p(math.exp(a)) for p, a in pairs]
        else:
            terms = [
                -((p - a) ** 2) / (2 * sigma**2) - math.log(2 * math.pi * sigma**2) / 2 for p, a in pairs
            ]
        recon.append(math.fsum(terms))
    kl = math.fsum((m * m + math.exp(v) - v - 1) / 2 for m, v in zip(mu, logvar, strict=True))
    return math.fsum(recon) / len(recon) - kl


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_against_plain_python(likelihood: str) -> None:
    vae = make_vae(likelihood=likelihood, widths=(4, 3), scale=2.0)
    x, t, noise = make_images(vae, 2), make_images(vae, 2, seed=1), core.sample_noise(vae, 3)
    for scored in (x, t):
        expected = [plain_elbo(vae, x[i], noise, scored[i]) for i in range(2)]
        assert core.elbo(vae, x, noise, scored).total.tolist() == pytest.approx(expected, rel=1e-12)
    assert core.elbo(vae, x, noise).total.tolist() == core.elbo(vae, x, noise, x).total.tolist()


@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_against_torch_distributions(arch: str, likelihood: str) -> None:
    vae = make_vae(arch, likelihood, channels=3, size=32, sigma=0.4)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    model, exact = as_double(vae), x.double()
    mu, logvar = model.encode(exact)
    posterior = Normal(mu, (logvar / 2).exp())
    a = model.decode(posterior.mean + posterior.stddev * noise.double())
    # Bernoulli with targets between 0 and 1 is the same formula, off the distribution's support.
    scores = Bernoulli(logits=a, validate_args=False) if likelihood == "bernoulli" else Normal(a, 0.4)
    value = core.elbo(vae, x, noise)
    torch.testing.assert_close(value.recon, scores.log_prob(exact).sum((1, 2, 3)))
    torch.testing.assert_close(
        value.kl, kl_divergence(posterior, Normal(torch.zeros(3).double(), torch.ones(3).double())).sum(-1)
    )
    torch.testing.assert_close(value.total, value.recon - value.kl)
    assert value.total.dtype == torch.float64


def test_is_the_mean_over_draws(vae: VAE) -> None:
    x, noise = make_images(vae, 3), core.sample_noise(vae, 5)
    single = torch.stack([core.elbo(vae, x, noise[i : i + 1]).total for i in range(5)])
    assert single.std(0).min() > 1e-6
    torch.testing.assert_close(core.elbo(vae, x, noise).total, single.mean(0))


@pytest.mark.parametrize("rows", [1, 3, 7, 4096])
def test_chunks_do_not_show(rows: int, vae: VAE, monkeypatch: pytest.MonkeyPatch) -> None:
    x, t, noise = make_images(vae, 7), make_images(vae, 7, seed=3), core.sample_noise(vae, 2)
    alone = [core.elbo(vae, x[i : i + 1], noise, t[i : i + 1]).total.item() for i in range(7)]
    monkeypatch.setattr(importlib.import_module("core.vae.elbo"), "ROWS", rows)
    assert core.elbo(vae, x, noise, t).total.tolist() == pytest.approx(alone, rel=1e-13)


def test_many_images_and_draws_equal_one_by_one(vae: VAE) -> None:
    x, noise = make_images(vae, 40), core.sample_noise(vae, 300)
    alone = [core.elbo(vae, x[i : i + 1], noise).total.item() for i in range(40)]
    assert core.elbo(vae, x, noise).total.tolist() == pytest.approx(alone, rel=1e-13)


def test_leaves_the_model_as_it_was(vae: VAE) -> None:
    vae.train().requires_grad_(True)
    before = {key: value.clone() for key, value in vae.state_dict().items()}
    assert not core.elbo(vae, make_images(vae), core.sample_noise(vae)).total.requires_grad
    assert vae.training
    assert all(torch.equal(before[key], value) for key, value in vae.state_dict().items())
    assert all(p.dtype == torch.float32 and p.grad is None for p in vae.parameters())


@given(short=st.integers(1, 20), more=st.integers(0, 20), seed=st.integers(0, 2**63 - 1))
def test_noise_is_a_prefix_of_longer_noise(short: int, more: int, seed: int) -> None:
    vae = make_vae()
    noise = core.sample_noise(vae, short, seed)
    assert noise.shape == (short, 3)
    assert noise.dtype == torch.float32
    assert torch.equal(noise, core.sample_noise(vae, short + more, seed)[:short])


def test_noise_depends_on_the_seed_alone_and_is_normal(vae: VAE) -> None:
    noise = core.sample_noise(vae, 4, seed=1)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    assert torch.equal(noise, core.sample_noise(vae, 4, seed=1))
    assert torch.equal(state, torch.random.get_rng_state())
    assert not torch.equal(noise, core.sample_noise(vae, 4, seed=2))
    many = core.sample_noise(vae, 4000)
    assert many.mean(0).abs().max() < 0.08
    assert (many.std(0) - 1).abs().max() < 0.05


@pytest.mark.parametrize("row", [0, 1], ids=["mu", "logvar"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("weight", [3e38, -3e38, 2000.0])
def test_overflow_is_minus_infinity_never_nan(row: int, likelihood: str, weight: float) -> None:
    vae = zero_vae(likelihood=likelihood)
    first, last = vae.encoder[1], vae.encoder[3]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    first.weight.fill_(1.0)
    last.weight[row] = weight
    for layer in (vae.decoder[0], vae.decoder[2]):
        assert isinstance(layer, nn.Linear)
        layer.weight.fill_(1e30)
    value = core.elbo(vae, torch.ones(1, 1, 28, 28), torch.ones(1, 1))
    for part in (value.total, value.recon, value.kl):
        assert not bool(part.isnan().any())
    assert value.total.item() < -1e10
