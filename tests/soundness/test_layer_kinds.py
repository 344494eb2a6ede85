"""A layer kind that somebody adds: a method has all the rules that it needs, or it raises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import core
from core.bounds.interval import Interval, affine, propagate
from core.bounds.linear import inner, pull, roundoff
from core.bounds.rounding import ARITHMETICS, EXACT, FLOAT64, Arithmetic
from core.certificates.methods import FORMS, METHODS
from core.certificates.semidefinite.zonotope import exact_pull, has_exact_form
from core.errors import UnsupportedLayerError
from core.vae.model import VAE
from tests.conftest import make_images, make_vae

LINEAR = [method for method in METHODS if method not in ("ibp", *FORMS)]


class Leaky(nn.Module):
    """A layer kind that core does not know: max(v, v / 10)."""

    def forward(self, v: Tensor) -> Tensor:
        return torch.maximum(v, v / 10)


def ends(layer: Leaky, x: Interval, arithmetic: Arithmetic = EXACT) -> Interval:
    moved = x.map(layer)
    return moved if not arithmetic.rounds else moved.widened(arithmetic.gamma(2) * moved.magnitude)


def lines(layer: Leaky, a: Tensor, x: Interval, share: Tensor | None) -> tuple[Tensor, Tensor]:
    """The chord above, a line through 0 below."""
    chord = (layer(x.upper) - layer(x.lower)) / torch.where(x.width > 0, x.width, 1)
    below = torch.where(x.upper > -x.lower, 1.0, 0.1).to(a.dtype)
    stays = (x.lower >= 0) | (x.upper <= 0)
    below = torch.where(stays, torch.where(x.lower >= 0, 1.0, 0.1).to(a.dtype), below)
    above = torch.where(stays, below, chord)
    intercept = torch.where(stays, 0, layer(x.upper) - above * x.upper)
    return a.clamp(min=0) * below + a.clamp(max=0) * above, inner(a.clamp(max=0), intercept)


def moves(layer: Leaky, x: Interval, arithmetic: Arithmetic) -> Tensor:
    return (arithmetic.gamma(2) + FLOAT64.gamma(x.lower[0].numel() + 16)) * x.magnitude


RULES = {"propagate": (propagate, ends), "pull": (pull, lines), "roundoff": (roundoff, moves)}


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Registers rules for Leaky by name, for one test."""
    for rules, _ in RULES.values():
        monkeypatch.setattr(rules, "_rules", dict(rules._rules))
    return lambda *names: [RULES[name][0].register(Leaky)(RULES[name][1]) for name in names]


def leaky_vae(seed: int = 0) -> VAE:
    vae = make_vae(seed=seed, scale=1.5)
    for network in (vae.encoder, vae.decoder):
        for index, layer in enumerate(network):
            if isinstance(layer, nn.ReLU):
                network[index] = Leaky()
    return vae


def certify(vae: VAE, method: str, **asked: Any) -> Tensor:
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    return core.certify(vae, x, noise, eps=0.02, method=method, iterations=5, **asked).bound


@pytest.mark.parametrize("method", METHODS)
def test_without_a_rule_every_method_says_which_it_misses(method: str, register: Any) -> None:
    with pytest.raises(UnsupportedLayerError, match=rf"'{method}'.*Leaky.*interval\.propagate"):
        certify(leaky_vae(), method)
    register("propagate")
    if method == "ibp":
        assert certify(leaky_vae(), method).isfinite().all()
        return
    with pytest.raises(UnsupportedLayerError, match=r"Leaky.*linear\.pull"):
        certify(leaky_vae(), method)
    register("pull")
    with pytest.raises(UnsupportedLayerError, match=r"Leaky.*linear\.roundoff"):
        certify(leaky_vae(), method)


@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("arithmetic", list(ARITHMETICS))
def test_with_its_three_rules_linear_methods_hold(
    method: str, side: str, arithmetic: str, register: Any
) -> None:
    register(*RULES)
    vae = leaky_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 2)
    bound = certify(vae, method, side=side, arithmetic=arithmetic)
    found = core.attack(vae, x, noise, eps=0.02, side=side, steps=20)
    assert bound.isfinite().all()
    sign = 1 if side == "lower" else -1
    assert (sign * bound <= sign * found.elbo).all()
    ibp = certify(vae, "ibp", side=side, arithmetic=arithmetic)
    assert (sign * bound > sign * ibp).all()


@pytest.mark.parametrize("method", FORMS)
def test_methods_that_need_equalities_refuse_bounds(method: str, register: Any) -> None:
    """`pull` of an unknown kind bounds from below: taken as an equality it was beaten by 457 nats."""
    register(*RULES)
    with pytest.raises(UnsupportedLayerError, match=rf"'{method}' needs an exact affine form.*Leaky"):
        certify(leaky_vae(), method)


def test_the_forms_themselves_refuse_too(register: Any) -> None:
    register(*RULES)
    x = Interval(-torch.ones(1, 3), torch.ones(1, 3))
    assert not has_exact_form(Leaky())
    with pytest.raises(UnsupportedLayerError, match="no exact affine form"):
        exact_pull(Leaky(), torch.ones(1, 1, 3), x)
    torch.testing.assert_close(exact_pull(nn.Linear(3, 3), torch.eye(3)[:, None], x)[0].shape, (3, 1, 3))


def test_no_layer_rounds_by_nothing() -> None:
    """A layer kind whose rounding nobody knows is not one that does not round."""
    x = Interval(-torch.ones(1, 3), torch.ones(1, 3))
    for layer in (nn.Tanh(), Leaky(), nn.Dropout(), nn.Identity()):
        with pytest.raises(UnsupportedLayerError, match="how far rounding moves"):
            roundoff(layer, x, FLOAT64)


class Sub(nn.Linear):
    pass


def test_rules_are_not_inherited() -> None:
    assert affine(nn.Linear(2, 2)) is not None
    assert affine(Sub(2, 2)) is None
    for rules in (propagate, pull, roundoff):
        assert rules.knows(nn.Linear(2, 2))
        assert not rules.knows(Sub(2, 2))


def test_the_expectation_needs_a_growth_rule(register: Any) -> None:
    register(*RULES)
    with pytest.raises(UnsupportedLayerError, match="no growth rule for layer Leaky"):
        certify(leaky_vae(), "ibp", states="expectation", draws=200)
