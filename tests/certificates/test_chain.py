"""certified <= attacked <= clean, image by image: the promise of the whole product."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import core
from core.vae.model import VAE
from tests.conftest import make_images, make_vae

TARGETS = ("likelihood", "reconstruction")
models = st.builds(
    make_vae,
    arch=st.sampled_from(["mlp", "conv"]),
    likelihood=st.sampled_from(["bernoulli", "gaussian"]),
    channels=st.sampled_from([1, 3]),
    size=st.sampled_from([28, 32]),
    latent=st.integers(1, 4),
    sigma=st.sampled_from([0.01, 0.2, 1.0]),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.0, 1e-3, 0.3, 1.0, 3.0, 10.0, 1e3]),
)


def corner_points(x: Tensor, eps: float, count: int, seed: int) -> list[Tensor]:
    """Random corners of the ball, cut to [0, 1]: where interval bounds are tightest."""
    generator = torch.Generator().manual_seed(seed)
    signs = [torch.rand(x.shape, generator=generator).round() * 2 - 1 for _ in range(count)]
    return [(x + eps * sign).clamp(0, 1) for sign in [*signs, torch.ones_like(x), -torch.ones_like(x)]]


@pytest.mark.slow
@settings(max_examples=120)
@given(
    vae=models,
    eps=st.one_of(st.sampled_from([0.0, 1e-12, 1e-7, 1e-3, 0.1, 1.0]), st.floats(0, 1)),
    target=st.sampled_from(TARGETS),
    method=st.sampled_from(["fgsm", "pgd"]),
    draws=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_random_models(vae: VAE, eps: float, target: str, method: str, draws: int, seed: int) -> None:
    x, noise = make_images(vae, 2, seed), core.sample_noise(vae, draws, seed)
    x[1] = x[1].round()  # every pixel exactly 0 or 1
    clean = core.elbo(vae, x, noise)
    found = core.attack(vae, x, noise, eps=eps, target=target, method=method, steps=4, seed=seed)
    proved = core.certify(vae, x, noise, eps=eps, target=target)
    assert bool((proved.lower <= found.elbo).all())
    assert bool((found.elbo <= clean.total).all())
    for part in (proved.lower, proved.recon, proved.kl, proved.margin, found.elbo, clean.total):
        assert not bool(part.isnan().any())
    assert bool((proved.margin >= 0).all())
    assert bool((proved.vacuous == (proved.lower == -torch.inf)).all())
    for point in corner_points(x, eps, 2, seed):
        here = core.elbo(vae, point, noise, x if target == "reconstruction" else point)
        assert bool((proved.lower <= here.total).all())
        assert bool((proved.recon <= here.recon).all())
        assert bool((here.kl <= proved.kl).all())


@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("target", TARGETS)
def test_bounds_are_numbers_where_there_is_something_to_prove(
    arch: str, likelihood: str, target: str
) -> None:
    # A certificate of -inf would pass every other test here.
    vae = make_vae(arch, likelihood)
    x, noise = make_images(vae, 3), core.sample_noise(vae, 2)
    clean = core.elbo(vae, x, noise).total
    tight = core.certify(vae, x, noise, eps=1e-6, target=target)
    assert not bool(tight.vacuous.any())
    torch.testing.assert_close(tight.lower, clean, rtol=1e-3, atol=0)
    wide = core.certify(vae, x, noise, eps=0.05, target=target)
    assert not bool(wide.vacuous.any())
    assert bool((wide.lower < tight.lower - 1e-3).all())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("arch", ["mlp", "conv"])
def test_longer_attack_on_larger_models(arch: str, target: str) -> None:
    vae = make_vae(arch, latent=8, widths=(32, 16) if arch == "mlp" else (4, 6, 16), scale=2.0, seed=3)
    x, noise = make_images(vae, 4), core.sample_noise(vae, 4)
    for eps in (1e-4, 0.02, 0.2):
        found = core.attack(vae, x, noise, eps=eps, target=target, steps=30, restarts=2)
        proved = core.certify(vae, x, noise, eps=eps, target=target)
        assert bool((proved.lower <= found.elbo).all())
        assert bool((found.elbo < core.elbo(vae, x, noise).total).all())


def test_shipped_digits() -> None:
    vae = make_vae(seed=1, scale=1.5)
    x, _ = core.load_samples("mnist")
    noise = core.sample_noise(vae, 2)
    for target in TARGETS:
        found = core.attack(vae, x[:10], noise, eps=0.1, target=target, steps=10)
        proved = core.certify(vae, x[:10], noise, eps=0.1, target=target)
        assert bool((proved.lower <= found.elbo).all())
        assert bool((found.elbo < core.elbo(vae, x[:10], noise).total).all())
