"""The training objective: who is scored clean, what each recipe scores, and that its gradient is right."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.interval import Interval
from core.certificates.elbo_bounds.robust_elbo import robust_elbo
from core.training.objective import BatchShare, ScheduleStep, TrainingObjective, clean_rows
from core.training.recipes import RECIPES, Batch, attacked
from core.training.settings import TrainSettings
from core.vae.elbo import elbo_terms
from core.vae.model import VAE
from tests.conftest import make_images, make_vae, own_config

EPS = 0.05


def problem(arch: str = "mlp", likelihood: str = "bernoulli", count: int = 6) -> tuple[VAE, BatchShare]:
    vae = make_vae(arch, likelihood, seed=4).double().requires_grad_(True)
    generator = torch.Generator().manual_seed(1)
    x = make_images(vae, count).double()
    noise = torch.randn(1, count, vae.config.latent, generator=generator).double()
    jitter = torch.rand(x.shape, generator=generator).double()
    return vae, BatchShare(x, noise, jitter, first=0, total=count)


def threat(part: BatchShare, target: str, share: float = 0.5) -> Batch:
    return Batch(part.x, part.noise, part.jitter, 0, EPS, target, beta=1.0, share=share, steps=3)


def scores(recipe: str, vae: VAE, part: BatchShare, target: str, share: float = 0.5) -> Tensor:
    return RECIPES[recipe](vae, threat(part, target, share)).value.detach()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_gradient_is_that_of_the_value(recipe: str, arch: str, likelihood: str, target: str) -> None:
    vae, part = problem(arch, likelihood)
    regularise = 10.0 if recipe == "ibp" else 0.0
    settings = TrainSettings(
        model=own_config(vae), eps=0.1, recipe=recipe, target=target, regularise=regularise
    )
    objective, step = TrainingObjective(vae, settings), ScheduleStep(EPS, kappa=0.4, beta=1.0)
    loss, _ = objective(part, step)
    loss.backward()
    generator = torch.Generator().manual_seed(2)
    for weight in vae.parameters():
        way = 1e-7 * torch.randn(weight.shape, generator=generator).double()
        with torch.no_grad():
            weight.add_(way)
        up = objective(part, step)[0].item()
        with torch.no_grad():
            weight.sub_(2 * way)
        down = objective(part, step)[0].item()
        with torch.no_grad():
            weight.add_(way)
        assert weight.grad is not None
        rise = 2 * (weight.grad * way).sum().item()
        assert up - down == pytest.approx(rise, rel=1e-3, abs=1e-11)


@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_the_mix_of_clean_and_robust(target: str) -> None:
    vae, part = problem(count=10)
    objective = TrainingObjective(vae, TrainSettings(model=own_config(vae), eps=0.1, target=target))
    loss, sums = objective(part, ScheduleStep(EPS, kappa=0.3, beta=1.0))
    clean = clean_rows(0, 10, 0.3)
    recon, kl = elbo_terms(vae, part.x, part.noise, part.x)
    box = Ball(part.x, torch.full((10,), EPS)).box
    t = box if target == "likelihood" else Interval(part.x, part.x)
    bound = robust_elbo(vae, box, part.noise, t).total
    wanted = [(recon - kl)[clean].sum(), 3, bound[~clean].sum(), 7]
    values = [v if isinstance(v, int) else v.item() for v in wanted]
    torch.testing.assert_close(sums, torch.tensor(values, dtype=torch.float64))
    torch.testing.assert_close(loss, -(wanted[0] + wanted[2]) / 10)


def test_without_a_robust_part_both_means_are_the_clean_one() -> None:
    vae, part = problem()
    loss, sums = TrainingObjective(vae, TrainSettings(model=own_config(vae)))(
        part, ScheduleStep(0.0, 1.0, 1.0)
    )
    recon, kl = elbo_terms(vae, part.x, part.noise, part.x)
    torch.testing.assert_close(loss, -(recon - kl).mean())
    assert sums[:2].tolist() == sums[2:].tolist()
    heavy, _ = TrainingObjective(vae, TrainSettings(model=own_config(vae)))(
        part, ScheduleStep(0.0, 1.0, 4.0)
    )
    torch.testing.assert_close(heavy, -(recon - 4 * kl).mean())


@given(
    total=st.integers(1, 300),
    kappa=st.one_of(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 1.0]), st.floats(0, 1)),
    cuts=st.lists(st.integers(0, 300), max_size=4),
)
def test_the_clean_share_is_spread_evenly_and_the_same_for_all_workers(
    total: int, kappa: float, cuts: list[int]
) -> None:
    whole = clean_rows(0, total, kappa)
    ends = [0, *sorted(min(cut, total) for cut in cuts), total]
    parts = [clean_rows(a, b - a, kappa) for a, b in itertools.pairwise(ends)]
    assert torch.equal(whole, torch.cat(parts))
    for first in range(0, total, 7):
        window = whole[first : first + 50]
        assert abs(window.sum().item() - kappa * len(window)) < 1 + 1e-6


@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
@pytest.mark.parametrize("arch", ["mlp", "conv"])
def test_recipes_keep_their_order(arch: str, target: str) -> None:
    vae, part = problem(arch)
    bound, low = scores("ibp", vae, part, target), scores("adversarial", vae, part, target)
    assert (bound < low).all()
    for recipe in ("crown-ibp", "sabr", "mtl-ibp", "noise"):
        assert (scores(recipe, vae, part, target) > bound).all(), recipe
    assert (scores("crown-ibp", vae, part, target) <= low).all()
    assert (scores("mtl-ibp", vae, part, target) < low).all()
    assert (low < scores("noise", vae, part, target)).all()
    torch.testing.assert_close(scores("sabr", vae, part, target, share=1.0), bound)
    torch.testing.assert_close(scores("sabr", vae, part, target, share=0.0), low)
    torch.testing.assert_close(scores("mtl-ibp", vae, part, target, share=1.0), bound)
    torch.testing.assert_close(scores("mtl-ibp", vae, part, target, share=0.25), 0.25 * bound + 0.75 * low)


@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_clean_images_in_front_change_no_score(recipe: str, target: str) -> None:
    vae, part = problem("conv")
    mixed = RECIPES[recipe](vae, replace(threat(part, target), clean=2)).value
    recon, kl = elbo_terms(vae, part.x, part.noise, part.x)
    torch.testing.assert_close(mixed[:2], (recon - kl)[:2])
    torch.testing.assert_close(mixed[2:].detach(), scores(recipe, vae, part, target)[2:])


def test_the_attack_stays_in_the_ball_and_goes_down() -> None:
    vae, part = problem()
    question = threat(part, "likelihood")
    x = attacked(vae, question)
    box = question.ball.box
    assert ((x >= box.lower) & (x <= box.upper)).all()
    recon, kl = elbo_terms(vae, x, part.noise, x)
    before, before_kl = elbo_terms(vae, part.x, part.noise, part.x)
    assert (recon - kl < before - before_kl).all()
    assert all(weight.grad is None for weight in vae.parameters())


def test_regularisers_fade_with_the_ramp() -> None:
    vae, part = problem()
    plain = TrainingObjective(vae, TrainSettings(model=own_config(vae), eps=0.1))
    strict = TrainingObjective(vae, TrainSettings(model=own_config(vae), eps=0.1, regularise=30.0))

    def extra(eps: float) -> float:
        step = ScheduleStep(eps, kappa=0.0, beta=1.0)
        return (strict(part, step)[0] - plain(part, step)[0]).item()

    assert extra(0.1) == 0
    assert 0 < extra(0.09) < extra(0.02)
    assert math.isfinite(extra(0.0))
