"""The ball, cut to [0, 1], and the box that covers it in any precision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.bounds.ball import NORMS, Ball


def test_by_hand() -> None:
    x = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 1, 3)
    box = Ball(x.double(), torch.tensor([0.5]).double()).box
    assert box.lower.flatten().tolist() == [0, 0, 0.5]
    assert box.upper.flatten().tolist() == [0.5, 0.75, 1]


@given(pixel=st.floats(0, 1, width=32), eps=st.one_of(st.just(0.0), st.floats(0, 1)))
def test_the_cover_holds_the_real_and_the_float32_ball(pixel: float, eps: float) -> None:
    x, radius = torch.full((1, 1, 1, 1), pixel), torch.tensor([eps], dtype=torch.float64)
    cover = Ball(x, radius).cover().box
    for box in (Ball(x, radius).box, Ball(x.double(), radius).box):
        assert cover.lower.item() <= box.lower.double().item() <= pixel
        assert pixel <= box.upper.double().item() <= cover.upper.item()
    assert cover.lower.item() >= 0
    assert cover.upper.item() <= 1
    assert cover.width.item() <= 2 * eps + 1e-6
    if eps == 0:
        assert cover.lower.item() == cover.upper.item() == pixel


def test_one_radius_an_image() -> None:
    x, eps = torch.full((3, 1, 2, 2), 0.5), torch.tensor([0.0, 0.1, 1.0]).double()
    for box in (Ball(x, eps).box, Ball(x, eps).cover().box):
        expected = torch.tensor([0, 0.2, 1]).double()
        torch.testing.assert_close(box.width.double()[:, 0, 0, 0], expected, rtol=1e-5, atol=1e-7)


def l2_ball(seed: int, eps: float, pixels: int = 30, batch: int = 2) -> Ball:
    """Two thirds of the pixels of its centre are 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    x = (3 * torch.rand(batch, 1, 1, pixels, generator=generator, dtype=torch.float64) - 1).clamp(0, 1)
    return Ball(x, torch.full((batch,), eps, dtype=torch.float64), "l2")


def distance(ball: Ball, x: torch.Tensor) -> torch.Tensor:
    return (x - ball.center).flatten(1).norm(dim=1)


radii = st.one_of(st.sampled_from([0.0, 1e-9, 0.3, 1.0, 5.0, math.sqrt(30), 100.0]), st.floats(0, 6))


@given(seed=st.integers(0, 1000), eps=radii, sparse=st.booleans(), scale=st.sampled_from([1e-12, 1.0, 1e9]))
def test_the_lowest_value_of_a_linear_function_over_an_l2_ball(
    seed: int, eps: float, sparse: bool, scale: float
) -> None:
    ball, generator = l2_ball(seed, eps), torch.Generator().manual_seed(seed + 1)
    slope = scale * torch.randn(2, 30, generator=generator, dtype=torch.float64)
    if sparse:
        slope[:, torch.rand(30, generator=generator) < 0.9] = 0

    def value(x: torch.Tensor) -> torch.Tensor:
        return (slope * x.flatten(1)).sum(1)

    lowest, at = ball.lowest(slope[None])[0], ball.minimiser(slope.view_as(ball.center))
    size = slope.abs().sum(1)
    for point in (ball.center, at, *(ball.random(generator) for _ in range(5))):
        assert bool((distance(ball, point) <= eps * (1 + 1e-9) + 1e-12).all())
        assert bool(((point >= 0) & (point <= 1)).all())
        assert bool((lowest <= value(point) + 1e-12 * size).all())
    # Nearly tight: what the minimiser attains is within a thousandth of the way down.
    assert bool((value(at) - lowest <= 2e-3 * (value(ball.center) - lowest) + 1e-11 * size).all())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("eps", [0.0, 0.5, 6.0])
def test_a_function_without_slope_is_the_same_everywhere(norm: str, eps: float) -> None:
    ball = Ball(l2_ball(0, eps).center, l2_ball(0, eps).eps, norm)
    zero = torch.zeros(1, 2, 30, dtype=torch.float64)
    assert ball.lowest(zero).tolist() == [[0, 0]]
    at = ball.minimiser(zero[0].view_as(ball.center))
    assert bool(at.isfinite().all())
    assert bool(((at >= 0) & (at <= 1)).all())


def test_an_l2_ball_of_radius_0_is_a_point_and_a_huge_one_the_whole_box() -> None:
    slope = torch.randn(1, 2, 30, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    point = l2_ball(1, 0.0)
    torch.testing.assert_close(point.lowest(slope)[0], (slope[0] * point.center.flatten(1)).sum(1))
    at = point.minimiser(slope[0].view_as(point.center))
    torch.testing.assert_close(at, point.center, rtol=0, atol=1e-20)
    assert torch.equal(point.project(1 - point.center), point.center)
    whole = l2_ball(1, math.sqrt(30))
    corner = (slope[0] < 0).double().view_as(whole.center)
    torch.testing.assert_close(whole.lowest(slope)[0], slope[0].clamp(max=0).sum(1))
    torch.testing.assert_close(whole.minimiser(slope[0].view_as(whole.center)), corner)
    assert torch.equal(whole.project(corner), corner)


@given(seed=st.integers(0, 1000), eps=radii)
def test_projection_is_the_nearest_of_many_points(seed: int, eps: float) -> None:
    ball, generator = l2_ball(seed, eps), torch.Generator().manual_seed(seed + 2)
    x = ball.center + torch.randn(ball.center.shape, generator=generator, dtype=torch.float64)
    near = ball.project(x)
    assert bool((distance(ball, near) <= eps * (1 + 1e-9) + 1e-12).all())
    assert bool(((near >= 0) & (near <= 1)).all())
    assert torch.equal(ball.project(ball.center), ball.center)
    torch.testing.assert_close(ball.project(near), near, rtol=1e-6, atol=1e-9)
    for _ in range(10):
        other = ball.random(generator)
        assert bool(((x - near).flatten(1).norm(dim=1) <= (x - other).flatten(1).norm(dim=1) + 1e-9).all())
        halfway = (near + other) / 2
        assert bool(
            ((x - near).flatten(1).norm(dim=1) <= (x - halfway).flatten(1).norm(dim=1) + 1e-9).all()
        )


@given(seed=st.integers(0, 1000), eps=st.floats(0, 6))
def test_the_cover_holds_the_float32_l2_ball(seed: int, eps: float) -> None:
    single = Ball(l2_ball(seed, eps).center.float(), l2_ball(seed, eps).eps, "l2")
    cover = single.cover()
    generator = torch.Generator().manual_seed(seed)
    for _ in range(5):
        point = single.random(generator)
        assert bool((distance(cover, point.double()) <= cover.eps).all())
    assert bool((cover.eps <= eps + 1e-5).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("eps", [0.01, 5.0, 40.0])
def test_what_is_projected_is_inside_by_its_true_distance(eps: float, dtype: torch.dtype) -> None:
    """Of colour images a float32 norm is off by more than the cover allows."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(20, 3, 32, 32, generator=generator, dtype=dtype)
    radius = torch.full((20,), eps, dtype=torch.float64)
    ball = Ball(x, radius, "l2")
    far = x + 100 * torch.randn(x.shape, generator=generator, dtype=dtype)
    for point in (ball.project(far), ball.project(x + 1e-3 * far), ball.random(generator)):
        apart = (point.double() - x.double()).flatten(1).norm(dim=1)
        assert bool((apart <= radius * (1 + 1e-12)).all())
