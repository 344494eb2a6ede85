"""Certificates on the coverage of fresh draws, and the arguments of all certificates on the noise."""

from __future__ import annotations

import pytest
from torch import nn

import core
from core.errors import Cancelled, InputError, UnsupportedLayerError
from core.vae.elbo import as_double
from tests.certificates.noise.noise_bounds import balls, bound, coverage, fresh, per_draw
from tests.conftest import make_vae


class Odd(nn.ReLU):
    """A subclass, whose forward may be anything: rules go by the very class."""


@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_fresh_draws_keep_the_coverage_bound_at_attacked_points(target: str) -> None:
    vae = make_vae("mlp", size=16, latent=8, scale=2.0)
    x, ball, t = balls(vae, 0.05, target)
    lower = coverage(vae, ball, t)
    found = core.attack(vae, x, core.sample_noise(vae, 64, 5), eps=0.05, target=target, steps=20)
    scored = None if target == "likelihood" else x.double()
    recon, kl = per_draw(as_double(vae), found.x_adv.double(), fresh(vae, 20_000), scored)
    assert ((recon - kl < lower).double().mean(0) <= 0.05).all()


@pytest.mark.slow
def test_coverage_of_a_single_image_is_nearly_exact() -> None:
    vae = as_double(make_vae("mlp", size=16, latent=8, scale=2.0))
    x, ball, t = balls(vae, 0.0)
    recon, kl = per_draw(vae, x.double(), fresh(vae, 50_000))
    left = (recon - kl < coverage(vae, ball, t)).double().mean(0)
    assert (left <= 0.05).all()
    assert (left >= 0.025).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draws": 1}, "at least 2"),
        ({"draws": 0}, "draws is 0"),
        ({"draws": 2.5}, "draws is 2.5"),
        ({"alpha": 0.0}, "alpha is"),
        ({"alpha": 0.6}, "alpha is"),
        ({"seed": -1}, "seed is"),
        ({"refine": lambda noise: noise[:, :2], "refine_draws": 0}, "refine_draws is 0"),
        ({"refine": lambda noise: noise[:3, :2], "refine_draws": 10}, "refine gave"),
        ({"refine": lambda noise: noise[:, :1], "refine_draws": 10}, "refine gave"),
    ],
)
def test_arguments_of_the_expectation(changes: dict[str, object], message: str) -> None:
    vae = make_vae()
    _, ball, t = balls(vae, 0.05)
    with pytest.raises(InputError, match=message):
        bound(vae, ball, t, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draws": 89}, "at least 90"),
        ({"delta": 0.6}, "delta is"),
        ({"alpha": 0}, "alpha is"),
        ({"draws": True}, "draws is True"),
    ],
)
def test_arguments_of_coverage(changes: dict[str, object], message: str) -> None:
    vae = make_vae()
    _, ball, t = balls(vae, 0.05)
    with pytest.raises(InputError, match=message):
        coverage(vae, ball, t, **changes)


def test_progress_reaches_the_total_and_can_cancel() -> None:
    vae = make_vae()
    _, ball, t = balls(vae, 0.05)
    for run in (bound, coverage):
        seen: list[tuple[int, int]] = []
        run(vae, ball, t, draws=1000, progress=lambda done, total, seen=seen: seen.append((done, total)))
        assert seen == sorted(set(seen))
        assert len(seen) > 3
        assert seen[-1] == (1000, 1000)

        def cancel(done: int, total: int) -> None:
            raise Cancelled("enough")

        with pytest.raises(Cancelled):
            run(vae, ball, t, draws=1000, progress=cancel)


@pytest.mark.parametrize("layer", [Odd(), nn.Sigmoid()])
def test_a_layer_without_a_growth_rule(layer: nn.Module) -> None:
    vae = make_vae()
    _, ball, t = balls(vae, 0.05)
    assert bound(vae, ball, t).isfinite().all()
    vae.decoder[1] = layer
    with pytest.raises(UnsupportedLayerError, match=type(layer).__name__):
        bound(vae, ball, t)
