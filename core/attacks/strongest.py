"""The strongest attack on a budget of gradients: many starts, few survivors, kicks and a long descent."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from core.attacks.base import Attack, Problem, Search, choose, per_row
from core.attacks.gradient import cosine_step, steepest
from core.attacks.objective import Evaluation

# Gradients: all of them per step and restart, and of the long descent as a share of all.
BUDGET, LONG = 25, 0.12
# Candidates, and steps of each: at the start, of the survivors, of a round of kicks.
FIRST, KEPT, KIDS = (12, 12), (3, 20), (4, 20)
# Step sizes that a descent begins with, as a share of eps: of the survivors and kicks, of the long one.
WIDE, SMALL = 0.5, 0.1
# Share of the last step's way that is kept: without it, steps go back and forth over the kinks of ReLU.
MOMENTUM = 0.5
# Share of the pixels that a kick moves.
KICK = 0.3

Elite = tuple[Tensor, Tensor]
"""Points (K, B, C, H, W) and their values (K, B)."""


class Strongest(Attack):
    """Spends at most 25 * steps * restarts gradients an image: 1,000 with 40 steps and one restart.

    1. Starts: the clean image, the extra starts, and corners of the ball in random directions of the
       latent space (output-diversified initialisation, Tashiro et al. 2020, arXiv 2003.06878), each
       with a short descent. The best few go on (successive halving).
    2. Kicks: part of the pixels of the best points are sent to such a corner, and a short descent
       follows (iterated local search, Lourenco et al. 2003).
    3. A long descent with small steps from the best.

    A budget too small for that is spent on one descent from the best of the given starts. Values are
    compared in float64: points that differ by less than the network's rounding are told apart.
    """

    name = "strongest"
    precise = True

    def _plan(self, starts: int) -> tuple[int, int, int]:
        """Corners to start at, rounds of kicks, and steps of the long descent."""
        budget = BUDGET * self.steps * self.restarts
        count = max(FIRST[0], 2 + starts)
        corners = count - 1 - starts
        long = round(LONG * budget)
        left = budget - corners - count * FIRST[1] - KEPT[0] * KEPT[1] - long
        round_cost = KIDS[0] * (KIDS[1] + 1)
        if left < 0:
            return 0, 0, budget
        rounds = left // round_cost
        return corners, rounds, long + left - rounds * round_cost

    def evaluations(self, starts: int) -> int:
        corners, rounds, long = self._plan(starts)
        if corners == 0:
            return 1 + starts + long + 1
        first = (1 + starts + corners) * (FIRST[1] + 1) + KEPT[0] * (KEPT[1] + 1)
        return first + rounds * KIDS[0] * (KIDS[1] + 1) + long + 1

    def search(self, problem: Problem) -> Search:
        corners, rounds, long = self._plan(len(problem.starts))
        generator = torch.Generator().manual_seed(self.seed)
        given = torch.cat([problem.ball.center[None], problem.starts])
        if corners == 0:
            best = _best((yield from _descend(problem, given, 0, 1.0)), 1)
            yield from _descend(problem, best[0], long, 1.0)
            return
        clean = problem.ball.center.expand(corners, *given.shape[1:])
        points = torch.cat([given, _corners(problem, clean, generator)])
        elite = _best((yield from _descend(problem, points, FIRST[1], 1.0)), KEPT[0])
        elite = _best((yield from _descend(problem, elite[0], KEPT[1], WIDE)), KEPT[0])
        for _ in range(rounds):
            parents = elite[0][torch.arange(KIDS[0]) % 2]
            away = _corners(problem, parents, generator)
            moved = torch.rand(away.shape, generator=generator).to(away.device) < KICK
            kids = yield from _descend(problem, torch.where(moved, away, parents), KIDS[1], WIDE)
            both = torch.cat([elite[0], kids[0]]), torch.cat([elite[1], kids[1]])
            elite = _best(both, KEPT[0])
        yield from _descend(problem, elite[0][:1], long, SMALL)


def _descend(
    problem: Problem, points: Tensor, steps: int, size: float
) -> Generator[Tensor, Evaluation, Elite]:
    """PGD with momentum (Dong et al. 2018, arXiv 1710.06081) from each of the points, the step size
    falling from `size` times eps to 0; the best point of each."""
    balls = problem.balls(len(points))
    evaluation = yield points.flatten(0, 1)
    point, value = evaluation.point, evaluation.value
    way = torch.zeros_like(point)
    for step in range(steps):
        slope = evaluation.gradient()
        mean = slope.abs().flatten(1).mean(1).clamp(min=torch.finfo(slope.dtype).tiny)
        way = MOMENTUM * way + slope / per_row(mean, slope)
        evaluation = yield evaluation.point - size * cosine_step(step, steps) * steepest(balls, way)
        better = evaluation.value < value
        point, value = choose(better, evaluation.point, point), torch.where(better, evaluation.value, value)
    return point.view(points.shape), value.view(points.shape[:2])


def _best(elite: Elite, count: int) -> Elite:
    """The lowest `count` of the candidates of each image, the lowest first."""
    points, values = elite
    order = values.argsort(0)[:count]
    images = torch.arange(values.shape[1], device=values.device)
    return points[order, images], values[order, images]


def _corners(problem: Problem, points: Tensor, generator: torch.Generator) -> Tensor:
    """Where the ball is farthest in a random direction of (mu, logvar), linearised at the points."""
    flat, latent = points.flatten(0, 1), 2 * problem.vae.config.latent
    way = torch.randn(len(flat), latent, generator=generator).to(flat)

    def along(x: Tensor) -> Tensor:
        return (torch.cat(problem.vae.encode(x), -1) * way).sum(-1)

    slope = problem.objective.slope(along, flat)
    return problem.balls(len(points)).minimiser(slope).view(points.shape)
