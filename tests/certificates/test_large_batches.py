"""Many images under many draws: the same bounds, without all of their intervals at once."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch

import core
from core.certificates.elbo_bounds import robust_elbo as robust
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from tests.conftest import make_images, make_vae

prove = importlib.import_module("core.certificates.prove")
IMAGES, DRAWS = 5, 6


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_some_draws_at_a_time_give_the_same(
    likelihood: str, target: str, arithmetic: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae = make_vae(likelihood=likelihood)
    x, noise, seen = make_images(vae, IMAGES), core.sample_noise(vae, DRAWS), list[int]()
    asked: dict[str, Any] = {"eps": 0.05, "target": target, "arithmetic": arithmetic, "side": side}
    whole = core.certify(vae, x, noise, **asked)
    through = robust.propagate_through

    def watched(network: Any, box: Any, *rest: Any) -> Any:
        seen.append(len(box.lower))
        return through(network, box, *rest)

    monkeypatch.setattr(robust, "propagate_through", watched)
    for rows in (2 * IMAGES, 2, 1):
        for module in (robust, prove):
            monkeypatch.setattr(module, "ROWS", rows)
        seen.clear()
        parts = core.certify(vae, x, noise, **asked)
        assert max(seen) <= rows
        for name in ("bound", "recon", "kl", "margin"):
            torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("method", ["ibp", "crown-ibp", "crown"])
def test_the_bound_is_the_one_of_all_layers_at_once(method: str) -> None:
    """What `by_method` says of interval propagation does not depend on what comes after it."""
    vae = make_vae()
    x, noise = make_images(vae, IMAGES), core.sample_noise(vae, DRAWS)
    found = core.certify(vae, x, noise, eps=0.05, method=method).by_method["ibp"]
    torch.testing.assert_close(found, core.certify(vae, x, noise, eps=0.05).lower, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["ibp", "crown-ibp"])
def test_intervals_are_made_when_they_are_looked_at(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vae, made = make_vae(), list[int]()
    x, noise = make_images(vae, 40), core.sample_noise(vae, 3)
    named = LayerBounds.named

    def watched(self: Any, vae: Any) -> Any:
        made.append(1)
        return named(self, vae)

    monkeypatch.setattr(LayerBounds, "named", watched)
    proved = core.certify(vae, x, noise, eps=0.05, method=method)
    assert made == []
    layers = list(proved.intervals)
    assert len(proved.intervals) == len(layers)
    assert len(made) == (1 if method == "ibp" else 2)  # a part of the images each, once
    assert [len(layers[i].interval.lower) for i in (0, -1)] == [40, 3]
    one = core.certify(vae, x[39:], noise, eps=0.05, method=method).intervals
    for many, alone in zip(layers, one, strict=True):
        ends = many.interval.lower, alone.interval.lower
        images = int(len(ends[0]) == 3)  # z and the decoder: draws first
        torch.testing.assert_close(ends[0].narrow(images, 39, 1), ends[1], rtol=1e-12, atol=1e-12)
