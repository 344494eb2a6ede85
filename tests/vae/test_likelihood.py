"""Likelihoods: values, and minima over boxes against brute force."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.bounds.interval import Interval
from core.vae.continuous_bernoulli import ContinuousBernoulli, log_partition, mean
from core.vae.learned_variance import LearnedVariance
from core.vae.likelihood import Bernoulli, Gaussian, Likelihood, OneParameter, make_likelihood, softplus

KINDS: dict[str, OneParameter] = {
    "bernoulli": Bernoulli(),
    "continuous": ContinuousBernoulli(),
    "gaussian": Gaussian(0.3),
}
both = pytest.mark.parametrize("kind", KINDS)
in_unit = st.floats(0, 1)
params = st.floats(-60, 60)


def pixel(*values: float) -> Tensor:
    """One number an image: (len(values), 1, 1, 1)."""
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1)


def interval(a: float, b: float) -> Interval:
    return Interval(pixel(min(a, b)), pixel(max(a, b)))


def grid(box: Interval, count: int) -> Tensor:
    share = torch.linspace(0, 1, count, dtype=torch.float64)
    ends = box.lower.flatten(), box.upper.flatten()
    return (ends[0] * (1 - share) + ends[1] * share).clamp(ends[0], ends[1])


def test_bernoulli_value_by_hand() -> None:
    t, a = pixel(1.0, 0.0, 0.25), pixel(0.0, math.log(3), math.log(3))
    expected = [math.log(0.5), math.log(0.25), 0.25 * math.log(0.75) + 0.75 * math.log(0.25)]
    torch.testing.assert_close(Bernoulli().log_prob(t, a), torch.tensor(expected).double())


def test_gaussian_value_by_hand() -> None:
    constant = -0.5 * math.log(2 * math.pi * 0.09)
    torch.testing.assert_close(
        Gaussian(0.3).log_prob(pixel(0.5, 1.0), pixel(0.5, 0.4)),
        torch.tensor([constant, constant - 0.36 / 0.18], dtype=torch.float64),
    )


@both
def test_log_prob_sums_one_image_and_broadcasts_over_draws(kind: str) -> None:
    t, a = torch.rand(4, 3, 5, 5).double(), torch.randn(2, 4, 3, 5, 5).double()
    if kind == "continuous":
        each = torch.distributions.ContinuousBernoulli(logits=a).log_prob(t)
    elif kind == "bernoulli":
        each = -torch.nn.functional.binary_cross_entropy_with_logits(a, t.expand_as(a), reduction="none")
    else:
        each = torch.distributions.Normal(a, 0.3).log_prob(t)
    value = KINDS[kind].log_prob(t, a)
    assert value.shape == (2, 4)
    torch.testing.assert_close(value, each.flatten(2).sum(2))


@both
@given(t0=in_unit, t1=in_unit, a0=params, a1=params)
def test_lower_is_the_minimum_over_a_fine_grid(
    kind: str, t0: float, t1: float, a0: float, a1: float
) -> None:
    t, a = interval(t0, t1), interval(a0, a1)
    ts, as_ = torch.meshgrid(grid(t, 41), grid(a, 41), indexing="ij")
    values = KINDS[kind].log_prob(ts.reshape(-1, 1, 1, 1), as_.reshape(-1, 1, 1, 1))
    bound = KINDS[kind].lower(t, a)
    # The corners are in the grid, and the minimum is at one of them: exact, but for rounding.
    torch.testing.assert_close(bound, values.min().view(1), rtol=1e-13, atol=1e-13)


@both
@given(t0=in_unit, t1=in_unit, a0=params, a1=params, seed=st.integers(0, 1000))
def test_magnitude_covers_the_summands(
    kind: str, t0: float, t1: float, a0: float, a1: float, seed: int
) -> None:
    t, a = interval(t0, t1), interval(a0, a1)
    generator = torch.Generator().manual_seed(seed)
    some_t = t.lower + torch.rand(50, 1, 1, 1, generator=generator).double() * t.width
    some_a = a.lower + torch.rand(50, 1, 1, 1, generator=generator).double() * a.width
    for ts, as_ in ((some_t, some_a), (t.lower, a.lower), (t.upper, a.lower), (t.upper, a.upper)):
        if kind == "continuous":
            size = (ts * as_).abs() + log_partition(as_).abs()
        elif kind == "bernoulli":
            size = (ts * as_).abs() + softplus(as_)
        else:
            size = (ts.abs() + as_.abs()) ** 2 / (2 * 0.09) + abs(0.5 * math.log(2 * math.pi * 0.09))
        assert bool((size.flatten() <= KINDS[kind].magnitude(t, a) * (1 + 1e-12)).all())


@both
def test_lower_of_a_box_of_one_point_is_log_prob(kind: str) -> None:
    t, a = torch.rand(3, 1, 28, 28).double(), torch.randn(3, 1, 28, 28).double() * 5
    bound = KINDS[kind].lower(Interval(t, t), Interval(a, a))
    torch.testing.assert_close(bound, KINDS[kind].log_prob(t, a), rtol=1e-13, atol=1e-10)


@both
def test_lower_over_many_pixels_is_the_sum_of_the_pixels(kind: str) -> None:
    t = Interval(torch.rand(2, 3, 4, 4) * 0.5, torch.rand(2, 3, 4, 4) * 0.5 + 0.5)
    a = Interval(-torch.rand(2, 3, 4, 4) * 3, torch.rand(2, 3, 4, 4) * 3)
    each = KINDS[kind].lower(
        t.map(lambda v: v.reshape(-1, 1, 1, 1)), a.map(lambda v: v.reshape(-1, 1, 1, 1))
    )
    torch.testing.assert_close(KINDS[kind].lower(t, a), each.view(2, -1).sum(1))


@both
@given(a=st.floats(-12, 12))
def test_natural_inverts_mean(kind: str, a: float) -> None:
    likelihood = KINDS[kind]
    torch.testing.assert_close(
        likelihood.natural(likelihood.mean(pixel(a))), pixel(a), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("a", [0.0, 1e-9, 1e-3, 0.0299, 0.0301, 0.5, 3.0, 40.0, 900.0])
def test_the_log_partition_and_its_slope_against_many_digits(a: float) -> None:
    with mpmath.workdps(60):
        for value in (mpmath.mpf(a), -mpmath.mpf(a)):
            wanted = mpmath.log((mpmath.exp(value) - 1) / value) if value else mpmath.mpf(0)
            slope = 1 / (1 - mpmath.exp(-value)) - 1 / value if value else mpmath.mpf("0.5")
            at = pixel(float(value)).requires_grad_()
            found = log_partition(at)
            assert abs(float(wanted) - found.item()) <= 1e-15 * (1 + abs(float(value)))
            (own,) = torch.autograd.grad(found.sum(), at)
            assert abs(float(slope) - own.item()) <= 2e-12
            assert torch.equal(own, mean(at.detach()))


@given(t=in_unit, a0=params, a1=params)
def test_the_highest_density_of_a_continuous_bernoulli(t: float, a0: float, a1: float) -> None:
    at, a = interval(t, t), interval(a0, a1)
    values = ContinuousBernoulli().log_prob(at.lower, grid(a, 4001).view(-1, 1, 1, 1))
    bound = ContinuousBernoulli().upper(at, a)
    assert bound >= values.max() - 1e-12
    assert bound <= values.max() + 1e-6 * (1 + a.width.item()) ** 2


@given(a=st.floats(-700, 700))
def test_softplus_is_log_one_plus_exp(a: float) -> None:
    expected = max(a, 0.0) + math.log1p(math.exp(-abs(a)))
    torch.testing.assert_close(softplus(pixel(a)), pixel(expected), rtol=1e-15, atol=1e-300)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softplus_never_falls(dtype: torch.dtype) -> None:
    for middle in (0.0, 20.0, 50.0):
        a = torch.linspace(middle - 0.01, middle + 0.01, 20_001, dtype=torch.float64).to(dtype)
        # Half a unit in the last place of slack: neighbours may round either way.
        assert bool((softplus(a).diff() >= -2 * torch.finfo(dtype).eps * max(middle, 1)).all())


def test_make_likelihood() -> None:
    assert isinstance(make_likelihood("bernoulli", 0.2), Bernoulli)
    gaussian = make_likelihood("gaussian", 0.5)
    assert isinstance(gaussian, Gaussian)
    assert gaussian.sigma == 0.5


def test_floor_is_what_it_says() -> None:
    assert Bernoulli().floor(784) == -7840
    wrong = KINDS["gaussian"].log_prob(pixel(0.0), pixel(1.0)) - KINDS["gaussian"].log_prob(
        pixel(0.0), pixel(0.0)
    )
    perfect = KINDS["gaussian"].log_prob(pixel(0.0), pixel(0.0))
    assert KINDS["gaussian"].floor(10) == pytest.approx((10 * (10 * wrong + perfect)).item())


@pytest.mark.parametrize("name", [*KINDS, "learned"])
@pytest.mark.parametrize("seed", range(5))
def test_log_prob_falls_no_faster_than_it_says(name: str, seed: int) -> None:
    """Any way of any image, any natural parameters of the box; one pixel too, at the steepest corner."""
    kind: Likelihood = LearnedVariance(2.0) if name == "learned" else KINDS[name]
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    shape = (3, 4, 5, 5) if name == "learned" else (3, 2, 5, 5)
    middle, width = 6 * (random(*shape) - 0.5), 3 * random(1, 1, 1, 1) * random(*shape)
    box, t = Interval(middle - width, middle + width), random(3, 2, 5, 5)
    way, bend = kind.moved(t, box)
    slope = way.magnitude
    assert slope.shape == t.shape
    assert bool((slope >= 0).all() and (bend >= 0).all())
    sharpest = torch.zeros_like(bend)
    for _ in range(200):
        share = random(*shape)
        a = box.lower + (share.round() if seed % 2 else share) * box.width
        d = (random(3, 2, 5, 5) - 0.5) * random(1)
        d = torch.where(random(3, 2, 5, 5) < random(1), d, 0)
        square = bend * d.flatten(1).square().sum(1)
        allowed = (slope * d.abs()).flatten(1).sum(1) + square
        fell = kind.log_prob(t, a) - kind.log_prob(t + d, a)
        room = 1e-12 * (1 + allowed)
        assert bool((fell <= allowed + room).all())
        # With a sign: between the ends of the slope, and a parabola that opens downward.
        ends = torch.stack([way.lower * d, way.upper * d])
        assert bool((-fell >= ends.amin(0).flatten(1).sum(1) - square - room).all())
        assert bool((-fell <= ends.amax(0).flatten(1).sum(1) + room).all())
    # A step of one pixel from the corner where it is steepest meets it.
    at = t[:, :1, :1, :1]
    one = Interval(
        *(v[:, :: shape[1] // (2 if name == "learned" else 1), :1, :1] for v in (box.lower, box.upper))
    )
    way, bent = kind.moved(at, one)
    steep = way.magnitude
    corners = [one.lower, one.upper]
    if name == "learned":
        corners = [torch.cat([g[:, :1], one.lower[:, 1:]], 1) for g in (one.lower, one.upper)]
    step = 1e-3
    for a in corners:
        for way in (step, -step):
            fell = kind.log_prob(at, a) - kind.log_prob(at + way, a)
            sharpest = torch.maximum(sharpest, fell / (steep[:, 0, 0, 0] * step + bent * step**2))
    torch.testing.assert_close(sharpest, torch.ones_like(sharpest))
