"""Certificates on the expectation: below what fresh noise shows at attacked points."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import core
from core.bounds.ball import Ball
from core.bounds.interval import Interval, propagate_through
from core.bounds.rounding import ARITHMETICS, FLOAT64
from core.certificates import noise_certificate
from core.certificates.elbo_bounds.layer_bounds import latent_bounds
from core.certificates.noise import expectation
from core.certificates.noise.truncation import NestedBoxes, recon_lower
from core.vae.elbo import as_double
from tests.certificates.noise.noise_bounds import KINDS, balls, bound, coverage, exact, fresh, per_draw
from tests.conftest import make_images, make_vae

pytestmark = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "likelihood"), KINDS)
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_below_the_expectation_at_attacked_points(arch: str, likelihood: str, target: str) -> None:
    vae = make_vae(arch, likelihood, size=8, scale=1.5)
    x, ball, t = balls(vae, 0.05, target)
    lower = bound(vae, ball, t)
    assert lower.isfinite().all()
    found = core.attack(vae, x, core.sample_noise(vae, 64, 5), eps=0.05, target=target, steps=20)
    scored = None if target == "likelihood" else x
    for point in (x, found.x_adv):
        assert (lower <= core.elbo(vae, point, core.sample_noise(vae, 10_000, 6), scored).total).all()


@pytest.mark.slow
def test_close_to_the_expectation_of_a_single_image() -> None:
    # eps = 0: nothing is lost to the ball, what is left is sampling and truncation.
    vae = make_vae(size=8)
    x, ball, t = balls(vae, 0.0)
    value = core.elbo(vae, x, core.sample_noise(vae, 50_000, 6)).total
    spread = per_draw(as_double(vae), x.double(), fresh(vae, 5000))[0].std(0)
    lower = bound(vae, ball, t, draws=20_000)
    assert (lower <= value + 4 * spread / math.sqrt(50_000)).all()
    assert (lower >= value - 0.6).all()


@pytest.mark.slow
def test_a_shipped_model() -> None:
    vae = core.load_model("mnist-mlp-robust-0.1")
    x = core.load_samples("mnist")[0][:2]
    eps = 0.05
    ball = Ball(x, torch.full((2,), eps)).cover()
    lower = bound(vae, ball, ball.box, draws=8192)
    found = core.attack(vae, x, core.sample_noise(vae, 16), eps=eps)
    assert (lower <= core.elbo(vae, found.x_adv, core.sample_noise(vae, 10_000, 6)).total).all()
    draws = core.certify(vae, x, core.sample_noise(vae, 2000, 6), eps=eps).lower
    assert (lower >= draws - 2.5).all()


def test_truncation_and_kl_are_paid_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = make_vae()
    x, ball, t = balls(vae, 0.0)
    kl = per_draw(as_double(vae), x.double(), fresh(vae, 1))[1]
    before = bound(vae, ball, t, kl=kl)
    assert torch.allclose(bound(vae, ball, t, kl=kl + 5), before - 5, rtol=0, atol=1e-6)
    assert torch.allclose(bound(vae, ball, t), before, rtol=0, atol=1e-6)
    truncation = NestedBoxes.truncation
    monkeypatch.setattr(NestedBoxes, "truncation", lambda self, tau: truncation(self, tau) + 7)
    assert torch.allclose(bound(vae, ball, t, kl=kl), before - 7, rtol=0, atol=1e-6)


def test_more_draws_and_more_risk_tighten() -> None:
    vae = make_vae(size=8, scale=1.5)
    _, ball, t = balls(vae, 0.05)
    by_draws = [bound(vae, ball, t, draws=n) for n in (20, 500, 20_000)]
    assert (by_draws[0] < by_draws[1]).all()
    assert (by_draws[1] < by_draws[2]).all()
    assert (bound(vae, ball, t, alpha=1e-6) < bound(vae, ball, t, alpha=0.3)).all()


def test_a_larger_ball_and_a_coarser_arithmetic_lower_it() -> None:
    vae = make_vae()
    small, large = (bound(vae, *balls(vae, eps)[1:]) for eps in (0.01, 0.1))
    assert (large < small).all()
    single = bound(vae, *balls(vae, 0.01)[1:], arithmetic=ARITHMETICS["float32"])
    assert (single < small).all()
    assert (single > small - 1).all()


def test_the_l2_ball_is_within_the_box_of_its_radius() -> None:
    vae = make_vae()
    x = make_images(vae)
    box, round_ball = (Ball(x, torch.full((2,), 0.1), norm).cover() for norm in ("linf", "l2"))
    assert (bound(vae, round_ball, round_ball.box) >= bound(vae, box, box.box) - 1e-2).all()


@pytest.mark.parametrize(("arch", "likelihood"), KINDS)
@pytest.mark.parametrize("eps", [0.0, 0.05, 0.8])
def test_within_l2_the_scored_image_moves_by_its_norm(arch: str, likelihood: str, eps: float) -> None:
    """No image of the ball beats it, random or attacked, for any draw; the box alone proves less."""
    vae = make_vae(arch, likelihood, size=8, scale=1.5)
    x, model = make_images(vae, 3), as_double(vae)
    ball = Ball(x, torch.full((3,), eps), "l2").cover()
    posterior, noise = propagate_through(model.encoder, ball.box, FLOAT64)[-1], fresh(vae, 8)
    z = latent_bounds(posterior, noise[:, None], FLOAT64)
    lower, by_box = (recon_lower(model, z, scored, FLOAT64) for scored in (ball, ball.box))
    assert bool((lower >= by_box - 1e-12 * by_box.abs()).all())
    assert eps == 0 or bool((lower > by_box + 1e-3 * by_box.abs()).all())
    found = core.attack(vae, x, noise, eps=eps, norm="l2", steps=10).x_adv.double()
    generator = torch.Generator().manual_seed(0)
    for point in (ball.center, found, *(ball.random(generator) for _ in range(20))):
        assert bool((lower <= per_draw(model, point, noise)[0] + 1e-9).all())


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("eps", [0.01, 0.2])
def test_the_worst_way_of_the_scored_image_meets_it(likelihood: str, eps: float) -> None:
    """Of a code that does not move, and grey images, which no edge of the pixels' range stops."""
    model = as_double(make_vae(likelihood=likelihood, size=8, scale=1.5))
    ball = Ball(torch.full((1, 1, 8, 8), 0.5).double(), torch.tensor([eps], dtype=torch.float64), "l2")
    z = fresh(model, 1)
    lower = recon_lower(model, Interval(z, z), ball, FLOAT64)
    t = ball.center.clone().requires_grad_()
    (way,) = torch.autograd.grad(model.likelihood.log_prob(t, model.decode(z)).sum(), t)
    found = model.likelihood.log_prob(ball.center - eps * way / way.norm(), model.decode(z))
    torch.testing.assert_close(lower[0], found, rtol=1e-9, atol=1e-9)
    assert bool((lower[0] <= found).all())


