"""Each rounding margin alone, against the arithmetic that it stands for: without it the test is red.

Values are chosen so that what rounds away is a good part of the margin, far more than float64 loses.
"""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import core
from core.bounds.ball import NORMS, Ball
from core.bounds.interval import Interval, exp, propagate
from core.bounds.linear import roundoff
from core.bounds.rounding import ARITHMETICS, EXACT, FLOAT64, Arithmetic
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.question import pose
from core.vae.latent import (
    kl_divergence,
    kl_lower,
    kl_roundoff,
    kl_upper,
    reparameterise,
    reparameterise_interval,
)
from core.vae.likelihood import make_likelihood, score_roundoff
from tests.conftest import make_images, make_vae

FLOAT32 = ARITHMETICS["float32"]
seeds = pytest.mark.parametrize("seed", range(5))


def numbers(*shape: int, size: float, seed: int) -> Tensor:
    """Float32 numbers of either sign."""
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(shape, generator=generator)


def point(v: Tensor) -> Interval:
    return Interval(v.double(), v.double())


def covers(margin: Tensor | float, exact: Tensor, rounded: Tensor, least: float = 0.0) -> None:
    """margin is enough, and needed: the error is far above what float64 loses."""
    error = (rounded.double() - exact).abs()
    assert bool((error <= margin).all())
    assert error.max().item() > 1e4 * FLOAT64.gamma(1) * exact.abs().max().item() + least


def relaxation_of(latent: int, draws: int, arithmetic: str) -> Relaxation:
    vae = make_vae(latent=latent)
    x, noise = make_images(vae, 1), core.sample_noise(vae, draws)
    asked = {"target": "likelihood", "method": "crown", "norm": "linf", "side": "lower"}
    return pose(vae, x, noise, 0.0, arithmetic=arithmetic, **asked).relaxation()


@seeds
@pytest.mark.parametrize(("mean", "logvar"), [(1e3, 0.0), (0.0, 12.0), (1e-3, -12.0), (30.0, 3.0)])
def test_latent_code_of_linear_bounds(mean: float, logvar: float, seed: int) -> None:
    """latent_roundoff: z = mu + exp(logvar / 2) noise in float32, pulled back by any row."""
    k, draws = 40, 3
    mu, spread = numbers(1, k, size=mean, seed=seed), numbers(1, k, size=0.3, seed=seed + 50) + logvar
    relaxation = relaxation_of(k, draws, "float32")
    bounds = LayerBounds([point(torch.cat([mu, spread], -1))], [])
    exact = reparameterise(mu.double(), spread.double(), relaxation.noise)
    rounded = reparameterise(mu, spread, relaxation.noise.float())
    error = rounded.double() - exact
    rows = error.sign().flatten(0, 1)[None]  # all errors add up
    lost = relaxation.latent_roundoff(rows, bounds)[0]
    total, nothing = error.abs().sum(-1).flatten(), torch.zeros(draws, dtype=torch.float64)
    covers(lost, nothing, total, least=1e-9 * exact.abs().max().item())
    assert bool((lost < 100 * total + 1e-6).all())  # and no more than that


@seeds
def test_latent_code_of_intervals(seed: int) -> None:
    mu, logvar = numbers(2, 40, size=1e3, seed=seed), numbers(2, 40, size=8.0, seed=seed + 50)
    noise = numbers(3, 1, 40, size=1.0, seed=seed + 90)
    box = reparameterise_interval(point(mu), point(logvar), noise.double(), FLOAT32)
    rounded = reparameterise(mu, logvar, noise).double()
    assert bool(((box.lower <= rounded) & (rounded <= box.upper)).all())
    exact = reparameterise_interval(point(mu), point(logvar), noise.double(), EXACT)
    assert bool(((rounded < exact.lower - 1e-6) | (rounded > exact.upper + 1e-6)).any())


@seeds
def test_divergence(seed: int) -> None:
    mu, logvar = numbers(4, 300, size=20.0, seed=seed), numbers(4, 300, size=3.0, seed=seed + 50)
    exact, rounded = kl_divergence(mu.double(), logvar.double()), kl_divergence(mu, logvar)
    box = point(mu), point(logvar)
    covers(kl_roundoff(*box, FLOAT32), exact, rounded)
    for value in (rounded, rounded.flip(0).flip(0), in_order(mu, logvar)):
        assert bool((value.double() <= kl_upper(*box, FLOAT32)).all())
        assert bool((value.double() >= kl_lower(*box, FLOAT32)).all())


