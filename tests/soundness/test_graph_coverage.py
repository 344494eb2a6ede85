"""Statements on a fresh draw, and on the mean of all, of networks that are no chains of linear layers and
ReLUs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import core
from core.bounds.rule_table import name_of
from core.certificates.noise import growth
from core.errors import UnsupportedLayerError
from core.network.functions import FUNCTIONS
from core.network.graph import Graph
from core.network.operations import Elementwise
from core.vae.elbo import as_double, elbo_terms_by_draw
from core.vae.model import VAE
from tests.network.random_graphs import LATENT, random_vae

pytestmark = pytest.mark.slow

DELTA = 0.1


class Residual(nn.Module):
    """A decoder in which a value goes two ways."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 8), nn.Linear(8, outputs)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.first(z))
        return self.last(h + torch.nn.functional.silu(h))


class Gate(nn.Module):
    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return h * h.flip(1)


ONE_NUMBER = (
    {"likelihood": "bernoulli", "output": "logits"},
    {"likelihood": "continuous_bernoulli", "output": "logits"},
    {"likelihood": "gaussian", "output": "mean", "sigma": 0.5},
)
KINDS = (*ONE_NUMBER, {"likelihood": "gaussian", "output": "mean_logvar"})


def made(asked: dict[str, Any]) -> VAE:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ELU(), nn.Linear(8, 4))
    decoder = Residual(32 if asked["output"] == "mean_logvar" else 16)
    return core.wrap(encoder.eval(), decoder.eval(), shape=(1, 4, 4), heads="chunk", **asked)


@pytest.fixture(scope="module", params=KINDS, ids=lambda asked: f"{asked['likelihood']}, {asked['output']}")
def vae(request: pytest.FixtureRequest) -> VAE:
    return made(request.param)


@pytest.fixture(scope="module", params=ONE_NUMBER, ids=lambda asked: asked["likelihood"])
def growing(request: pytest.FixtureRequest) -> VAE:
    return made(request.param)


@pytest.mark.parametrize("method", ["ibp", "crown"])
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_no_attack_is_below_on_more_than_a_share_of_draws(vae: VAE, target: str, method: str) -> None:
    x, eps = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(1)), 0.05
    asked = {"states": "coverage", "delta": DELTA, "draws": 1000, "method": method, "target": target}
    proved = core.certify(vae, x, core.sample_noise(vae), eps=eps, **asked)  # pyright: ignore
    assert not bool(proved.vacuous.any())
    fresh = core.sample_noise(vae, 200, seed=77)
    attacked = [core.attack(vae, x, draw[None], eps=eps, target=target, steps=3).elbo for draw in fresh]
    below = (torch.stack(attacked) < proved.lower).double().mean(0)
    assert bool((below <= DELTA).all())


@pytest.mark.parametrize("method", ["ibp", "crown"])
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_no_attack_is_below_the_expectation(growing: VAE, target: str, method: str) -> None:
    x, eps = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(1)), 0.05
    asked = {"states": "expectation", "draws": 1000, "method": method, "target": target}
    proved = core.certify(growing, x, core.sample_noise(growing), eps=eps, **asked)  # pyright: ignore
    assert not bool(proved.vacuous.any())
    x_adv = core.attack(growing, x, core.sample_noise(growing, 64), eps=eps, target=target, steps=20).x_adv
    t = x if target == "reconstruction" else x_adv
    fresh = core.sample_noise(growing, 1000, seed=78)
    recon, kl = elbo_terms_by_draw(as_double(growing), x_adv.double(), fresh.double()[:, None], t.double())
    each = recon - kl
    error = each.std(0) / len(each) ** 0.5
    assert bool((each.mean(0) + 5 * error >= proved.lower).all())


@pytest.mark.parametrize("number", range(0, 40, 3))
def test_outputs_grow_at_most_in_proportion(number: int) -> None:
    """Of random decoders whose operations have a growth rule, for codes of any size."""
    vae = as_double(random_vae(number, "bernoulli", 2))
    steps = [layer for layer in vae.decoder if not growth._grows_in_proportion(layer)]
    if steps:
        with pytest.raises(UnsupportedLayerError, match=f"no growth rule for layer {name_of(steps[0])}"):
            growth.check_growth(vae)
        return
    generator = torch.Generator().manual_seed(number)
    size = torch.rand(1, LATENT, generator=generator).double() * 3 + 0.1
    most = growth.reach_of(vae.decoder, size, biases=True)
    for r in (1.0, 1.7, 30.0, 1e5):
        v = (2 * torch.rand(500, LATENT, generator=generator).double() - 1) * r * size
        v[:200] = v[:200].sign() * r * size
        assert bool((vae.decode(v).abs() <= r * most * (1 + 1e-9)).all())


def test_most_random_decoders_of_such_operations_are_covered() -> None:
    vaes = [random_vae(number, "bernoulli", 2) for number in range(0, 40, 3)]
    covered = [vae for vae in vaes if all(map(growth._grows_in_proportion, vae.decoder))]
    assert len(covered) >= 5
    assert sum(isinstance(vae.decoder, Graph) for vae in covered) >= 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_with_a_steepest_slope_is_lipschitz(name: str) -> None:
    weight = torch.tensor([0.3]).double() if name == "prelu" else None
    layer = Elementwise(name, weight).double()
    if not growth._grows_in_proportion(layer):
        assert name in ("exp", "log", "sqrt", "rsqrt", "reciprocal", "square", "logit")
        return
    sizes = torch.logspace(-6, 6, 4001, dtype=torch.float64)
    v = torch.cat([-sizes.flip(0), torch.zeros(1).double(), sizes])
    most = growth._lipschitz(layer, v.abs(), True)
    assert bool((layer(v).abs() <= most * (1 + 1e-12)).all())


def test_a_layer_without_a_growth_rule_raises() -> None:
    with pytest.raises(UnsupportedLayerError, match="no growth rule for layer Dropout"):
        growth.reach_of(nn.Sequential(nn.Linear(2, 2), nn.Dropout()), torch.ones(1, 2), True)


def test_what_grows_faster_is_refused() -> None:
    decoder = nn.Sequential(nn.Linear(2, 8), Gate(), nn.Linear(8, 16), nn.Unflatten(1, (1, 4, 4)))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    vae = core.wrap(encoder.eval(), decoder.eval(), shape=(1, 4, 4), heads="chunk")
    x = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    with pytest.raises(UnsupportedLayerError, match=r"Multiply.*coverage"):
        core.certify(vae, x, core.sample_noise(vae), eps=0.01, states="expectation")
