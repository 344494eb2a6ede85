"""Functions with a kink in each pixel over an l_2 ball: never beaten, nearly tight, exact numbers too."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.kinked import Kinked

pytestmark = pytest.mark.slow

radii = st.one_of(st.sampled_from([0.0, 1e-9, 0.3, 1.0, 5.0, math.sqrt(30), 100.0]), st.floats(0, 6))
PIXELS, BATCH = 30, 2


def some_ball(seed: int, eps: float, pixels: int = PIXELS) -> Ball:
    """Two thirds of the pixels of its centre are 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    x = (3 * torch.rand(BATCH, 1, 1, pixels, generator=generator, dtype=torch.float64) - 1).clamp(0, 1)
    return Ball(x, torch.full((BATCH,), eps, dtype=torch.float64), "l2")


def some_kinked(ball: Ball, seed: int, scale: float, where: str, share: float = 1.0) -> Kinked:
    """Kinks at the centre, or anywhere in the box; as steep as the slopes, times `share`."""
    generator = torch.Generator().manual_seed(seed + 1)
    x = ball.center.flatten(1)
    slope = scale * torch.randn(3, *x.shape, generator=generator, dtype=torch.float64)
    reach = share * scale * torch.rand(3, *x.shape, generator=generator, dtype=torch.float64)
    box = ball.box.map(lambda v: v.flatten(1))
    anywhere = box.lower + torch.rand(x.shape, generator=generator, dtype=torch.float64) * box.width
    return Kinked(slope, reach, x if where == "centre" else anywhere)


def value(f: Kinked, y: Tensor) -> Tensor:
    """(R, B) at y (B, d)."""
    return (f.slope * y - f.reach * (y - f.at).abs()).sum(-1)


def reached(f: Kinked, ball: Ball, steps: int = 30) -> Tensor:
    """What is attained, (R, B): from a point to the minimiser of the slope there, which falls at each step
    where a function is concave. The first start is the steeper side of each pixel of the centre."""
    rows, x = [], ball.center.flatten(1)
    for r in range(len(f.slope)):
        best = value(f, x)[r]
        side = torch.where(x <= 0, -1.0, torch.where(x >= 1, 1.0, f.slope[r].sign()))
        for start in (side, 1.0, -1.0):
            slope = f.slope[r] + start * f.reach[r]
            for _ in range(steps):
                y = ball.minimiser(slope.view_as(ball.center)).flatten(1)
                best = torch.minimum(best, value(f, y)[r])
                slope = f.slope[r] - f.reach[r] * torch.where(y >= f.at, 1.0, -1.0)
        rows.append(best)
    return torch.stack(rows)


@given(
    seed=st.integers(0, 1000),
    eps=radii,
    scale=st.sampled_from([1e-12, 1.0, 1e9]),
    where=st.sampled_from(["centre", "anywhere"]),
)
def test_it_is_never_beaten_in_the_ball(seed: int, eps: float, scale: float, where: str) -> None:
    ball, generator = some_ball(seed, eps), torch.Generator().manual_seed(seed + 2)
    f = some_kinked(ball, seed, scale, where)
    lowest = f.lowest(ball)
    room = 1e-12 * (f.slope.abs() + f.reach).sum(-1)
    assert bool(lowest.isfinite().all())
    assert bool((lowest <= reached(f, ball) + room).all())
    for _ in range(5):
        assert bool((lowest <= value(f, ball.random(generator).flatten(1)) + room).all())


