"""arithmetic="float32": the bound holds for a forward pass that is run in float32 throughout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import core
from core.bounds.ball import Ball
from core.bounds.rounding import EXACT
from core.certificates.elbo_bounds.relaxation import Relaxation
from core.certificates.methods import METHODS, Effort, stages
from core.errors import UnsupportedModelError
from core.vae.model import VAE
from tests.conftest import make_images, make_vae


def in_order(values: Tensor, order: str) -> np.float32:
    """Sum of a vector in float32, one term after the other or as a tree."""
    terms = values.flatten().numpy()
    if order == "tree":
        return terms.sum(dtype=np.float32)
    terms = {"forward": terms, "backward": terms[::-1], "by size": np.sort(terms)}[order]
    return terms.cumsum(dtype=np.float32)[-1]


def float32_elbo(vae: VAE, x: Tensor, noise: Tensor, t: Tensor, order: str) -> list[float]:
    """The formula in float32, independent of core.vae.elbo and core.vae.likelihood."""
    assert all(v.dtype == torch.float32 for v in (x, noise, t, *vae.parameters()))
    mu, logvar = vae.encoder(x).chunk(2, -1)
    values = []
    for i in range(len(x)):
        recon = np.float32(0)
        for draw in noise:
            a = vae.decoder((mu[i] + torch.exp(logvar[i] * 0.5) * draw)[None])[0]
            if vae.config.likelihood == "bernoulli":
                terms = t[i] * a - (a.clamp(min=0) + torch.log1p(torch.exp(-a.abs())))
            else:
                sigma = vae.config.sigma
                terms = -((t[i] - a) ** 2) / (2 * sigma**2) - 0.5 * math.log(2 * math.pi * sigma**2)
            recon += in_order(terms, order)
        kl = in_order(mu[i] ** 2 + torch.exp(logvar[i]) - logvar[i] - 1, order) * np.float32(0.5)
        values.append(float(recon / np.float32(len(noise)) - kl))
    return values


@settings(max_examples=40)
@given(
    vae=st.builds(
        make_vae,
        arch=st.sampled_from(["mlp", "conv"]),
        likelihood=st.sampled_from(["bernoulli", "gaussian"]),
        seed=st.integers(0, 1000),
        scale=st.sampled_from([0.3, 1.0, 2.0, 5.0]),
    ),
    target=st.sampled_from(["likelihood", "reconstruction"]),
    eps=st.sampled_from([0.0, 1e-6, 0.01]),
    order=st.sampled_from(["forward", "backward", "by size", "tree"]),
    draws=st.integers(1, 2),
)
def test_below_the_float32_forward_pass(vae: VAE, target: str, eps: float, order: str, draws: int) -> None:
    x, noise = make_images(vae, 2), core.sample_noise(vae, draws)
    proved = core.certify(vae, x, noise, eps=eps, target=target, arithmetic="float32")
    attacked = core.attack(vae, x, noise, eps=eps, target=target, steps=3).x_adv
    for point in (x, attacked):
        t = point if target == "likelihood" else x
        values = float32_elbo(vae, point, noise, t, order)
        assert all(bound <= value for bound, value in zip(proved.lower.tolist(), values, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_every_method_is_below_the_float32_forward_pass(method: str, likelihood: str) -> None:
    for seed in range(3):
        vae = make_vae(likelihood=likelihood, size=16, seed=seed)
        x, noise = make_images(vae, 2, seed), core.sample_noise(vae, 1)
        for eps in (0.0, 1e-6):
            proved = core.certify(vae, x, noise, eps=eps, method=method, arithmetic="float32", iterations=2)
            start = x if proved.minimiser is None else proved.minimiser.float()
            attacked = core.attack(vae, x, noise, eps=eps, steps=3, start=start).x_adv
            for point in (x, attacked):
                for order in ("forward", "by size"):
                    values = torch.tensor(float32_elbo(vae, point, noise, point, order))
                    assert bool((proved.lower <= values).all())


@pytest.mark.parametrize("method", ["ibp", "crown", "alpha-crown"])
def test_a_bound_that_is_computed_in_float32_is_beaten_and_ours_is_not(method: str) -> None:
    # The same rules, run in the network's own float32 without margins, promise more than is true.
    beaten = 0
    for seed in range(4):
        vae = make_vae(seed=seed)
        x, noise = make_images(vae, 2, seed), core.sample_noise(vae, 1)
        eps = 0.0 if method == "ibp" else 1e-6
        ball = Ball(x, torch.full((2,), eps), "linf")
        naive = Relaxation(vae, ball, noise[:, None], None, 1, EXACT)
        *_, last = stages(naive, Effort(method, iterations=3))
        found = core.attack(vae, x, noise, eps=eps, steps=20)
        own = torch.tensor(float32_elbo(vae, found.x_adv, noise, found.x_adv, "forward"))
        beaten += int((last.value > found.elbo).sum()) + int((last.value > own).sum())
        proved = {
            arithmetic: core.certify(
                vae, x, noise, eps=eps, method=method, arithmetic=arithmetic, iterations=3
            ).lower
            for arithmetic in ("float64", "float32")
        }
        assert bool((proved["float64"] <= found.elbo).all())
        assert bool((proved["float32"] <= torch.minimum(found.elbo, own)).all())
    assert beaten > 0


def cancelling(seed: int) -> VAE:
    """Two decoder units that are the same, with weights of 1e5 and -1e5: 0 but for float32 rounding."""
    vae = make_vae(size=16, seed=seed)
    first, second = (vae.decoder.get_submodule(index) for index in ("0", "2"))
    for parameter in first.parameters():
        parameter[1] = parameter[0]
    first.get_parameter("bias")[:2] += 3
    second.get_parameter("weight")[:, 0] += 1e5
    second.get_parameter("weight")[:, 1] -= 1e5
    return vae


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS[1:])
def test_rounding_inside_the_network_is_covered_by_linear_bounds(method: str) -> None:
    beaten = 0
    for seed in range(2):
        vae = cancelling(seed)
        x, noise = make_images(vae, 2, seed), core.sample_noise(vae, 1)
        values = torch.tensor(float32_elbo(vae, x, noise, x, "forward"))
        proved = {
            arithmetic: core.certify(
                vae, x, noise, eps=0.0, method=method, arithmetic=arithmetic, iterations=1
            ).lower
            for arithmetic in ("float64", "float32")
        }
        assert bool((proved["float32"] <= values).all())
        beaten += int((values < proved["float64"] - 0.05).sum())
    assert beaten > 0


def test_float64_bound_does_not_cover_float32() -> None:
    # At eps = 0 the bound is exact up to its margin, so float32 rounding beats it somewhere.
    beaten = 0
    for seed in range(10):
        vae = make_vae(seed=seed)
        x, noise = make_images(vae, 4, seed), core.sample_noise(vae, 1)
        proved = core.certify(vae, x, noise, eps=0.0)
        values = float32_elbo(vae, x, noise, x, "forward")
        beaten += sum(value < bound for bound, value in zip(proved.lower.tolist(), values, strict=True))
        wider = core.certify(vae, x, noise, eps=0.0, arithmetic="float32")
        assert bool((wider.lower < proved.lower).all())
        assert bool((wider.margin > proved.margin).all())
        # It costs something, and is no excuse to say nothing.
        assert bool((wider.lower > proved.lower - 50).all())
    assert beaten > 0


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_margin_is_what_was_given_up(likelihood: str) -> None:
    vae = make_vae(likelihood=likelihood)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    clean = core.elbo(vae, x, noise).total
    for arithmetic in ("float32", "float64"):
        proved = core.certify(vae, x, noise, eps=0.0, arithmetic=arithmetic)
        torch.testing.assert_close(proved.lower + proved.margin, clean, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("states", ["draws", "expectation", "coverage"])
def test_weights_that_float32_has_not_are_refused(states: str) -> None:
    """Against activations of 0 they would overflow without a large sum."""
    vae = make_vae().double()
    vae.encoder[3].get_parameter("weight")[0, 0] = 1e39
    x, noise = make_images(make_vae(), 1), core.sample_noise(vae)
    asked: dict[str, Any] = {"eps": 0.01, "states": states, "draws": 100}
    with pytest.raises(UnsupportedModelError, match=r"above 3\.4e\+38"):
        core.certify(vae, x, noise, arithmetic="float32", **asked)
    core.certify(vae, x, noise, **asked)