def test_a_divergence_that_is_negative_in_floats() -> None:
    """Near the prior exp(l) - l - 1 rounds to less than 0: the bound below goes below it, too."""
    logvar = torch.linspace(-1e-8, 1e-8, 401, dtype=torch.float64)[:, None]
    mu = torch.zeros_like(logvar)
    value = kl_divergence(mu, logvar)
    assert value.min().item() < 0
    assert bool((kl_lower(Interval(mu, mu), Interval(logvar, logvar), FLOAT64) <= value).all())


@seeds
def test_sums_of_a_plane(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added up in a plane, pixel by pixel and draw by draw: large numbers of either sign."""
    vae = make_vae(likelihood="gaussian", sigma=1e-3)
    for parameter in vae.parameters():
        parameter.zero_()
    vae.decoder[4].get_parameter("bias").copy_(numbers(784, size=0.5, seed=seed))
    x, noise = make_images(vae, 1, seed), core.sample_noise(vae, 2)
    asked = {"target": "reconstruction", "method": "crown", "norm": "linf", "side": "upper"}
    relaxation = pose(vae, x, noise, 0.0, arithmetic="float64", **asked).relaxation()
    monkeypatch.setattr(Relaxation, "scoring_roundoff", lambda self, t, a: 0.0)
    bounds = relaxation.interval_bounds()
    mixes = torch.full_like(bounds.decoder[-1].lower, 0.5)[None]
    _, constant, lost = LinearBounds(relaxation, bounds).planes(Slopes(), mixes)
    a, t = bounds.decoder[-1], relaxation.scored.map(lambda v: v.repeat(2, 1, 1, 1))
    on_a, on_t, alone = (v / 2 for v in vae.likelihood.plane(t, a, mixes, relaxation.weight))
    pixels, bias = x.double().flatten(), vae.decoder[4].get_parameter("bias").double()
    exact = sum(map(Fraction, alone.flatten().tolist()), Fraction(0))
    for draw in range(2):
        for slope, v in ((on_t[0, draw], pixels), (on_a[0, draw], bias)):
            pairs = zip(slope.flatten().tolist(), v.tolist(), strict=True)
            exact += sum((Fraction(s) * Fraction(value) for s, value in pairs), Fraction(0))
    error = abs(float(Fraction(constant.item()) - exact))
    assert 0 < error <= lost.item()
    assert lost.item() >= FLOAT64.gamma(784) * on_t.abs().sum().item()


def in_order(mu: Tensor, logvar: Tensor) -> Tensor:
    terms = mu**2 + logvar.exp() - logvar - 1
    return terms.sort(-1).values.cumsum(-1)[:, -1] / 2


@seeds
@pytest.mark.parametrize(("name", "sigma"), [("bernoulli", 1.0), ("gaussian", 1e-3), ("gaussian", 10.0)])
def test_score(name: str, sigma: float, seed: int) -> None:
    likelihood = make_likelihood(name, sigma)
    a, t = (numbers(3, 1, 28, 28, size=size, seed=seed) for size in (4.0, 1.0))
    t = t.flip(-1).clamp(0, 1)
    exact, rounded = likelihood.log_prob(t.double(), a.double()), likelihood.log_prob(t, a)
    margin = score_roundoff(likelihood, point(t), point(a), 1, FLOAT32)
    covers(margin, exact, rounded)


@seeds
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(300, 7), (300,)),
        (nn.Conv2d(3, 4, 4, stride=2, padding=1), (3, 8, 8)),
        (nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1), (3, 8, 8)),
    ],
)
def test_affine_layer(layer: nn.Module, shape: tuple[int, ...], seed: int) -> None:
    x = numbers(2, *shape, size=100.0, seed=seed)
    with torch.no_grad():
        rounded, exact = layer(x), layer.double()(x.double())
        moved = roundoff(layer, point(x), FLOAT32)
        assert moved is not None
        covers(moved, exact, rounded)
        box = propagate(layer, point(x), FLOAT32)
        layer.float()
    assert bool(((box.lower <= rounded.double()) & (rounded.double() <= box.upper)).all())
    assert bool((box.upper - box.lower >= 2 * (rounded.double() - exact).abs()).all())


@seeds
def test_exponential(seed: int) -> None:
    v = numbers(1000, size=20.0, seed=seed)
    box, rounded = exp(point(v), FLOAT32), v.exp().double()
    assert bool(((box.lower <= rounded) & (rounded <= box.upper)).all())
    assert bool((rounded != v.double().exp()).any())


def exactly(slope: Tensor, x: Tensor) -> Fraction:
    pairs = zip(slope.flatten().tolist(), x.flatten().tolist(), strict=True)
    return sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0))


@pytest.mark.parametrize("norm", NORMS)
@given(
    seed=st.integers(0, 10_000), eps=st.sampled_from([0.0, 1e-9, 0.03]), large=st.sampled_from([1.0, 1e8])
)
def test_inner_product_with_the_ball(norm: str, seed: int, eps: float, large: float) -> None:
    """Rows whose large entries cancel: no point of the ball is below, in exact arithmetic."""
    generator = torch.Generator().manual_seed(seed)
    half = torch.randn(24, generator=generator, dtype=torch.float64) * large
    slope = torch.cat([half, -half.flip(0) * (1 + 2.0**-30), torch.ones(3, dtype=torch.float64)])
    x = torch.rand(1, 51, generator=generator, dtype=torch.float64)
    ball = Ball(x, torch.tensor([eps], dtype=torch.float64), norm)
    bound = Fraction(ball.lowest(slope[None]).item())
    assert bound <= exactly(slope, x)
    if norm == "linf":
        assert bound <= exactly(slope, ball.minimiser(slope[None]))
    else:
        move = ball.minimiser(slope[None]) - x
        size = sum((Fraction(v) ** 2 for v in move.flatten().tolist()), Fraction(0))
        if size <= Fraction(eps) ** 2:
            assert bound <= exactly(slope, x + move)
    spent = Fraction(ball.lowest(slope[None], rounds=False).item()) - bound
    assert 0 < spent <= Fraction(1e-12 * 51 * large * 60)


def test_the_inner_product_needs_its_margin() -> None:
    """Without it some of these are above the exact value."""
    wrong = dict.fromkeys(NORMS, 0)
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        slope = torch.randn(500, generator=generator, dtype=torch.float64)
        x = torch.rand(1, 500, generator=generator, dtype=torch.float64)
        for norm in NORMS:
            ball = Ball(x, torch.zeros(1, dtype=torch.float64), norm)
            wrong[norm] += Fraction(ball.lowest(slope[None], rounds=False).item()) > exactly(slope, x)
    assert all(count > 5 for count in wrong.values())


@pytest.mark.parametrize("arithmetic", ARITHMETICS.values(), ids=list(ARITHMETICS))
def test_what_may_overflow_is_off_by_any_amount(arithmetic: Arithmetic) -> None:
    """Sums and squares just below and above the largest number."""
    big = math.sqrt(arithmetic.largest)
    one = torch.ones(1, 1, 1, 2, dtype=torch.float64)
    for factor, finite in ((1e-3, True), (2.0, False)):
        far = Interval(one * big * factor, one * big * factor)
        score = score_roundoff(make_likelihood("gaussian", 1.0), Interval(one, one), far, 1, arithmetic)
        assert torch.as_tensor(score).isfinite().all() == finite
        flat = far.map(lambda v: v.flatten(1))
        zero = flat.map(torch.zeros_like)
        assert torch.as_tensor(kl_roundoff(flat, zero, arithmetic)).isfinite().all() == finite
        layer = nn.Linear(2, 1, bias=False).double().requires_grad_(False)
        layer.weight.fill_(big)
        moved = roundoff(layer, flat, arithmetic)
        assert moved is not None
        assert moved.isfinite().all() == finite
        assert propagate(layer, flat, arithmetic).upper.isfinite().all() == finite
    assert (
        not exp(Interval(*torch.full((2, 1), 1e3, dtype=torch.float64)), arithmetic).upper.isfinite().any()
    )