@pytest.mark.parametrize("eps", [1e-6, 0.05, 0.5, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_with_kinks_at_the_centre_it_is_nearly_attained(seed: int, eps: float) -> None:
    """From the centre each pixel has a better side, and on it one line."""
    ball = some_ball(seed, eps)
    f = some_kinked(ball, seed, 1.0, "centre")
    lowest, attained, centre = f.lowest(ball), reached(f, ball), value(f, ball.center.flatten(1))
    assert bool((attained - lowest <= 0.02 * (centre - lowest)).all())


@pytest.mark.parametrize("eps", [0.0, 1e-6, 0.3, 3.0, 100.0])
def test_without_kinks_it_is_the_bound_of_a_linear_function(eps: float) -> None:
    ball = some_ball(3, eps)
    f = some_kinked(ball, 3, 1.0, "anywhere", share=0.0)
    torch.testing.assert_close(f.lowest(ball), ball.lowest(f.slope), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("eps", [0.05, 0.5, 2.0])
def test_one_multiplier_is_better_than_a_box_for_the_kinks(eps: float) -> None:
    """And never worse than a plane below them over the box."""
    ball = some_ball(4, eps)
    f, box = some_kinked(ball, 4, 1.0, "anywhere"), ball.box.map(lambda v: v.flatten(1))
    ends = [f.slope * end - f.reach * (end - f.at).abs() for end in (box.lower, box.upper)]
    width = box.width.clamp(min=1e-30)
    rise = (ends[1] - ends[0]) / width
    plane = ball.lowest(rise, rounds=False) + (ends[0] - rise * box.lower).sum(-1)
    assert bool((f.lowest(ball) >= plane - 1e-6 * plane.abs()).all())
    if eps < 1:
        apart = ball.lowest(f.slope) - (f.reach * torch.maximum(box.upper - f.at, f.at - box.lower)).sum(-1)
        assert bool((f.lowest(ball) > apart).all())


def exact(f: Kinked, row: int, image: int, y: list[Fraction]) -> Fraction:
    """The value at y without rounding."""
    numbers = zip(
        *(v.tolist() for v in (f.slope[row, image], f.reach[row, image], f.at[image])), y, strict=True
    )
    return sum(
        (Fraction(c) * v - Fraction(r) * abs(v - Fraction(at)) for c, r, at, v in numbers), Fraction(0)
    )


@pytest.mark.parametrize("eps", [0.0, 1e-13, 1e-10, 1e-8, 100.0])
def test_no_rounding_lifts_it_above_what_a_point_attains_exactly(eps: float) -> None:
    """Balls so small that rounding outweighs what the search leaves open, and the whole box."""
    for seed in range(20):
        ball = some_ball(seed, eps, pixels=200)
        f = some_kinked(ball, seed, 1.0, "centre" if eps < 1 else "anywhere")
        lowest = f.lowest(ball)
        for row in range(3):
            for image in range(BATCH):
                x = [Fraction(v) for v in ball.center.flatten(1)[image].tolist()]
                if eps == 0 or eps > 1:
                    low, high = (v.flatten(1)[image].tolist() for v in (ball.box.lower, ball.box.upper))
                    y = [Fraction(v) for v in low]
                    terms = zip(*(v[row, image].tolist() for v in (f.slope, f.reach)), strict=True)
                    for j, (c, r) in enumerate(terms):
                        at = Fraction(f.at[image, j].item())
                        one, other = (
                            Fraction(c) * v - Fraction(r) * abs(v - at)
                            for v in map(Fraction, (low[j], high[j]))
                        )
                        y[j] = Fraction(low[j] if one <= other else high[j])
                else:
                    c, r = f.slope[row, image], f.reach[row, image]
                    free = ball.center.flatten(1)[image]
                    down, up = torch.where(free > 0, c + r, 0), torch.where(free < 1, r - c, 0)
                    rise = torch.where(down >= up, -down.clamp(min=0), up.clamp(min=0))
                    way = [Fraction(v) for v in (rise / rise.norm() * (1 - 1e-9) * eps).tolist()]
                    assert sum(w * w for w in way) <= Fraction(eps) ** 2
                    y = [min(max(v + w, Fraction(0)), Fraction(1)) for v, w in zip(x, way, strict=True)]
                assert Fraction(lowest[row, image].item()) <= exact(f, row, image, y)


def test_its_gradient_is_that_of_the_minimiser() -> None:
    ball = some_ball(5, 0.4)
    f = some_kinked(ball, 5, 1.0, "anywhere")
    leaves = [v.clone().requires_grad_(True) for v in (f.slope, f.reach, f.at)]
    Kinked(*leaves).lowest(ball, rounds=False).sum().backward()
    for index, leaf in enumerate(leaves):
        assert leaf.grad is not None
        way = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        moved = [v.detach() + 1e-6 * way * (i == index) for i, v in enumerate(leaves)]
        back = [v.detach() - 1e-6 * way * (i == index) for i, v in enumerate(leaves)]
        rise = (Kinked(*moved).lowest(ball, False) - Kinked(*back).lowest(ball, False)).sum() / 2e-6
        torch.testing.assert_close((leaf.grad * way).sum(), rise, rtol=2e-2, atol=2e-2)
