from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import core
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import Settings
from dashboard.server.background import Now, Show
from dashboard.shared import compute
from tests.dashboard.page_parts import NAMES

GRID = (0.0, 0.1, 0.2)


def quiet(now: Now) -> None:
    assert 0 <= now.share <= 1
    assert now.what


def explore(show: Show = quiet) -> compute.Result:
    return compute.explore(NAMES[0], Digit(0), Settings(steps=4), GRID, show)


def test_proved_attained_and_clean_are_in_order_and_add_up():
    result = explore()
    curve, terms = result.curve, result.terms
    assert bool((curve.proved() <= curve.attained).all())
    assert bool((curve.attained <= curve.clean).all())
    total = terms.recon - terms.kl
    assert total == pytest.approx(curve.attained.numpy())
    change = abs(result.attacked - result.image).reshape(3, -1).max(1)
    assert (change <= np.array(GRID) + 1e-6).all()
    assert change[2] > 0.1
    assert result.recon_attacked[0] == pytest.approx(result.recon_image, abs=1e-6)
    assert [p.eps for p in curve.proofs] == list(GRID)
    assert (result.clean.recon - result.clean.kl)[0] == pytest.approx(curve.clean)


def test_the_second_time_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch):
    first = explore()
    monkeypatch.delattr(core, "elbo_curve")
    assert explore().curve.clean == first.curve.clean


def test_labels_say_how_a_model_was_trained(models):
    shown = compute.labels(NAMES)
    assert shown[NAMES[0]] == "Robust MLP (eps 0.1)"
    assert shown[NAMES[1]] == f"Standard MLP, {NAMES[1]}"
    assert shown[NAMES[2]] == f"Standard MLP, {NAMES[2]}"
    assert compute.labels(NAMES[:2])[NAMES[1]] == "Standard MLP"
    (models / NAMES[2] / "config.json").write_text("{}")
    assert compute.labels(NAMES[1:])[NAMES[2]] == NAMES[2]


@pytest.mark.parametrize(
    ("likelihood", "training", "shown"),
    [
        ("bernoulli", {"eps": 0.0}, "Standard CONV"),
        ("bernoulli", {"recipe": "ibp", "eps": 0.1}, "Robust CONV (eps 0.1)"),
        ("bernoulli", {"recipe": "crown-ibp", "eps": 0.1}, "Robust CONV (eps 0.1, CROWN-IBP)"),
        ("bernoulli", {"recipe": "sabr", "eps": 0.05}, "Robust CONV (eps 0.05, SABR)"),
        ("bernoulli", {"recipe": "mtl-ibp", "eps": 0.1}, "Robust CONV (eps 0.1, MTL-IBP)"),
        ("bernoulli", {"recipe": "adversarial", "eps": 0.1}, "Adversarial CONV (eps 0.1)"),
        ("bernoulli", {"recipe": "noise", "eps": 0.1}, "Noise CONV (eps 0.1)"),
        ("bernoulli", {"recipe": "ibp", "eps": 0.0, "beta": 4.0}, "Beta-VAE CONV (4)"),
        ("bernoulli", {"recipe": "ibp", "eps": 0.1, "beta": 4.0}, "Robust CONV (eps 0.1, beta 4)"),
        ("bernoulli", {"eps": 0.1, "target": "reconstruction"}, "Robust CONV (eps 0.1, reconstruction)"),
        ("gaussian", {"eps": 0.0, "beta": 1.0}, "Standard CONV, Gaussian"),
        ("gaussian", {"recipe": "ibp", "eps": 0.1}, "Robust CONV (eps 0.1), Gaussian"),
        ("bernoulli", {"recipe": "alchemy", "eps": 0.1}, NAMES[0]),
        ("bernoulli", {"recipe": [], "eps": 0.1}, NAMES[0]),
        ("bernoulli", {"eps": "much"}, NAMES[0]),
    ],
)
def test_labels_say_the_recipe(models: Path, likelihood: str, training: dict[str, object], shown: str):
    config = {"format": 1, "model": {"arch": "conv", "likelihood": likelihood}}
    config["training"] = {"target": "likelihood"} | training
    (models / NAMES[0] / "config.json").write_text(json.dumps(config))
    assert compute.labels(NAMES[:1]) == {NAMES[0]: shown}
