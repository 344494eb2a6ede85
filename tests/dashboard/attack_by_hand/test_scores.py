"""Whatever is painted, the server scores an image of the ball, and none below the proof."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import streamlit as st
import torch

import core
from core.data.samples import ASSETS
from core.vae import checkpoint
from core.vae.threat import Threat
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ProofSettings, Settings
from dashboard.addresses.paint import UNITS
from dashboard.attack_by_hand import scores
from dashboard.attack_by_hand.scores import as_levels, painted
from tests.dashboard.attack_by_hand.hands import fills

ROBUST, EPS, COUNT = "mnist-mlp-robust-0.1", 0.1, 1000


@pytest.fixture(autouse=True)
def real(models: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped models in place of the tiny ones."""
    monkeypatch.setattr(checkpoint, "MODELS", ASSETS / "models")
    st.cache_resource.clear()


def paintings(x: torch.Tensor, worst: np.ndarray, seed: int, norm: str) -> Iterator[np.ndarray]:
    """Random ones, and changes of the two fills and of the machine's own."""
    random = np.random.default_rng(seed)
    for number in range(COUNT):
        kind = number % 5
        if kind == 0:
            yield random.integers(-UNITS, UNITS + 1, x[0].shape).astype("<i2")
        elif kind == 1:
            yield random.choice([-UNITS, UNITS], x[0].shape).astype("<i2")
        else:
            start = fills(x) if kind == 2 else worst
            flips = random.random(start.shape) < random.choice([0, 0.001, 0.01, 0.1])
            more = 1 if kind < 4 else random.uniform(0.9, 1.1)
            yield np.clip(np.where(flips, -start, start) * more, -UNITS, UNITS).astype("<i2")


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "eps"), [("linf", EPS), ("l2", 0.6)])
def test_no_painting_leaves_the_ball_or_gets_below_the_proof(norm: str, eps: float):
    vae, x = core.load_model(ROBUST), core.load_samples("mnist")[0][:1]
    noise, threat = core.sample_noise(vae, 4), Threat(eps, norm=norm)
    proof = core.certify(vae, x, noise, eps=eps, norm=norm, method="crown").lower.item()
    worst = as_levels(x, core.attack(vae, x, noise, eps=eps, norm=norm).x_adv)
    points = torch.cat([painted(x, levels, threat) for levels in paintings(x, worst, 0, norm)])
    assert len(points) == COUNT
    way = (points.double() - x.double()).flatten(1)
    size = way.abs().amax(1) if norm == "linf" else way.norm(dim=1)
    assert size.max() <= eps
    assert points.min() >= 0
    assert points.max() <= 1
    assert points.dtype is torch.float32
    found = core.elbo(vae, points, noise).total
    assert found.min() >= proof
    assert found.min() < core.attack(vae, x, noise, eps=eps, norm=norm, method="fgsm").elbo.item() + 5


def test_two_fills_come_within_five_nats_of_the_machine():
    settings, digit = ProofSettings(), Digit(0)
    point = painted(digit.image(), fills(digit.image()), settings.threat(EPS))
    mine = scores.score(ROBUST, digit, settings, point)
    vae, x, noise = core.load_model(ROBUST), digit.image(), core.sample_noise(core.load_model(ROBUST), 4)
    assert mine == pytest.approx(-316.4, abs=0.05)
    assert mine < core.attack(vae, x, noise, eps=EPS, method="fgsm").elbo.item() + 5


def test_the_score_is_the_explorers_own():
    for settings in (ProofSettings(), ProofSettings("reconstruction", "linf", 2, 7)):
        digit = Digit(3)
        vae, x, noise = core.load_model(ROBUST), digit.image(), settings.noise(core.load_model(ROBUST))
        found = core.attack(vae, x, noise, eps=0.05, target=settings.target, steps=5)
        assert scores.score(ROBUST, digit, settings, found.x_adv) == pytest.approx(
            found.elbo.item(), abs=1e-9
        )


def test_what_a_machine_found_can_be_painted_on():
    settings, digit = Settings(steps=5), Digit(0)
    first = scores.first_step(ROBUST, digit, settings.proof, EPS, lambda now: None)
    x = digit.image()
    point = painted(x, first, settings.proof.threat(EPS))
    assert scores.score(ROBUST, digit, settings.proof, point) == pytest.approx(-319.7, abs=0.1)
    assert (as_levels(x, point) == first).all()
    went_on = scores.go_on(ROBUST, digit, settings, EPS, point, lambda now: None)
    assert went_on <= scores.score(ROBUST, digit, settings.proof, point) + 1e-9


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_changing_eps_cuts_the_painting(norm: str):
    x = Digit(0).image()
    for eps in (0.0, 1e-12, 1e-9, 0.003, 0.1, 1.0):
        threat = Threat(eps, norm=norm)
        way = (painted(x, fills(x), threat).double() - x.double()).flatten()
        size = way.abs().max() if norm == "linf" else way.norm()
        assert size <= eps
        assert size > eps * 0.999 - 1e-6  # float32 has nothing so near to some values
