"""A Gaussian with the decoder's own variances: values, extremes and planes against points of the box."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.rounding import ELEMENTARY, FLOAT64
from core.training.baseline import fit_constant_decoder
from core.vae.learned_variance import LearnedVariance
from core.vae.likelihood import Gaussian

KIND = LearnedVariance(1.7)
BOXES = 400
sides = pytest.mark.parametrize("weight", [1, -1])


def boxes(seed: int) -> tuple[Interval, Interval]:
    """Boxes of one pixel each: t (BOXES, 1, 1, 1), a (BOXES, 2, 1, 1), among them points, flat, far
    and wide ones."""
    generator = torch.Generator().manual_seed(seed)

    def ends(low: float, high: float, widest: float) -> Interval:
        center = low + (high - low) * torch.rand(BOXES, 1, 1, 1, generator=generator).double()
        size = 10.0 ** (-8 + (8 + math.log10(widest)) * torch.rand(BOXES, 1, 1, 1, generator=generator))
        size = size.double() * (torch.rand(BOXES, 1, 1, 1, generator=generator) > 0.1)
        return Interval(center - size, center + size)

    t = ends(0, 1, 0.3).map(lambda v: v.clamp(0, 1))
    parts = ends(-0.5, 1.5, 4.0), ends(-8, 4, 6.0)
    lower, upper = (torch.cat([getattr(part, end) for part in parts], 1) for end in ("lower", "upper"))
    return t, Interval(lower, upper)


def inside(box: Interval, seed: int, count: int = 300) -> Tensor:
    """Points of each box, its corners and edges often among them: (count, BOXES, ...)."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(count, *box.lower.shape, generator=generator).double()
    share = torch.where(share < 0.3, 0.0, torch.where(share > 0.7, 1.0, (share - 0.3) / 0.4))
    return torch.minimum(torch.maximum(box.lower + share * box.width, box.lower), box.upper)


def margin(t: Interval, a: Interval) -> Tensor:
    """What a certificate gives up for the rounding of one pixel's plane."""
    return 8 * FLOAT64.gamma(2 + 2 * ELEMENTARY) * KIND.plane_size(t, a)


def test_values_are_those_of_torch() -> None:
    t, a = torch.rand(4, 3, 5, 5).double(), torch.randn(2, 4, 6, 5, 5).double()
    g, s = a.chunk(2, 2)
    for stretch in (1.0, 2.0):
        own = torch.distributions.Normal(stretch * g, (s / 2).exp())
        wanted = own.log_prob(stretch * t).flatten(2).sum(2)
        torch.testing.assert_close(LearnedVariance(stretch).log_prob(t, a), wanted)
    assert torch.equal(KIND.mean(a), g)


def test_with_one_variance_it_is_the_gaussian() -> None:
    t, g = torch.rand(4, 1, 5, 5).double(), torch.randn(4, 1, 5, 5).double()
    a = torch.cat([g, torch.full_like(g, 2 * math.log(0.3))], 1)
    torch.testing.assert_close(LearnedVariance().log_prob(t, a), Gaussian(0.3).log_prob(t, g))
    torch.testing.assert_close(LearnedVariance().floor(7), Gaussian(0.1).floor(7))


def extremes_passed(seed: int) -> bool:
    """Whether a point of a box has a value beyond the extremes of that box."""
    t, a = boxes(seed)
    values = KIND.log_prob(inside(t, seed + 50), inside(a, seed + 90))
    rounding = FLOAT64.gamma(30) * KIND.magnitude(t, a)
    low, high = KIND.lower(t, a) - rounding, KIND.upper(t, a) + rounding
    return bool(((values < low) | (values > high)).any())


def plane_passed(seed: int, mix: Tensor | float, weight: int) -> bool:
    """Whether a plane is on the wrong side of a point of its box."""
    t, a = boxes(seed)
    on_a, on_t, constant = KIND.plane(t, a, a.lower * 0 + mix, weight)
    ts, as_ = inside(t, seed + 7), inside(a, seed + 8)
    plane = (on_a * as_).flatten(2).sum(2) + (on_t * ts + constant).flatten(2).sum(2)
    return bool((plane - margin(t, a) > weight * KIND.log_prob(ts, as_)).any())