@pytest.mark.slow
@pytest.mark.parametrize("states", ["expectation", "coverage"])
def test_within_l2_it_is_not_that_of_the_box(states: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below fresh draws at attacked images, and far above what the box of the scored image allows."""
    monkeypatch.setattr(noise_certificate, "_REFINED", 4)
    vae, x = core.load_model("mnist-mlp-robust-0.1"), core.load_samples("mnist")[0][:2]
    asked = {"eps": 0.3, "norm": "l2"}
    found = core.attack(vae, x, core.sample_noise(vae, 16), **asked).x_adv  # pyright: ignore[reportArgumentType]

    def proved() -> Tensor:
        return core.certify(
            vae, x, core.sample_noise(vae, 1), **asked, method="crown", states=states, draws=512
        ).lower  # pyright: ignore[reportArgumentType]

    lower = proved()
    assert bool((lower <= core.elbo(vae, found, core.sample_noise(vae, 4_000, 6)).total).all())
    monkeypatch.setattr(expectation, "_scored", lambda ball, t: t)
    assert bool((lower >= proved() + 100).all())


def test_the_same_seed_gives_the_same_bound_in_any_batch() -> None:
    vae = make_vae()
    x, ball, t = balls(vae, 0.05, count=3)
    whole = bound(vae, ball, t)
    assert torch.equal(whole, bound(vae, ball, t))
    assert not torch.equal(whole, bound(vae, ball, t, seed=2))
    one = Ball(x[2:], torch.full((1,), 0.05)).cover()
    assert torch.allclose(bound(vae, one, one.box), whole[2:], rtol=0, atol=1e-8)


def test_nothing_is_proved_where_the_network_overflows() -> None:
    vae = make_vae(scale=1e15)
    _, ball, t = balls(vae, 0.1)
    assert (bound(vae, ball, t, draws=20, arithmetic=ARITHMETICS["float32"]) == -torch.inf).all()
    assert (coverage(vae, ball, t, draws=90, arithmetic=ARITHMETICS["float32"]) == -torch.inf).all()


@pytest.mark.slow
def test_a_tighter_bound_of_few_draws_is_used() -> None:
    vae = as_double(make_vae(size=8))
    x, ball, t = balls(vae, 0.0)
    _, kl = per_draw(vae, x.double(), fresh(vae, 1))
    value = core.elbo(make_vae(size=8), x, core.sample_noise(vae, 20_000, 6)).total
    loose = bound(vae, ball, t, kl=kl + 30, draws=20_000)
    refined = bound(vae, ball, t, kl=kl + 30, draws=20_000, refine=exact(vae, x.double()), refine_draws=400)
    assert (loose < value - 30).all()
    assert (refined <= value).all()
    assert (refined >= value - 1).all()


@pytest.mark.slow
def test_bounds_on_runs_of_draws_are_compared_with_runs() -> None:
    vae = as_double(make_vae(size=8))
    x, ball, t = balls(vae, 0.0)
    single = exact(vae, x.double())
    _, kl = per_draw(vae, x.double(), fresh(vae, 1))
    value = core.elbo(make_vae(size=8), x, core.sample_noise(vae, 20_000, 6)).total

    def runs(noise: Tensor) -> Tensor:
        return single(noise).unflatten(0, (-1, 4)).mean(1)

    refined = bound(vae, ball, t, kl=kl + 30, draws=20_000, refine=runs, refine_draws=1600)
    assert (refined <= value).all()
    assert (refined >= value - 1).all()


def test_better_bounds_on_the_posterior_serve_all_draws() -> None:
    vae = make_vae()
    _, ball, t = balls(vae, 0.05)
    whole = propagate_through(vae.double().encoder, ball.box, FLOAT64)[-1]
    half = Interval(whole.center - whole.radius / 2, whole.center + whole.radius / 2)
    assert torch.equal(bound(vae, ball, t, posterior=whole), bound(vae, ball, t))
    assert (bound(vae, ball, t, posterior=half) > bound(vae, ball, t)).all()
    assert (coverage(vae, ball, t, posterior=half) > coverage(vae, ball, t)).all()


def test_a_useless_refinement_costs_only_its_share_of_the_risk() -> None:
    vae = make_vae()
    _, ball, t = balls(vae, 0.05)
    for useless in (-torch.inf, torch.nan):

        def refine(noise: Tensor, value: float = useless) -> Tensor:
            return torch.full((len(noise), 2), value, dtype=torch.float64)

        lower = bound(vae, ball, t, alpha=0.02, refine=refine, refine_draws=50)
        assert (lower <= bound(vae, ball, t, alpha=0.02)).all()
        assert (lower >= bound(vae, ball, t, alpha=0.02) - 1).all()


def test_refinement_gets_draws_of_its_own() -> None:
    vae = make_vae()
    _, ball, t = balls(vae, 0.05)
    seen: list[Tensor] = []

    def refine(noise: Tensor) -> Tensor:
        seen.append(noise)
        return torch.full((len(noise), 2), -torch.inf, dtype=torch.float64)

    bound(vae, ball, t, draws=100, refine=refine, refine_draws=7)
    assert [tuple(noise.shape) for noise in seen] == [(7, 3)]
    main = torch.randn(107, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(seen[0], main[100:])
