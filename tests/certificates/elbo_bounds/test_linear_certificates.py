"""Linear certificates hold, for every architecture, likelihood, target, ball, side and method."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import core
from core.bounds.ball import Ball
from core.bounds.interval import affine
from core.certificates.methods import METHODS, Effort, stages
from core.certificates.question import pose
from core.vae.model import VAE
from tests.conftest import make_images, make_vae
from tests.covering import covering

pytestmark = pytest.mark.slow

LINEAR = METHODS[1:]
LIKELIHOODS, TARGETS = ("bernoulli", "gaussian"), ("likelihood", "reconstruction")


def extremes(vae: VAE, x: Tensor, noise: Tensor, eps: float, norm: str, target: str, sign: int) -> Tensor:
    """The lowest (sign 1) or highest (-1) ELBO at many points of the ball, (B,)."""
    ball = Ball(x, torch.full((len(x),), eps, dtype=torch.float64), norm)
    generator = torch.Generator().manual_seed(0)
    found = []
    for start in [x, *(ball.random(generator) for _ in range(3))]:
        point = start
        for _ in range(8):
            point = point.detach().requires_grad_(True)
            mu, logvar = vae.encode(point)
            z = mu + (logvar / 2).exp() * noise[:, None]
            a = vae.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2])
            t = point if target == "likelihood" else x
            kl = (mu**2 + logvar.exp() - logvar - 1).sum(-1) / 2
            value = (vae.likelihood.log_prob(t, a).mean(0) - kl).sum()
            (slope,) = torch.autograd.grad(value, point)
            step = (
                slope.sign()
                if norm == "linf"
                else slope / slope.flatten(1).norm(dim=1)[:, None, None, None]
            )
            point = ball.project(point.detach() - sign * eps * 0.4 * step.nan_to_num(0))
            found.append(core.elbo(vae, point, noise, x if target == "reconstruction" else None).total)
    stack = torch.stack(found)
    return stack.amin(0) if sign > 0 else stack.amax(0)


@pytest.mark.parametrize(
    ("arch", "likelihood", "target", "norm", "side"),
    covering(3, ["mlp", "conv"], LIKELIHOODS, TARGETS, ["linf", "l2"], ["lower", "upper"]),
)
def test_every_method_holds_and_is_at_least_as_tight_as_the_one_before(
    arch: str, likelihood: str, target: str, norm: str, side: str
) -> None:
    vae = make_vae(arch, likelihood, size=16, seed=1)
    # Convolutions take four times as long; that images do not disturb each other the others see.
    x, noise = make_images(vae, 2 if arch == "mlp" else 1), core.sample_noise(vae, 2)
    eps = 0.05 if norm == "linf" else 0.7
    sign = 1 if side == "lower" else -1
    found = extremes(vae, x, noise, eps, norm, target, sign)
    before: dict[str, Tensor] = {}
    for method in METHODS:
        proved = core.certify(
            vae, x, noise, eps=eps, target=target, norm=norm, side=side, method=method, iterations=2
        )
        assert bool((sign * proved.bound <= sign * found).all()), method
        assert method in METHODS[:2] or bool(proved.bound.isfinite().all())
        for name, bound in before.items():
            # bab goes without the quadratic where linear bounds are near.
            if (name, method) != ("quadratic", "bab"):
                assert bool((sign * proved.bound >= sign * bound - 1e-9).all()), (name, method)
        before[method] = proved.bound
        other = proved.upper if side == "lower" else proved.lower
        assert other.tolist() == [sign * torch.inf] * len(x)
        quadratic = norm == "linf" and side == "lower"
        named = "alpha-crown" if method == "quadratic" and not quadratic else method
        assert (proved.method, proved.norm, proved.side) == (named, norm, side)


@given(
    seed=st.integers(0, 10_000),
    arch=st.sampled_from(["mlp", "conv"]),
    likelihood=st.sampled_from(["bernoulli", "gaussian"]),
    target=st.sampled_from(["likelihood", "reconstruction"]),
    method=st.sampled_from(LINEAR),
    eps=st.sampled_from([0.0, 1e-12, 1e-6, 1e-3, 0.02, 0.3, 1.0]),
    scale=st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0]),
    draws=st.integers(1, 3),
    arithmetic=st.sampled_from(["float32", "float64"]),
)
def test_random_models(
    seed: int,
    arch: str,
    likelihood: str,
    target: str,
    method: str,
    eps: float,
    scale: float,
    draws: int,
    arithmetic: str,
) -> None:
    vae = make_vae(arch, likelihood, size=16, seed=seed, scale=scale)
    x, noise = make_images(vae, 1 + seed % 2, seed), core.sample_noise(vae, draws, seed)
    proved = core.certify(
        vae, x, noise, eps=eps, target=target, method=method, arithmetic=arithmetic, iterations=2
    )
    found = core.attack(vae, x, noise, eps=eps, target=target, steps=8, restarts=2, seed=seed)
    for name in ("lower", "recon", "kl", "margin"):
        assert not bool(getattr(proved, name).isnan().any()), name
    assert bool((proved.lower <= found.elbo).all())
    ibp = core.certify(vae, x, noise, eps=eps, target=target, arithmetic=arithmetic)
    assert bool((proved.lower >= ibp.lower - 1e-9).all())  # of one sum, each rounded in its own way
    if arithmetic == "float32":
        own = vae.likelihood.log_prob(
            found.x_adv if target == "likelihood" else x, decoded(vae, found.x_adv, noise)
        )
        mu, logvar = vae.encode(found.x_adv)
        value = own.mean(0) - (mu**2 + logvar.exp() - logvar - 1).sum(-1) / 2
        assert bool((proved.lower <= value.double()).all())


def decoded(vae: VAE, x: Tensor, noise: Tensor) -> Tensor:
    mu, logvar = vae.encode(x)
    z = mu + (logvar / 2).exp() * noise[:, None]
    return vae.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2])


@pytest.mark.parametrize(
    ("method", "likelihood", "target", "norm", "side"),
    covering(2, LINEAR, LIKELIHOODS, TARGETS, ["linf", "l2"], ["lower", "upper"]),
)
def test_at_eps_0_it_is_the_clean_value(
    method: str, likelihood: str, target: str, norm: str, side: str
) -> None:
    vae = make_vae(likelihood=likelihood, size=16)
    x, noise = make_images(vae, 2), core.sample_noise(vae, 2)
    clean = core.elbo(vae, x, noise).total
    proved = core.certify(
        vae, x, noise, eps=0, target=target, method=method, norm=norm, side=side, iterations=2
    )
    torch.testing.assert_close(proved.bound, clean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize("arch", ["mlp", "conv"])
def test_nearly_exact_where_every_relu_is_on(method: str, arch: str) -> None:
    # Positive biases keep every ReLU on: nothing is left to relax but the parabolas and exponentials,
    # which a small ball makes flat. Interval propagation still adds up the signs of every layer.
    vae = make_vae(arch, likelihood="gaussian", sigma=1.0, scale=0.5)
    for layer in [*vae.encoder[:-1], *vae.decoder[:-1]]:
        if affine(layer) is not None:
            layer.get_parameter("bias").add_(3.0)
    x, noise, eps = make_images(vae, 2), core.sample_noise(vae, 1), 1e-4
    proved = core.certify(vae, x, noise, eps=eps, method=method, iterations=2)
    on = {part.name: part.interval.lower.min().item() for part in proved.intervals if "ReLU" in part.name}
    assert min(on.values()) > 0
    found = core.attack(vae, x, noise, eps=eps, steps=20).elbo
    drop = core.elbo(vae, x, noise).total - found
    assert bool((drop > 0.02).all())
    assert bool((found - proved.lower <= 0.01 * drop).all())
    by_intervals = core.certify(vae, x, noise, eps=eps).lower
    assert bool((found - by_intervals > 0.2 * drop).all())


def test_minimiser_lies_in_the_ball_and_is_worse_than_the_clean_image() -> None:
    vae = core.load_model("mnist-mlp-robust-0.1")
    x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, 2)
    for norm, eps in (("linf", 0.05), ("l2", 1.0)):
        proved = core.certify(vae, x, noise, eps=eps, method="crown", norm=norm)
        assert proved.minimiser is not None
        ball = Ball(x.double(), torch.full((2,), eps, dtype=torch.float64), norm)
        assert (proved.minimiser - ball.project(proved.minimiser)).abs().max() < 1e-6
        at = core.elbo(vae, proved.minimiser.float(), noise).total
        assert bool((at < core.elbo(vae, x, noise).total).all())


def test_the_time_of_an_image_begins_with_its_own_work() -> None:
    now = [0.0]
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    given = {"target": "likelihood", "norm": "linf", "side": "lower", "arithmetic": "float64"}
    relaxation = pose(vae, x, noise, 0.1, method="alpha-crown", **given).relaxation()
    with torch.no_grad():
        run = stages(relaxation, Effort("alpha-crown", iterations=30, seconds=1.0, clock=lambda: now[0]))
        assert next(run).method == "ibp"
        now[0] = 100.0  # other images had their turn
        assert [stage.method for stage in run].count("alpha-crown") == 3
        late = stages(relaxation, Effort("alpha-crown", iterations=30, seconds=1.0, clock=lambda: now[0]))
        assert [next(late).method for _ in range(3)] == ["ibp", "crown-ibp", "crown"]
        now[0] = 102.0
        assert [stage.method for stage in late].count("alpha-crown") == 1
