"""The bound on the ELBO that knows that the scored image is in an l_2 ball."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

import core
from core.bounds.rounding import EXACT
from core.certificates.elbo_bounds import in_ball
from core.certificates.elbo_bounds.alpha import default_slopes
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.question import pose
from core.vae.elbo import elbo_terms
from core.vae.model import VAE
from core.vae.wrapped import WrappedConfig
from tests.conftest import make_images, make_vae

pytestmark = pytest.mark.slow

KINDS = ("bernoulli", "gaussian", "continuous_bernoulli", "learned")
SIDES = ("lower", "upper")
SHAPE, LATENT, DRAWS = (1, 8, 8), 3, 3
everywhere = [(kind, side) for kind in KINDS for side in SIDES]


def vae_of(kind: str, seed: int) -> VAE:
    """Small chains with one of the four likelihoods."""
    learned = kind == "learned"
    config = WrappedConfig("gaussian" if learned else kind, SHAPE, LATENT, 0.3, learned_variance=learned)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 2 * LATENT))
        last = nn.Linear(12, 128 if learned else 64)
        decoder = nn.Sequential(
            nn.Linear(LATENT, 12), nn.ReLU(), last, nn.Unflatten(1, config.natural_shape)
        )
        for weight in [*encoder.parameters(), *decoder.parameters()]:
            weight.mul_(2.0)
    return VAE.of_networks(config, encoder, decoder).eval().requires_grad_(False)


def relaxed(kind: str, side: str, eps: float, seed: int, arithmetic: str = "float64") -> Relaxation:
    vae = vae_of(kind, seed)
    x, noise = make_images(vae, 2, seed), core.sample_noise(vae, DRAWS, seed=seed)
    asked = {"target": "likelihood", "method": "ibp", "norm": "l2", "side": side, "arithmetic": arithmetic}
    return pose(vae, x, noise, eps, **asked).relaxation()


def random_slopes(relaxation: Relaxation, natural: Tensor, seed: int) -> Slopes:
    """A mix of each draw's own, so that kinks are anywhere in the box."""
    generator = torch.Generator().manual_seed(seed)
    return Slopes(mix=torch.rand(natural.shape, generator=generator, dtype=torch.float64))


@torch.no_grad()
@pytest.mark.parametrize(("kind", "side"), everywhere)
@pytest.mark.parametrize("eps", [1e-6, 0.3, 2.0])
def test_no_image_of_the_ball_is_below_the_function_or_its_bound(kind: str, side: str, eps: float) -> None:
    for seed in range(4):
        r = relaxed(kind, side, eps, seed)
        bounds = r.tighten(r.interval_bounds())
        linear, generator = LinearBounds(r, bounds), torch.Generator().manual_seed(seed)
        natural = bounds.decoder[-1].lower
        for slopes in (Slopes(), random_slopes(r, natural, seed)):
            mixes = torch.full_like(natural, 0.5)[None] if slopes.mix is None else slopes.mix[None]
            f, constant, lost = in_ball.kinked(linear, slopes, mixes)
            lowest = f.lowest(r.ball) + (constant - lost)
            assert bool(lowest.isfinite().all())
            points = [r.ball.center, r.ball.minimiser(f.slope[0].view_as(r.ball.center))]
            points += [r.ball.random(generator) for _ in range(4)]
            points += [
                r.ball.minimiser(torch.randn(r.ball.center.shape, generator=generator).double())
                for _ in range(4)
            ]
            for y in points:
                recon, kl = elbo_terms(r.vae, y, r.noise, y)
                at = y.flatten(1)
                value = (f.slope * at - f.reach * (at - f.at).abs()).sum(-1) + constant - lost
                true = r.weight * (recon - kl)
                assert bool((value <= true).all())
                assert bool((lowest <= true).all())


@torch.no_grad()
@pytest.mark.parametrize(("kind", "side"), everywhere)
def test_at_the_centre_with_eps_0_it_is_the_elbo_but_for_rounding(kind: str, side: str) -> None:
    """There is no term of log p, and no sign of one, that it leaves out or has twice."""
    r = relaxed(kind, side, 0.0, 0)
    bounds = r.interval_bounds()
    natural = bounds.decoder[-1].lower
    for slopes in (Slopes(), random_slopes(r, natural, 1)):
        mixes = torch.full_like(natural, 0.5)[None]
        f, constant, lost = in_ball.kinked(LinearBounds(r, bounds), slopes, mixes)
        recon, kl = elbo_terms(r.vae, r.ball.center, r.noise, r.ball.center)
        found = (f.lowest(r.ball) + constant - lost)[0]
        torch.testing.assert_close(found, r.weight * (recon - kl), rtol=1e-7, atol=1e-7)