@pytest.mark.parametrize("seed", range(6))
def test_extremes_are_met_and_never_passed(seed: int) -> None:
    assert not extremes_passed(seed)
    t, a = boxes(seed)
    values = KIND.log_prob(inside(t, seed + 50), inside(a, seed + 90))
    lower, upper = KIND.lower(t, a), KIND.upper(t, a)
    # The lowest is at a corner, and corners are among the points.
    assert bool((values.amin(0) <= lower + 1e-3 * (1 + lower.abs())).double().mean() > 0.9)
    # The highest is at d and s of one's own: attained to first order.
    g, s = a.map(lambda v: v[:, :1]), a.map(lambda v: v[:, 1:])
    near = torch.minimum(torch.maximum(t.center, g.lower), g.upper)
    at = torch.minimum(torch.maximum(near, t.lower), t.upper)
    best = torch.minimum(torch.maximum(((1.7 * (at - near)) ** 2).log(), s.lower), s.upper)
    torch.testing.assert_close(KIND.log_prob(at, torch.cat([near, best], 1)), upper)


@sides
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0, "random", "outside"])
def test_planes_are_on_their_side(weight: int, seed: int, mix: float | str) -> None:
    share = torch.rand(BOXES, 2, 1, 1, generator=torch.Generator().manual_seed(seed)).double()
    mixes = {"random": share, "outside": 3 * share - 1}
    assert not plane_passed(seed, mixes[mix] if isinstance(mix, str) else mix, weight)


@sides
def test_a_plane_touches(weight: int) -> None:
    """It is no lower than it must be: somewhere in the box, or on its way to there, nothing is lost."""
    t, a = boxes(3)
    on_a, on_t, constant = KIND.plane(t, a, torch.full_like(a.lower, 0.5), weight)
    ts, as_ = inside(t, 1, 4000), inside(a, 2, 4000)
    plane = (on_a * as_).flatten(2).sum(2) + (on_t * ts + constant).flatten(2).sum(2)
    slack = (weight * KIND.log_prob(ts, as_) - plane).amin(0)
    span = KIND.upper(t, a) - KIND.lower(t, a)
    assert (slack <= 0.05 * span + 1e-6).double().mean() > 0.9


@sides
def test_planes_of_narrow_boxes_lose_little(weight: int) -> None:
    """What is lost falls with the square of the width."""
    t, a = torch.tensor([[[[0.4]]]]).double(), torch.tensor([[[[0.1]], [[-2.0]]]]).double()
    lost = []
    for width in (1e-1, 1e-2):
        box_t, box_a = (Interval(v - width, v + width) for v in (t, a))
        on_a, on_t, constant = KIND.plane(box_t, box_a, torch.full_like(a, 0.5), weight)
        plane = (on_a * a).sum() + (on_t * t + constant).sum()
        lost.append((weight * KIND.log_prob(t, a) - plane).item())
    assert 0 <= lost[1] <= lost[0] / 50


@sides
def test_planes_have_the_gradient_of_what_they_lose(weight: int) -> None:
    """An optimiser sees how the intercept moves with the slope."""
    t, a = boxes(2)
    wide = (a.width.amin(1) > 1e-3).flatten() & (a.width.amax(1) < 3).flatten()
    t, a = t.map(lambda v: v[wide]), a.map(lambda v: v[wide])
    mix = torch.full_like(a.lower, 0.37).requires_grad_()

    def value(mix: Tensor) -> Tensor:
        on_a, on_t, constant = KIND.plane(t, a, mix, weight)
        at_a, at_t = a.lower + 0.3 * a.width, t.lower + 0.6 * t.width
        return (on_a * at_a).flatten(1).sum(1) + (on_t * at_t + constant).flatten(1).sum(1)

    (slope,) = torch.autograd.grad(value(mix).sum(), mix)
    for part in (0, 1):
        step = torch.zeros_like(mix)
        step[:, part] = 1e-6
        numeric = (value(mix + step) - value(mix - step)) / 2e-6
        close = (slope[:, part].flatten() - numeric).abs() <= 1e-3 * (1 + numeric.abs())
        assert close.double().mean() > 0.9  # not at a corner that gives way to another


