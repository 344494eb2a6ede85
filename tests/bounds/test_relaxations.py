"""Every line and plane bounds its function on the whole interval, whatever slope, and touches it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.relaxations import (
    chord_slope,
    half_exp_form,
    half_exp_lower,
    half_exp_upper,
    join_faces,
    logvar_intercept,
    logvar_slope,
    logvar_term,
    lower_of,
    relu_form,
    relu_lower,
    relu_share,
    relu_upper,
    square_intercept,
)
from core.vae.continuous_bernoulli import ContinuousBernoulli
from core.vae.likelihood import Bernoulli, Gaussian, OneParameter, softplus

many = settings(max_examples=400)
weights = st.sampled_from([1, -1])
# Slopes and mixes come from an optimiser: outside [0, 1] too.
shares = st.one_of(st.floats(0, 1), st.floats(-3, 4), st.sampled_from([0.0, 0.5, 1.0]))
widths = st.one_of(
    st.just(0.0), st.floats(1e-15, 1e-7), st.floats(1e-7, 1e-6), st.floats(1e-6, 10), st.floats(10, 1000)
)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def interval(lower: float, width: float) -> Interval:
    return Interval(number(lower), number(lower) + number(width))


def points(x: Interval) -> Tensor:
    """Of the interval: a grid, points close to the ends, and 0 and the middle if they lie inside."""
    shares = torch.cat([torch.linspace(0, 1, 201), torch.logspace(-16, -1, 16)]).double()
    grid = torch.cat([x.lower + shares * x.width, x.upper - shares * x.width, number(0.0)[None]])
    return grid.clamp(x.lower, x.upper)


def below(line: Tensor, f: Tensor, *sizes: Tensor) -> bool:
    """line <= f but for float64 rounding of terms of these sizes."""
    size = sum((s.abs() for s in sizes), f.abs() + line.abs())
    return bool((line <= f + 1e-14 * size).all())


@many
@given(lower=st.floats(-500, 500), width=widths, share=shares)
def test_relu(lower: float, width: float, share: float) -> None:
    x = interval(lower, width)
    v = points(x)
    slope, intercept = relu_upper(x)
    assert below(v.relu(), slope * v + intercept, slope * v, intercept)
    for line in (relu_lower(x, number(share)), relu_lower(x, relu_share(x))):
        assert 0 <= line.item() <= 1
        assert below(line * v, v.relu())
    ends = torch.stack([x.lower, x.upper])
    torch.testing.assert_close(slope * ends + intercept, ends.relu(), rtol=1e-12, atol=1e-12)
    middle, radius = relu_form(x, number(share))
    assert below((v.relu() - middle * v - radius).abs(), radius, v)


@many
@given(
    lower=st.one_of(st.floats(-1, 1), st.floats(-200, 80)),
    width=widths.filter(lambda w: w < 100),
    share=shares,
)
def test_half_exponential(lower: float, width: float, share: float) -> None:
    x = interval(lower, width)
    v, f = points(x), (points(x) / 2).exp()
    slope, intercept = half_exp_lower(x, number(share))
    assert below(slope * v + intercept, f, slope * v, intercept)
    touch = x.lower + number(share).clamp(0, 1) * x.width
    torch.testing.assert_close(slope * touch + intercept, (touch / 2).exp(), rtol=1e-11, atol=0)
    slope, intercept = half_exp_upper(x)
    assert below(f, slope * v + intercept, slope * v, intercept)
    if width > 1e-5:
        ends = torch.stack([x.lower, x.upper])
        size = (x.upper / 2).exp().item() * (1 + x.magnitude.item())
        torch.testing.assert_close(slope * ends + intercept, (ends / 2).exp(), rtol=1e-9, atol=1e-9 * size)
    slope, middle, radius = half_exp_form(x, number(share))
    assert below((f - slope * v - middle).abs(), radius, slope * v, middle, f)


@many
@given(lower=st.floats(-30, 30), width=widths, slope=st.floats(-1e3, 1e3), weight=weights)
def test_the_parabola_of_the_kl(lower: float, width: float, slope: float, weight: int) -> None:
    x = interval(lower, width)
    v = points(x)
    least = square_intercept(x, number(slope), weight)
    values = -weight * v * v / 2 - slope * v
    assert below(least, values, v * v, slope * v)
    # Attained: at an end where concave, at the slope or the end nearest to it where convex.
    at = v.new_tensor([x.lower, x.upper, min(max(slope, x.lower.item()), x.upper.item())])
    torch.testing.assert_close(least, (-weight * at * at / 2 - slope * at).min())


@many
@given(
    lower=st.floats(-200, 80),
    width=widths.filter(lambda w: w < 100),
    scale=st.one_of(st.just(0.0), st.floats(-1e4, 1e4)),
    off=st.one_of(st.just(0.0), st.floats(-1e3, 1e3)),
    weight=weights,
)
def test_all_that_depends_on_the_log_variance(
    lower: float, width: float, scale: float, off: float, weight: int
) -> None:
    x, factor = interval(lower, width), number(scale)
    slope = logvar_slope(x, factor, weight) + off
    least = logvar_intercept(x, factor, slope, weight)
    v = points(x)
    values = logvar_term(v, factor, weight) - slope * v
    assert below(least, values, v.exp(), factor * (v / 2).exp(), slope * v)
    size = 1e-3 * (values.amax() - values.amin()) + 1e-11 * (v.exp() + (slope * v).abs()).max()
    assert least >= values.min() - size - 1e-9


@pytest.mark.parametrize("weight", [1, -1])
def test_a_tiny_variance_beside_a_large_scale_does_not_drown(weight: int) -> None:
    x, scale = interval(-59.0, 4.0), number(1e4)
    slope = logvar_slope(x, scale, weight)
    values = logvar_term(points(x), scale, weight) - slope * points(x)
    # A root that is taken from a difference of 1e4s is off by more than this.
    assert logvar_intercept(x, scale, slope, weight) <= values.min() + 1e-12


@given(lower=st.floats(-50, 50), width=st.floats(1e-5, 100))
def test_the_chord_meets_the_ends_and_narrow_ones_are_tangents(lower: float, width: float) -> None:
    x = interval(lower, width)
    slope = chord_slope(softplus, number(torch.nan), x)
    torch.testing.assert_close(
        softplus(x.lower) + slope * x.width, softplus(x.upper), rtol=1e-9, atol=1e-12
    )
    assert chord_slope(softplus, number(0.25), interval(lower, 1e-9)).item() == 0.25


@many
@given(lower=st.floats(0, 1), width=widths, low=st.floats(-1e3, 1e3), high=st.floats(-1e3, 1e3))
def test_faces_are_joined_below_both(lower: float, width: float, low: float, high: float) -> None:
    t = interval(lower, min(width, 1 - lower))
    n, c = join_faces(t, number(low), number(high))
    for end, value in ((t.lower, low), (t.upper, high)):
        assert below(n * end + c, number(value), n * end, c)
    if t.width > 1e-5:
        torch.testing.assert_close(n * t.lower + c, number(low), rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(n * t.upper + c, number(high), rtol=1e-7, atol=1e-7)


LIKELIHOODS: dict[str, OneParameter] = {
    "bernoulli": Bernoulli(),
    "continuous bernoulli": ContinuousBernoulli(),
    "gaussian": Gaussian(0.2),
    "wide gaussian": Gaussian(1.0),
}
# In a continuous Bernoulli's log p is the logarithm of a number about 1, off by the rounding of that.
INSIDE = {"continuous bernoulli": number(1.0)}


def image(values: Tensor) -> Tensor:
    return values.reshape(-1, 1, 1, 1)


@many
@given(
    name=st.sampled_from(sorted(LIKELIHOODS)),
    t_lower=st.floats(0, 1),
    t_width=st.one_of(st.just(0.0), st.floats(1e-15, 1e-5), st.floats(0, 1)),
    a_lower=st.one_of(st.floats(-20, 20), st.floats(-500, 500)),
    a_width=widths,
    mix=shares,
    weight=weights,
)
def test_planes_bound_the_likelihood(
    name: str, t_lower: float, t_width: float, a_lower: float, a_width: float, mix: float, weight: int
) -> None:
    likelihood = LIKELIHOODS[name]
    t, a = interval(t_lower, min(t_width, 1 - t_lower)), interval(a_lower, a_width)
    ts, at = (grid.flatten() for grid in torch.meshgrid(points(t)[::9], points(a), indexing="ij"))
    f = weight * likelihood.log_prob(image(ts), image(at))
    on_a, on_t, constant = likelihood.plane(t, a, number(mix), weight)
    assert all(bool(part.isfinite()) for part in (on_a, on_t, constant))
    inside = INSIDE.get(name, number(0.0))
    assert below(on_a * at + on_t * ts + constant, f, on_a * at, on_t * ts, constant, at, f, inside)


@pytest.mark.parametrize(("t", "a"), [((0, 1), (0, 500)), ((0.45, 0.55), (30, 60)), ((0, 3e-7), (0, 37))])
@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
def test_upper_planes_where_no_mean_is_high_enough(
    t: tuple[float, float], a: tuple[float, float], mix: float
) -> None:
    # log p still rises at a.upper: a maximum that is sought at a finite logit of 1 is too low, by 232 nats.
    scored, natural = (Interval(number(x[0]), number(x[1])) for x in (t, a))
    on_a, on_t, constant = Bernoulli().plane(scored, natural, number(mix), -1)
    for end in (scored.lower, scored.upper):
        at = points(natural)
        f = softplus(at) - end * at
        assert below(on_a * at + on_t * end + constant, f, at, constant)


@given(
    t_lower=st.floats(0, 0.9),
    a_lower=st.floats(-20, 20),
    a_width=st.floats(1e-3, 20),
    name=st.sampled_from(["bernoulli", "continuous bernoulli", "wide gaussian"]),
)
def test_the_two_facets_meet_the_corners(t_lower: float, a_lower: float, a_width: float, name: str) -> None:
    # Each extreme mix is a facet of the lower convex envelope: it meets three of the four corners.
    likelihood = LIKELIHOODS[name]
    t, a = interval(t_lower, 0.1), interval(a_lower, a_width)
    corners = [(x, y) for x in (t.lower, t.upper) for y in (a.lower, a.upper)]
    touched = set()
    for mix in (0.0, 1.0):
        on_a, on_t, constant = likelihood.plane(t, a, number(mix), 1)
        gaps = [
            (likelihood.log_prob(image(x), image(y)) - on_a * y - on_t * x - constant).item()
            for x, y in corners
        ]
        assert sum(gap < 1e-9 for gap in gaps) >= 3
        touched |= {corner for corner, gap in enumerate(gaps) if gap < 1e-9}
    assert touched == {0, 1, 2, 3}


@many
@given(
    name=st.sampled_from(sorted(LIKELIHOODS)),
    t=st.floats(0, 1),
    a_lower=st.one_of(st.floats(-20, 20), st.floats(-300, 300)),
    a_width=widths,
    share=shares,
)
def test_parabolas_are_below_the_likelihood(
    name: str, t: float, a_lower: float, a_width: float, share: float
) -> None:
    likelihood, a = LIKELIHOODS[name], interval(a_lower, a_width)
    at = points(a)
    f = likelihood.log_prob(number(t).expand(len(at), 1, 1, 1), image(at))
    p = likelihood.parabola(a, number(share))
    y = at - p.center
    line = p.constant + p.slope * y - p.bend * y * y + p.cross * t * at - p.square * t * t
    inside = INSIDE.get(name, number(0.0))
    assert below(line, f, p.slope * y, p.bend * y * y, p.cross * at, p.bend * at * at, inside)


@pytest.mark.parametrize("rule", [relu_upper, half_exp_upper])
def test_a_point_is_its_own_bound(rule: Callable[[Interval], tuple[Tensor, Tensor]]) -> None:
    for value in (-200.0, -1.0, 0.0, 1e-300, 3.0, 80.0):
        x = interval(value, 0.0)
        slope, intercept = rule(x)
        f = torch.relu if rule is relu_upper else lambda v: (v / 2).exp()
        torch.testing.assert_close(slope * x.lower + intercept, f(x.lower), rtol=1e-12, atol=0)


@pytest.mark.parametrize("slope", [0.0, -1e3])
def test_where_the_variance_overflows_there_is_no_line(slope: float) -> None:
    assert logvar_intercept(interval(-1.0, 2000.0), number(1.0), number(slope), 1).isnan()


@pytest.mark.parametrize("other", [torch.inf, 5.0, 2.0 + 1e-12, -torch.inf])
def test_the_smaller_one_has_the_gradient_and_ties_share_it(other: float) -> None:
    a, b = number(2.0).requires_grad_(True), number(other).requires_grad_(True)
    least = lower_of(a, b)
    assert least.item() == min(2.0, other)
    given = torch.autograd.grad(least, (a, b))
    wanted = (0.5, 0.5) if abs(other - 2) < 1 else (float(other > 2), float(other < 2))
    assert tuple(v.item() for v in given) == wanted
    assert lower_of(b, number(torch.nan)).isnan()
