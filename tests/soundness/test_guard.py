"""No bound is handed out that an image of its own ball beats: planted faults raise, wherever one asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import core
from benchmarks.cells import NETWORKS
from core.certificates import noise_certificate as sampled
from core.certificates import prove
from core.certificates.methods import METHODS
from core.certificates.prove import certify
from core.certificates.stage import Stage
from core.errors import UnsoundBoundError
from core.vae.threat import SIDES
from tests.conftest import make_images, make_vae

Monkeypatch = pytest.MonkeyPatch


def plant(monkeypatch: Monkeypatch, change: Callable[[Stage], Stage]) -> None:
    """Every stage of every method is changed before anybody sees it."""
    stages = prove.stages

    def faulty(*args: Any) -> Any:
        return (change(stage) for stage in stages(*args))

    monkeypatch.setattr(prove, "stages", faulty)


def raised(nats: float) -> Callable[[Stage], Stage]:
    return lambda stage: Stage(
        stage.value + nats, stage.method, stage.bounds, stage.minimiser, stage.margin
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side", SIDES)
def test_a_bound_that_the_image_itself_beats(method: str, side: str, monkeypatch: Monkeypatch) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 2), core.sample_noise(vae, 2)
    asked: dict[str, Any] = {"eps": 0.01, "method": method, "side": side, "iterations": 2}
    certify(vae, x, noise, **asked)
    plant(monkeypatch, raised(1e3))
    with pytest.raises(UnsoundBoundError, match=r"the image itself .* please report it"):
        certify(vae, x, noise, **asked)
    with pytest.raises(UnsoundBoundError, match=side):
        list(core.refine(vae, x, noise, **asked))
    with pytest.raises(UnsoundBoundError):
        core.certified_radius(vae, x, noise, threshold=-600.0, method=method, side=side, iterations=2)


@pytest.mark.parametrize("side", SIDES)
def test_a_bound_that_only_its_minimiser_beats(side: str, monkeypatch: Monkeypatch) -> None:
    vae = make_vae(scale=2.0)
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    asked: dict[str, Any] = {"eps": 0.05, "method": "crown", "side": side}
    honest = certify(vae, x, noise, **asked)
    assert honest.minimiser is not None
    sign = 1 if side == "lower" else -1
    clean, there = (sign * core.elbo(vae, v.float(), noise).total.item() for v in (x, honest.minimiser))
    bound = sign * honest.bound.item()
    between = (clean + there) / 2
    assert bound < there < between < clean
    plant(monkeypatch, raised(between - bound))
    with pytest.raises(UnsoundBoundError, match="an image of the ball"):
        certify(vae, x, noise, **asked)


def test_a_float32_pass_that_beats_a_bound(monkeypatch: Monkeypatch) -> None:
    """A bound that covers float32 is compared with float32."""
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    asked: dict[str, Any] = {"eps": 0.0, "arithmetic": "float32"}
    exact = core.elbo(vae, x, noise).total.item()
    plant(monkeypatch, lambda stage: raised(exact - stage.value.item() - 1e-12)(stage))
    certify(vae, x, noise, eps=0.0)
    first = vae.decoder[0]
    assert isinstance(first, nn.Linear)
    lowered = first.weight.clone()
    found = []
    for step in range(1, 9):  # one of some nearby networks loses by rounding to float32
        first.weight.copy_(lowered * (1 + step * 2.0**-12))
        exact = core.elbo(vae, x, noise).total.item()
        try:
            certify(vae, x, noise, **asked)
        except UnsoundBoundError:
            found.append(step)
        certify(vae, x, noise, eps=0.0)
    assert found


@pytest.mark.parametrize("states", ["expectation", "coverage"])
def test_statements_on_all_noise_meet_fresh_draws(states: str, monkeypatch: Monkeypatch) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 2), core.sample_noise(vae)
    asked: dict[str, Any] = {"eps": 0.01, "states": states, "draws": 300, "alpha": 1e-6}
    certify(vae, x, noise, **asked)
    name = f"{states}_lower"
    honest = getattr(sampled, name)
    monkeypatch.setattr(sampled, name, lambda *args, **options: honest(*args, **options) + 1e3)
    with pytest.raises(UnsoundBoundError, match=states):
        certify(vae, x, noise, **asked)


@pytest.mark.parametrize("side", SIDES)
def test_what_is_honest_passes_untouched(side: str) -> None:
    """The guard tightens, loosens and clips nothing, overflowing networks included."""
    for scale in (1.0, 30.0, 1e18, 1e38):
        vae = make_vae(likelihood="gaussian", scale=scale)
        x, noise = make_images(vae, 2), core.sample_noise(vae, 2)
        for arithmetic in ("float64", "float32"):
            proved = certify(vae, x, noise, eps=0.3, side=side, method="crown", arithmetic=arithmetic)
            values = proved.by_method["crown"]
            shown: Tensor = torch.where(proved.vacuous, proved.bound, values)
            assert torch.equal(shown, proved.bound)


@pytest.mark.parametrize("shade", [0.0, 0.3, 1.0])
def test_densities_that_have_no_highest_accuse_nobody(shade: float) -> None:
    """A continuous Bernoulli's density of a white pixel is as high as its parameter is large."""
    vae = NETWORKS["mlp"].build("continuous_bernoulli", 1.0, 0)
    x = torch.full((1, *vae.config.shape), shade, dtype=torch.float32, device="cpu")
    noise = core.sample_noise(vae, 1)
    for sign in (1, -1):
        *_, bias = vae.decoder.parameters()
        bias.fill_(8.0 * sign)
        found = certify(vae, x, noise, eps=0.001, method="ibp", states="expectation", draws=64)
        assert found.lower.isfinite().all()
        assert (found.lower <= core.elbo(vae, x, noise).total + 1).all()
