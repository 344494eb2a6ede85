"""Attacks upwards: clean <= attacked <= certified upper; and no attack ends on the wrong side of clean."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import core
from core.attacks import ATTACKS
from core.attacks.base import AttackResult
from core.attacks.objective import Evaluation, Objective
from core.errors import InputError
from core.vae.model import VAE
from core.vae.threat import SIDES, SIGN
from tests.conftest import make_images, make_vae
from tests.covering import covering

UPWARD = tuple(name for name, kind in ATTACKS.items() if kind.directed)
methods = pytest.mark.parametrize("method", UPWARD)
CLIMBERS = tuple(name for name in UPWARD if name != "random")
TARGETS, NORMS = ("likelihood", "reconstruction"), ("linf", "l2")
KINDS = {"mlp": "bernoulli", "conv": "gaussian"}
targets = pytest.mark.parametrize("target", TARGETS)
norms = pytest.mark.parametrize("norm", NORMS)


def score(vae: VAE, point: Tensor, x: Tensor, noise: Tensor, target: str) -> Tensor:
    return core.elbo(vae, point, noise, point if target == "likelihood" else x).total


def raised(found: AttackResult) -> Tensor:
    return found.elbo - found.history[0]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "target", "norm", "arch"), covering(2, CLIMBERS, TARGETS, NORMS, KINDS))
def test_raises_the_elbo_by_far_more_than_chance(method: str, target: str, norm: str, arch: str) -> None:
    likelihood = KINDS[arch]
    vae = make_vae(arch, likelihood, size=16, scale=2.0, sigma=0.5)
    x, noise = make_images(vae, 3), core.sample_noise(vae, 2)
    asked = {"eps": 0.05 if norm == "linf" else 1.0, "norm": norm, "target": target, "side": "upper"}
    found = core.attack(vae, x, noise, method=method, steps=15, **asked)
    chance = core.attack(vae, x, noise, method="random", steps=15, **asked)
    assert bool((raised(found) > 0.1).all())
    assert raised(found).mean() > 2 * raised(chance).mean() >= 0


@pytest.mark.slow
@methods
@targets
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), eps=st.one_of(st.sampled_from([1e-9, 1e-3, 1.0]), st.floats(0, 1)))
def test_the_result_is_in_the_ball_and_honest(method: str, target: str, seed: int, eps: float) -> None:
    vae = make_vae(size=16, seed=seed)
    x, noise = make_images(vae, 2, seed), core.sample_noise(vae, 2)
    found = core.attack(
        vae, x, noise, eps=eps, target=target, side="upper", method=method, steps=3, restarts=2, seed=seed
    )
    assert found.side == "upper"
    assert 0 <= found.x_adv.min() <= found.x_adv.max() <= 1
    assert (found.x_adv.double() - x.double()).abs().max() <= eps * (1 + 2**-23) + 2**-24
    torch.testing.assert_close(found.elbo, score(vae, found.x_adv, x, noise, target), rtol=1e-12, atol=0)
    assert torch.equal(found.history[0], core.elbo(vae, x, noise).total)
    assert torch.equal(found.history[-1], found.elbo)
    assert bool((found.history.diff(dim=0) >= 0).all())
    assert len(found.history) == ATTACKS[method](3, 2, side="upper").evaluations(0)
    if eps == 0:
        assert torch.equal(found.x_adv, x)


@pytest.mark.parametrize(
    ("method", "target", "norm", "likelihood"),
    covering(3, UPWARD, TARGETS, NORMS, ["bernoulli", "gaussian"]),
)
def test_chain(method: str, target: str, norm: str, likelihood: str) -> None:
    vae = make_vae(likelihood=likelihood, size=16, scale=2.0, sigma=0.5)
    x, noise = make_images(vae, 3), core.sample_noise(vae, 2)
    asked = {"eps": torch.tensor([1e-6, 0.03, 0.3]), "norm": norm, "target": target, "side": "upper"}
    found = core.attack(vae, x, noise, method=method, steps=5, **asked)
    assert bool((core.elbo(vae, x, noise).total <= found.elbo).all())
    for certificate in ("ibp", "crown-ibp"):
        proved = core.certify(vae, x, noise, method=certificate, **asked)
        assert bool((found.elbo <= proved.upper).all())


def test_between_clean_and_certified_on_shipped_models() -> None:
    # What alpha-crown proves: at most 567.1 and -243.2.
    for model, index, eps, target, low, high in (
        ("mnist-mlp-gaussian-mtl-0.1", 3, 0.1, "reconstruction", 540, 567.2),
        ("mnist-mlp-robust-0.1", 18, 0.12, "likelihood", -247, -243.2),
    ):
        vae = core.load_model(model)
        x, noise = core.load_samples("mnist")[0][index : index + 1], core.sample_noise(vae)
        found = core.attack(vae, x, noise, eps=eps, target=target, side="upper")
        assert low < found.elbo.item() < high


@pytest.mark.slow
@targets
@norms
def test_the_strongest_is_as_high_as_every_other(target: str, norm: str) -> None:
    vae = core.load_model("mnist-mlp-robust-0.1")
    x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, 2)
    asked = {"eps": 0.05 if norm == "linf" else 1.0, "norm": norm, "target": target, "side": "upper"}
    best = core.attack(vae, x, noise, method="strongest", **asked)
    assert 0.9 * 1000 <= best.gradients <= 1000
    for method in [name for name in UPWARD if name != "strongest"]:
        assert bool((best.elbo >= core.attack(vae, x, noise, method=method, **asked).elbo - 1e-6).all()), (
            method
        )


@methods
def test_extra_starts_are_used(method: str) -> None:
    vae = core.load_model("mnist-mlp-standard")
    x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae)
    asked = {"eps": 0.05, "target": "reconstruction", "side": "upper"}
    good = core.attack(vae, x, noise, method="pgd", steps=30, **asked)
    found = core.attack(vae, x, noise, method=method, steps=1, start=good.x_adv, **asked)
    assert bool((found.elbo >= good.elbo - 1e-4).all())


@pytest.mark.parametrize("method", sorted(set(ATTACKS) - set(UPWARD)))
def test_attacks_with_another_goal_are_refused(method: str) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    with pytest.raises(InputError, match=rf"'{method}' pursues another goal .* choose one of fgsm, pgd"):
        core.attack(vae, x, noise, eps=0.1, method=method, side="upper")
    assert core.attack(vae, x, noise, eps=0.1, method=method, steps=1).side == "lower"


def test_an_unknown_side_is_refused() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    with pytest.raises(InputError, match="side is 'both'; choose one of lower, upper"):
        core.attack(vae, x, noise, eps=0.1, side="both")


@pytest.mark.parametrize(("method", "norm", "scale"), covering(2, UPWARD, NORMS, [30.0, 1e6, 1e30]))
def test_what_is_no_number_is_not_found(method: str, norm: str, scale: float) -> None:
    vae = make_vae(scale=scale)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    found = core.attack(vae, x, noise, eps=0.1, norm=norm, method=method, side="upper", steps=2, restarts=2)
    assert not bool((found.elbo.isnan() | found.history.isnan().any(0)).any())
    assert bool((found.elbo >= core.elbo(vae, x, noise).total).all())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_only_the_infinity_of_its_own_side_counts_as_found(
    side: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Overflowing(Objective):
        def __call__(self, x: Tensor) -> Evaluation:
            evaluation = super().__call__(x)
            if not torch.equal(evaluation.point, images):
                evaluation.value = torch.full_like(evaluation.value, self.sign * value)
            return evaluation

    vae = make_vae()
    images, noise = make_images(vae, 2), core.sample_noise(vae, 1)
    clean = core.elbo(vae, images, noise).total
    monkeypatch.setattr("core.attacks.base.Objective", Overflowing)
    found = core.attack(vae, images, noise, eps=0.1, method="fgsm", side=side)
    if value == -SIGN[side] * torch.inf:  # and is then scored for what it is
        assert bool((SIGN[side] * found.elbo < SIGN[side] * clean).all())
    else:
        assert torch.equal(found.x_adv, images)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("wrong", [1e-9, 1e-6, 5e-4])
def test_no_attack_ends_on_the_wrong_side_of_clean_by_any_little(
    side: str, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A search that was misled: it prefers a point that is worse than the clean image, by few nats.
    class Misled(Objective):
        def __call__(self, x: Tensor) -> Evaluation:
            evaluation = super().__call__(x)
            evaluation.value = -evaluation.value
            return evaluation

    vae = make_vae().double()
    x, noise = make_images(vae, 1).double() / 2 + 0.25, core.sample_noise(vae, 1)
    clean = core.elbo(vae, x, noise).total
    slope = SIGN[side] * Objective(vae, noise, None)(x).gradient()
    worse = x + wrong / slope.square().sum() * slope
    beyond = SIGN[side] * (core.elbo(vae, worse, noise).total - clean)
    assert wrong / 2 < beyond.item() < 2 * wrong
    monkeypatch.setattr("core.attacks.base.Objective", Misled)
    found = core.attack(vae, x, noise, eps=0.1, method="fgsm", side=side, start=worse)
    assert torch.equal(found.x_adv, x)
    assert torch.equal(found.elbo, clean)
    assert torch.equal(found.history, clean.expand_as(found.history))
