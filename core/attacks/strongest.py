"""The strongest attack on a budget of gradients: scouts, many starts, kicks, and a polish of the best."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from core.attacks.apgd import APGD
from core.attacks.base import Attack, Problem, Proposals, choose, per_row
from core.attacks.gradient import cosine_step, steepest
from core.attacks.objective import Evaluation
from core.attacks.spg import SPG
from core.attacks.surrogate import Damage, Latent, Targeted
from core.attacks.vertex import Vertex
from core.bounds.ball import Ball

# Gradients in all, per step and restart.
BUDGET = 25
# Attacks that scout ahead, and their steps. On robust models each of them is alone in finding some valleys.
SCOUTS, SCOUT = (APGD, SPG, Vertex, Latent, Targeted, Damage), 12
# Candidates and steps of each: all starts, the best of them.
FIRST, KEPT = (22, 12), (4, 20)
# A round: kicks and fresh starts, and steps of each.
KICKS, FRESH, SHORT = 2, 4, 20
# Cells of the grid along each edge between which a smooth random direction is interpolated.
COARSE = 7
# Share of the pixels that a kick moves.
KICK = 0.3
# The polish: how many of the best, steps, the size they begin with as a share of eps; then jumps.
POLISH, JUMPS = ((2, 70, 1.0), (1, 80, 0.3), (1, 60, 0.02)), 6
# Share of the last step's way that the polish keeps: without it, steps go back and forth over the kinks of
# ReLU. In the search it would keep a descent in the first valley it meets.
MOMENTUM = 0.75

Elite = tuple[Tensor, Tensor]
"""Points (K, B, C, H, W) and their values (K, B)."""

Descent = Generator[Tensor, Evaluation, Elite]


@dataclass(frozen=True)
class Budget:
    """How a budget is spent: starts beside the given ones and the scouts, rounds, steps of the last polish.

    new == 0: the budget is too small for that.
    """

    new: int
    rounds: int
    last: int


class Strongest(Attack):
    """Spends at most 25 * steps * restarts gradients an image: 1,000 with 40 steps and one restart.

    1. Scouts: a short run of every other kind of attack.
    2. Starts: the clean image, the extra starts, what the scouts found, random points (in l_2 smooth
       ones) and corners of the ball in random directions of the latent space (output-diversified
       initialisation, Tashiro et al. 2020, arXiv 2003.06878), each with a short descent from steps as
       wide as the ball. The best few go on (successive halving).
    3. Rounds: more starts, and kicks, which send part of the pixels of the best points to such a corner
       or random point (iterated local search, Lourenco et al. 2003).
    4. Polish: descents with momentum and ever smaller steps from the best, then jumps to corners.

    A budget too small for that is spent on one descent from the best of the given starts. Values are
    compared in float64: points that differ by less than the network's rounding are told apart.
    """

    name = "strongest"
    precise = True

    def _plan(self, starts: int) -> Budget:
        budget = BUDGET * self.steps * self.restarts
        scouts = len(self._scouts())
        given = 1 + starts + scouts
        count = max(FIRST[0], given + 2)
        new = count - given
        first = scouts * SCOUT + new // 2 + count * FIRST[1] + KEPT[0] * KEPT[1]
        left = budget - first - sum(best * steps for best, steps, _ in POLISH) - JUMPS
        if left < 0:
            return Budget(0, 0, budget)
        each = KICKS // 2 + FRESH // 2 + (KICKS + FRESH) * SHORT
        return Budget(new, left // each, POLISH[-1][1] + left % each)

    def evaluations(self, starts: int) -> int:
        plan = self._plan(starts)
        if plan.new == 0:
            return 1 + starts + plan.last + 1
        scouts = self._scouts()
        ahead = sum(scout.evaluations(0) for scout in scouts)
        first = (1 + starts + len(scouts) + plan.new) * (FIRST[1] + 1) + KEPT[0] * (KEPT[1] + 1)
        rounds = plan.rounds * (KICKS + FRESH) * (SHORT + 1)
        polish = sum(best * (steps + 1) for best, steps, _ in POLISH[:-1]) + plan.last + 1
        return ahead + first + rounds + polish + JUMPS + 1

    def _scouts(self) -> list[Attack]:
        """Upwards only those that follow the ELBO: what moves the posterior away lowers it."""
        kinds = [kind for kind in SCOUTS if kind.directed or self.side == "lower"]
        return [kind(SCOUT, 1, self.seed, self.side) for kind in kinds]

    def search(self, problem: Problem) -> Proposals:
        plan, x = self._plan(len(problem.starts)), problem.ball.center
        given = torch.cat([x[None], problem.starts])
        if plan.new == 0:
            elite = _best((yield from _descend(problem, given, 0, 1.0)), 1)
            yield from _descend(problem, elite[0], plan.last, 1.0, MOMENTUM)
            return
        generator = torch.Generator("cpu").manual_seed(self.seed)
        alone = replace(problem, starts=problem.starts[:0])
        starts = [given]
        for scout in self._scouts():
            starts.append((yield from _follow(scout.search(alone)))[None])
        starts.append(_elsewhere(problem, x.expand(plan.new, *x.shape), generator))
        points = torch.cat(starts)
        elite = _best((yield from _descend(problem, points, FIRST[1], 1.0)), KEPT[0])
        elite = _best((yield from _descend(problem, elite[0], KEPT[1], 1.0)), KEPT[0])
        for _ in range(plan.rounds):
            parents = elite[0][:KICKS]
            away = _elsewhere(problem, parents, generator)
            chance = torch.rand(away.shape, generator=generator, dtype=torch.float32, device="cpu")
            moved = chance.to(away.device) < KICK
            fresh = _elsewhere(problem, x.expand(FRESH, *x.shape), generator)
            points = torch.cat([torch.where(moved, away, parents), fresh])
            elite = _best(_join(elite, (yield from _descend(problem, points, SHORT, 1.0))), KEPT[0])
        for best, steps, size in (*POLISH[:-1], (1, plan.last, POLISH[-1][2])):
            polished = yield from _descend(problem, elite[0][:best], steps, size, MOMENTUM)
            elite = _best(_join(elite, polished), KEPT[0])
        yield from Vertex(JUMPS).descend(problem, elite[0][0])


def _descend(problem: Problem, points: Tensor, steps: int, size: float, momentum: float = 0.0) -> Descent:
    """PGD with momentum (Dong et al. 2018, arXiv 1710.06081) from each of the points, the step size
    falling from `size` times eps to 0; the best point of each."""
    balls = problem.balls(len(points))
    evaluation = yield points.flatten(0, 1)
    point, value = evaluation.point, evaluation.value
    way = torch.zeros_like(point)
    for step in range(steps):
        slope = evaluation.gradient()
        mean = slope.abs().flatten(1).mean(1).clamp(min=torch.finfo(slope.dtype).tiny)
        way = momentum * way + slope / per_row(mean, slope)
        evaluation = yield evaluation.point - size * cosine_step(step, steps) * steepest(balls, way)
        better = evaluation.value < value
        point, value = choose(better, evaluation.point, point), torch.where(better, evaluation.value, value)
    return point.view(points.shape), value.view(points.shape[:2])


def _follow(search: Proposals) -> Generator[Tensor, Evaluation, Tensor]:
    """Let another attack search; the best point (B, C, H, W) it met."""
    points = next(search)
    evaluation = yield points
    best, value = evaluation.point, evaluation.value
    while True:
        try:
            points = search.send(evaluation)
        except StopIteration:
            return best
        evaluation = yield points
        better = evaluation.value < value
        best, value = choose(better, evaluation.point, best), torch.where(better, evaluation.value, value)


def _best(elite: Elite, count: int) -> Elite:
    """The lowest `count` of the candidates of each image, the lowest first."""
    points, values = elite
    order = values.argsort(0)[:count]
    images = torch.arange(values.shape[1], dtype=torch.int64, device=values.device)
    return points[order, images], values[order, images]


def _join(one: Elite, other: Elite) -> Elite:
    return torch.cat([one[0], other[0]]), torch.cat([one[1], other[1]])


def _elsewhere(problem: Problem, points: Tensor, generator: torch.Generator) -> Tensor:
    """As many points of the ball, half of them corners (`_corners`), the others random."""
    half = len(points) // 2
    others = [_anywhere(problem.ball, generator) for _ in range(len(points) - half)]
    return torch.cat([_corners(problem, points[:half], generator), torch.stack(others)])


def _anywhere(ball: Ball, generator: torch.Generator) -> Tensor:
    """A random point of each ball, (B, C, H, W); for l_2 the farthest in a smooth random direction.

    Pixels that move independently of each other cancel out in whatever looks at many of them, and in l_2
    they cannot all move far: such a point leads back to the clean image's valley.
    """
    if ball.norm == "linf":
        return ball.random(generator)
    x = ball.center
    size = (1, x.shape[1], COARSE, COARSE)
    coarse = torch.randn(size, generator=generator, dtype=x.dtype, device="cpu")
    way = nn.functional.interpolate(coarse, x.shape[-2:], mode="bicubic", align_corners=False)
    return ball.minimiser(way.to(x.device).expand_as(x))


def _corners(problem: Problem, points: Tensor, generator: torch.Generator) -> Tensor:
    """Where the ball is farthest in a random direction of (mu, logvar), linearised at the points."""
    flat, latent = points.flatten(0, 1), 2 * problem.vae.config.latent
    way = torch.randn(len(flat), latent, generator=generator, dtype=torch.float32, device="cpu").to(flat)

    def along(x: Tensor) -> Tensor:
        return (torch.cat(problem.vae.encode(x), -1) * way).sum(-1)

    slope = problem.objective.slope(along, flat)
    return problem.balls(len(points)).minimiser(slope).view(points.shape)