@torch.no_grad()
@pytest.mark.parametrize("eps", [0.05, 0.5])
def test_with_the_same_mix_it_is_never_below_the_plane(eps: float) -> None:
    """Linear in t and concave in a: the plane is below the kinked function over the box."""
    for kind in ("bernoulli", "continuous_bernoulli"):
        for seed in range(3):
            r = relaxed(kind, "lower", eps, seed)
            bounds = r.tighten(r.interval_bounds())
            linear, slopes = LinearBounds(r, bounds), random_slopes(r, bounds.decoder[-1].lower, seed)
            assert slopes.mix is not None
            slopes.mix = slopes.mix.unflatten(0, (DRAWS, -1)).mean(0).repeat(DRAWS, 1, 1, 1)
            plane, ball = linear.bound(slopes), in_ball.bound(linear, slopes)
            assert bool((ball >= plane - 1e-6 * plane.abs()).all())
            assert bool((ball > plane + 1e-3).all())


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("eps", [0.1, 0.6, 16.0])
def test_certificates_are_never_looser_than_without_it(likelihood: str, side: str, eps: float) -> None:
    for seed in range(2):
        vae = make_vae(size=16, likelihood=likelihood, seed=seed, scale=2.0)
        x, noise, sign = make_images(vae, 2, seed), core.sample_noise(vae, 2), 1 if side == "lower" else -1
        for method in ("crown-ibp", "crown", "alpha-crown"):
            asked = {"eps": eps, "norm": "l2", "method": method, "side": side, "iterations": 20}
            found = sign * getattr(core.certify(vae, x, noise, **asked), side)
            with patch.object(in_ball, "applies", lambda relaxation: False):
                before = sign * getattr(core.certify(vae, x, noise, **asked), side)
            room = 0.0 if method != "alpha-crown" else 0.01 * (1 + before.abs())
            assert bool((found >= before - room).all())


def test_what_it_gains_on_a_model() -> None:
    vae = core.load_model("mnist-mlp-robust-0.1")
    x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, 2)
    asked = {"eps": 0.3, "norm": "l2", "method": "crown"}
    found, attained = (
        core.certify(vae, x, noise, **asked).lower,
        core.attack(vae, x, noise, eps=0.3, norm="l2", steps=20).elbo,
    )
    with patch.object(in_ball, "applies", lambda relaxation: False):
        before = core.certify(vae, x, noise, **asked).lower
    assert bool((found <= attained).all())
    assert bool((attained - found < 0.9 * (attained - before)).all())


def test_it_is_for_scored_images_in_l_2_balls_alone() -> None:
    vae = make_vae(size=16)
    x, noise = make_images(vae, 1), core.sample_noise(vae, 1)
    for norm, target in (("linf", "likelihood"), ("l2", "reconstruction"), ("l2", "likelihood")):
        asked = {
            "target": target,
            "method": "crown",
            "norm": norm,
            "side": "lower",
            "arithmetic": "float64",
        }
        r = pose(vae, x, noise, 0.1, **asked).relaxation()
        assert in_ball.applies(r) == ((norm, target) == ("l2", "likelihood"))
        mix = default_slopes(r, r.interval_bounds()).mix
        assert mix is not None
        assert bool((mix == 0.5).all()) != in_ball.applies(r)
        if in_ball.applies(r):
            touched = in_ball.touched(r, Slopes(mix=mix))
            torch.testing.assert_close(touched, r.ball.center)


def test_float32_covers_more() -> None:
    r, other = relaxed("bernoulli", "lower", 0.3, 0), relaxed("bernoulli", "lower", 0.3, 0, "float32")
    lost = []
    for relaxation in (r.exact(), r, other):
        bounds = r.interval_bounds()
        mixes = torch.full_like(bounds.decoder[-1].lower, 0.5)[None]
        lost.append(float(in_ball.kinked(LinearBounds(relaxation, bounds), Slopes(), mixes)[2].max()))
    assert r.exact().arithmetic is EXACT
    assert 0 == lost[0] < lost[1] < lost[2]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "continuous_bernoulli"])
def test_what_no_layer_moves_is_met_at_the_edge_of_the_ball(kind: str) -> None:
    """A decoder that gives the same parameters for all codes: log p is a parabola in the image, and at the
    distance eps the function is equal to it, wherever its kinks are."""
    vae = vae_of(kind, 0)
    for weight in [*vae.encoder.parameters(), *vae.decoder.parameters()]:
        weight.zero_()
    generator = torch.Generator().manual_seed(0)
    bias = vae.decoder[2].get_parameter("bias")
    bias.copy_(torch.randn(bias.shape, generator=generator))
    x = 0.4 + 0.2 * torch.rand(2, *SHAPE, generator=generator)
    asked = {
        "target": "likelihood",
        "method": "ibp",
        "norm": "l2",
        "side": "lower",
        "arithmetic": "float64",
    }
    r = pose(vae, x, core.sample_noise(vae, DRAWS), 0.3, **asked).relaxation()
    bounds = r.interval_bounds()
    for seed in range(3):
        slopes = random_slopes(r, bounds.decoder[-1].lower, seed)
        mixes = torch.full_like(bounds.decoder[-1].lower, 0.5)[None]
        f, constant, lost = in_ball.kinked(LinearBounds(r, bounds), slopes, mixes)
        way = torch.randn(2, 64, generator=generator, dtype=torch.float64)
        y = r.ball.center.flatten(1) + r.ball.eps[:, None] * way / way.norm(dim=1, keepdim=True)
        image = y.view_as(r.ball.center)
        recon, kl = elbo_terms(r.vae, image, r.noise, image)
        value = (f.slope * y - f.reach * (y - f.at).abs()).sum(-1) + constant
        torch.testing.assert_close(value[0], recon - kl, rtol=1e-9, atol=1e-9)
        assert bool((value[0] - lost[0] <= recon - kl).all())