@given(t=st.floats(0, 1), g=st.floats(-3, 3), s=st.floats(-20, 20))
def test_magnitude_covers_the_summands(t: float, g: float, s: float) -> None:
    at = torch.tensor(t, dtype=torch.float64).view(1, 1, 1, 1)
    a = torch.tensor([g, s], dtype=torch.float64).view(1, 2, 1, 1)
    size = 0.5 * (1.7 * (abs(t) + abs(g))) ** 2 * math.exp(-s) + abs(s) / 2 + 0.5 * math.log(2 * math.pi)
    assert size <= KIND.magnitude(Interval(at, at), Interval(a, a)).item() * (1 + 1e-12)
    assert KIND.peak(Interval(at, at), Interval(a, a)).item() >= max(size, math.exp(-s))


@pytest.mark.parametrize("target", ["likelihood", "reconstruction"])
def test_no_other_constant_decoder_of_that_mean_is_better(target: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(50, 1, 3, 3, generator=generator) * 255).round().double() / 255
    levels = torch.nn.functional.one_hot((x * 255).round().long(), 256).sum(0)
    best = fit_constant_decoder(levels, KIND, 0.05, target)
    value = best.lower(x, 0.05, target).mean()
    for shift in (-0.1, 0.1):
        other = best.a + torch.tensor([0.0, shift]).view(2, 1, 1)
        worse = type(best)(other, KIND).lower(x, 0.05, target).mean()
        assert worse < value


# Faults


def corner_left_out(patch: pytest.MonkeyPatch) -> None:
    """Of a box of means and log variances, only the corners at the largest variance."""
    right = LearnedVariance._below

    def wrong(self: LearnedVariance, t: Interval, g: Interval, s: Interval, *of: Tensor) -> Any:
        return right(self, t, g, Interval(s.upper, s.upper), *of)

    patch.setattr(LearnedVariance, "_below", wrong)


def tangent_as_it_is(patch: pytest.MonkeyPatch) -> None:
    """The tangent plane of d^2 exp(-s), as if that were convex in both."""

    def wrong(self: LearnedVariance, t: Interval, g: Interval, s: Interval, *of: Tensor) -> Any:
        d = Interval(self._stretch * (t.lower - g.upper), self._stretch * (t.upper - g.lower))
        p, q = d.lower + of[0] * d.width, s.lower + of[1] * s.width
        on_d, rest = p * (-q).exp(), 0.5 * p**2 * (-q).exp()
        lowest = 0.5 * p**2 * (-q).exp() - on_d * p + rest * q
        on_t = self._stretch * on_d
        return torch.cat([-on_t, 0.5 - rest], -3), on_t, lowest + 0.5 * math.log(2 * math.pi)

    patch.setattr(LearnedVariance, "_above", wrong)


def largest_precision(patch: pytest.MonkeyPatch) -> None:
    """The lowest density of a box, at its smallest variance wherever that is."""

    def wrong(self: LearnedVariance, t: Interval, a: Interval) -> Tensor:
        g, s = a.map(lambda v: v.chunk(2, -3)[0]), a.lower.chunk(2, -3)[1]
        far = torch.maximum(t.upper - g.lower, g.upper - t.lower)
        found = -0.5 * ((self._stretch * far) ** 2 * (-s).exp() + s + math.log(2 * math.pi))
        return found.flatten(-3).sum(-1)

    patch.setattr(LearnedVariance, "lower", wrong)


def no_stationary_point(patch: pytest.MonkeyPatch) -> None:
    """The plane above, lowest where the largest variance is."""
    right = LearnedVariance._above

    def wrong(self: LearnedVariance, t: Interval, g: Interval, s: Interval, *of: Tensor) -> Any:
        return right(self, t, g, Interval(s.upper, s.upper), *of)

    patch.setattr(LearnedVariance, "_above", wrong)


def planes_passed(weight: int) -> bool:
    return any(plane_passed(seed, mix, weight) for seed in range(3) for mix in (0.0, 0.5, 1.0))


@pytest.mark.parametrize(
    ("plant", "passed"),
    [
        (corner_left_out, lambda: planes_passed(1)),
        (tangent_as_it_is, lambda: planes_passed(-1)),
        (no_stationary_point, lambda: planes_passed(-1)),
        (largest_precision, lambda: extremes_passed(0)),
    ],
)
def test_a_planted_fault_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None],
    passed: Callable[[], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not passed()
    with monkeypatch.context() as patch:
        plant(patch)
        assert passed()
