"""Attacks: inside the ball, better than chance, honest about what they attained."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import core
from core.attacks import ATTACKS
from core.attacks.gradient import cosine_step
from core.attacks.objective import Evaluation, Objective
from core.vae.model import VAE
from tests.conftest import make_images, make_vae
from tests.covering import covering

TARGETS = ("likelihood", "reconstruction")
methods = pytest.mark.parametrize("method", ATTACKS)
# Those that follow the ELBO itself; the others pursue another goal and may not lower it at all.
DIRECT = ("fgsm", "pgd", "apgd", "spg", "vertex", "strongest")
direct = pytest.mark.parametrize("method", DIRECT)
targets = pytest.mark.parametrize("target", TARGETS)


def score(vae: VAE, point: Tensor, x: Tensor, noise: Tensor, target: str) -> Tensor:
    return core.elbo(vae, point, noise, point if target == "likelihood" else x).total


def random_search(vae: VAE, x: Tensor, noise: Tensor, eps: float, target: str, evaluations: int) -> Tensor:
    """The lowest ELBO over random corners of the ball, the strongest points that chance finds."""
    generator = torch.Generator().manual_seed(0)
    best = score(vae, x, x, noise, target)
    for _ in range(evaluations):
        sign = torch.rand(x.shape, generator=generator).round() * 2 - 1
        best = torch.minimum(best, score(vae, (x + eps * sign).clamp(0, 1), x, noise, target))
    return best


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "target", "arch", "likelihood"),
    covering(2, DIRECT, TARGETS, ["mlp", "conv"], ["bernoulli", "gaussian"]),
)
def test_beats_random_search_by_far(method: str, target: str, arch: str, likelihood: str) -> None:
    vae = make_vae(arch, likelihood, size=16, scale=2.0, sigma=0.5)
    x, noise, eps = make_images(vae, 4), core.sample_noise(vae, 2), 0.05
    found = core.attack(vae, x, noise, eps=eps, target=target, method=method, steps=20)
    clean = score(vae, x, x, noise, target)
    chance = random_search(vae, x, noise, eps, target, len(found.history))
    assert bool((found.elbo < clean).all())
    assert (clean - found.elbo).mean() > 2 * (clean - chance).mean()
    assert (clean - found.elbo).mean() > 0.5


def test_more_steps_beat_one() -> None:
    vae = make_vae(scale=2.0, seed=1)
    x, noise = make_images(vae, 6), core.sample_noise(vae, 2)
    one = core.attack(vae, x, noise, eps=0.1, method="fgsm", target="reconstruction").elbo
    many = core.attack(vae, x, noise, eps=0.1, method="pgd", steps=40, target="reconstruction").elbo
    assert bool((many <= one + 1e-3).all())
    assert (one - many).mean() > 0.1


@pytest.mark.slow
@methods
@targets
@settings(max_examples=15)
@given(seed=st.integers(0, 1000), eps=st.one_of(st.sampled_from([1e-9, 1e-3, 1.0]), st.floats(0, 1)))
def test_the_result_is_in_the_ball_and_honest(method: str, target: str, seed: int, eps: float) -> None:
    vae = make_vae(size=16, seed=seed)
    x, noise = make_images(vae, 2, seed), core.sample_noise(vae, 2)
    found = core.attack(
        vae, x, noise, eps=eps, target=target, method=method, steps=3, restarts=2, seed=seed
    )
    assert found.x_adv.shape == x.shape
    assert found.x_adv.dtype == x.dtype
    assert found.x_adv.min() >= 0
    assert found.x_adv.max() <= 1
    # In float32, x +- eps is the nearest float: one rounding outside at most.
    assert (found.x_adv.double() - x.double()).abs().max() <= eps * (1 + 2**-23) + 2**-24
    torch.testing.assert_close(found.elbo, score(vae, found.x_adv, x, noise, target), rtol=1e-12, atol=0)
    assert (found.method, found.target, found.eps.tolist()) == (method, target, [eps, eps])


@pytest.mark.slow
@methods
@targets
def test_history(method: str, target: str, vae: VAE) -> None:
    x, noise = make_images(vae, 3), core.sample_noise(vae, 2)
    found = core.attack(vae, x, noise, eps=0.1, target=target, method=method, steps=5, restarts=3)
    evaluations = {"fgsm": 2, "latent": 19, "targeted": 19, "damage": 19, "strongest": 377}
    assert found.history.shape == (evaluations.get(method, (5 + 1) * 3), 3)
    assert found.history.dtype == torch.float64
    assert bool((found.history.diff(dim=0) <= 0).all())
    assert torch.equal(found.history[0], score(vae, x, x, noise, target))
    assert torch.equal(found.history[-1], found.elbo)


@targets
@pytest.mark.parametrize("level", [0.0, 1.0], ids=["black", "white"])
@pytest.mark.parametrize("arch", ["mlp", "conv"])
def test_pixels_on_0_and_1_have_a_gradient_and_move(level: float, target: str, arch: str) -> None:
    vae = make_vae(arch, scale=2.0, widths=(12, 8) if arch == "mlp" else (4, 6, 16))
    x, noise = torch.full((1, 1, 28, 28), level), core.sample_noise(vae, 2)
    objective = Objective(vae, noise, None if target == "likelihood" else x)
    slope = objective(x).gradient()
    assert (slope != 0).double().mean() > 0.95
    # Those that can move at all are the ones whose ELBO falls towards the inside of [0, 1].
    inward = (slope < 0) if level == 0 else (slope > 0)
    assert inward.double().mean() > 0.1
    found = core.attack(vae, x, noise, eps=0.1, target=target, method="fgsm")
    moved = (found.x_adv - x).abs() > 0.05
    assert torch.equal(moved, inward)


def test_gradient_is_the_finite_difference(vae: VAE) -> None:
    double = vae.double()
    x, noise = make_images(vae, 1).double(), core.sample_noise(vae, 2).double()
    for t in (None, x):
        objective = Objective(double, noise, t)
        slope = objective(x).gradient()
        generator = torch.Generator().manual_seed(0)
        way = torch.randn(x.shape, generator=generator).double()
        rise = (objective(x + 1e-6 * way).value - objective(x - 1e-6 * way).value) / 2e-6
        torch.testing.assert_close((slope * way).sum().view(1), rise, rtol=1e-5, atol=1e-6)


@targets
def test_restarts_keep_the_best(target: str) -> None:
    vae = make_vae(scale=3.0, seed=5)
    x, noise = make_images(vae, 6), core.sample_noise(vae, 1)
    settings_ = {"eps": 0.3, "target": target, "steps": 4, "seed": 3}
    one = core.attack(vae, x, noise, restarts=1, **settings_)
    four = core.attack(vae, x, noise, restarts=4, **settings_)
    torch.testing.assert_close(four.history[:4], one.history[:4])
    assert bool((four.elbo <= one.elbo).all())
    assert bool((four.elbo < one.elbo - 1e-6).any())


def test_the_seed_decides_everything(vae: VAE) -> None:
    x, noise = make_images(vae, 2), core.sample_noise(vae, 2)

    def run(seed: int) -> Tensor:
        return core.attack(vae, x, noise, eps=0.2, steps=2, restarts=3, seed=seed).history

    first = run(1)
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    assert torch.equal(first, run(1))
    assert torch.equal(state, torch.random.get_rng_state())
    vae3 = make_vae(scale=3.0, seed=5)
    paths = [
        core.attack(vae3, x, noise, eps=0.3, steps=1, restarts=4, seed=seed).elbo.tolist()
        for seed in range(4)
    ]
    assert any(path != paths[0] for path in paths)


@direct
@targets
def test_one_eps_an_image_equals_separate_calls(method: str, target: str) -> None:
    vae = make_vae(size=16, scale=2.0)
    x, noise = make_images(vae, 3), core.sample_noise(vae, 2)
    radii = [0.0, 0.03, 0.4]
    together = core.attack(
        vae, x, noise, eps=torch.tensor(radii, dtype=torch.float64), target=target, method=method, steps=5
    )
    for i, eps in enumerate(radii):
        alone = core.attack(vae, x[i : i + 1], noise, eps=eps, target=target, method=method, steps=5)
        # A batch is summed in another order than one image, and signs may flip where the slope is ~ 0.
        torch.testing.assert_close(together.elbo[i : i + 1], alone.elbo, rtol=1e-5, atol=1e-4)
        assert together.eps[i].item() == eps


@methods
@targets
def test_eps_0_is_the_clean_image(method: str, target: str, vae: VAE) -> None:
    x, noise = make_images(vae, 3), core.sample_noise(vae, 2)
    found = core.attack(vae, x, noise, eps=0, target=target, method=method, steps=3, restarts=2)
    assert torch.equal(found.x_adv, x)
    assert torch.equal(found.elbo, core.elbo(vae, x, noise).total)


def test_leaves_the_model_and_the_images_as_they_were(vae: VAE) -> None:
    vae.train().requires_grad_(True)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 2)
    before = {key: value.clone() for key, value in vae.state_dict().items()}
    images = x.clone()
    found = core.attack(vae, x, noise, eps=0.1, steps=3, restarts=2)
    assert all(p.grad is None and p.requires_grad for p in vae.parameters())
    assert all(torch.equal(before[key], value) for key, value in vae.state_dict().items())
    assert vae.training
    assert torch.equal(x, images)
    assert not x.requires_grad
    assert not any(part.requires_grad for part in (found.x_adv, found.elbo, found.history))


def test_progress_counts_and_can_cancel(vae: VAE) -> None:
    x, noise = make_images(vae, 2), core.sample_noise(vae, 2)
    seen: list[tuple[int, int]] = []
    core.attack(vae, x, noise, eps=0.1, steps=3, restarts=2, progress=lambda *now: seen.append(now))
    assert seen == [(i + 1, 8) for i in range(8)]

    def cancel(done: int, total: int) -> None:
        if done == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        core.attack(vae, x, noise, eps=0.1, steps=3, progress=cancel)


def test_cosine_step_goes_from_1_towards_0() -> None:
    sizes = [cosine_step(i, 40) for i in range(40)]
    assert sizes[0] == 1
    assert 0 < sizes[-1] < 0.01
    assert sizes == sorted(sizes, reverse=True)
    assert cosine_step(20, 40) == pytest.approx(0.5)


def test_a_search_that_was_misled_reports_the_clean_image(
    vae: VAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rounding in the search's own precision can call a worse point better; here it always does.
    class Misled(Objective):
        def __call__(self, x: Tensor) -> Evaluation:
            evaluation = super().__call__(x)
            evaluation.value = -evaluation.value
            return evaluation

    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    climb = core.attack(vae, x, noise, eps=0.1, steps=3)
    assert bool((climb.elbo < core.elbo(vae, x, noise).total).all())
    monkeypatch.setattr("core.attacks.base.Objective", Misled)
    monkeypatch.setattr("core.attacks.gradient.cosine_step", lambda step, steps: -1.0)
    found = core.attack(vae, x, noise, eps=0.1, steps=3)
    assert torch.equal(found.x_adv, x)
    assert torch.equal(found.elbo, core.elbo(vae, x, noise).total)


def test_overflowing_model_gives_no_nan() -> None:
    vae = make_vae(scale=1e6)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    found = core.attack(vae, x, noise, eps=0.1, steps=3, restarts=2)
    assert not bool((found.elbo.isnan() | found.history.isnan().any(0)).any())
    assert bool(found.x_adv.isfinite().all())
