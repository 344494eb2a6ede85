"""Auto-PGD: a step size that adapts itself, momentum, and restarts from the best point."""

from __future__ import annotations

import torch
from torch import Tensor

from core.attacks.base import Problem, Proposals, Restarted, choose, per_row
from core.attacks.gradient import steepest

# Croce & Hein 2020, section 3.1 and algorithm 1: momentum, share of improving steps that is enough.
MOMENTUM, ENOUGH = 0.75, 0.75


class APGD(Restarted):
    """Auto-PGD (Croce & Hein 2020, arXiv 2003.01690), on the ELBO itself.

    At each checkpoint an image whose steps improved too rarely, or not at all at this step size, halves
    its step and goes back to its best point.
    """

    name = "apgd"

    def descend(self, problem: Problem, start: Tensor) -> Proposals:
        ball, marks = problem.ball, checkpoints(self.steps)
        evaluation = yield start
        point, value, slope = evaluation.point, evaluation.value, evaluation.gradient()
        best_point, best, best_slope = point, value, slope
        size = torch.full_like(value, 2.0)
        last, improved, window = point, torch.zeros_like(value), 0
        before, halved = best, torch.zeros_like(value, dtype=torch.bool)
        for step in range(1, self.steps + 1):
            pulled = ball.project(point - per_row(size, point) * steepest(ball, slope))
            share = MOMENTUM if step > 1 else 1.0
            evaluation = yield point + share * (pulled - point) + (1 - share) * (point - last)
            improved += evaluation.value < value
            last, point, value = point, evaluation.point, evaluation.value
            if step == self.steps:
                break
            slope = evaluation.gradient()
            better = value < best
            best = torch.where(better, value, best)
            best_point, best_slope = choose(better, point, best_point), choose(better, slope, best_slope)
            window += 1
            if step in marks:
                stuck = ~halved & (best >= before)
                halved = stuck | (improved < ENOUGH * window)
                size = torch.where(halved, size / 2, size)
                point, slope = choose(halved, best_point, point), choose(halved, best_slope, slope)
                last, value = choose(halved, best_point, last), torch.where(halved, best, value)
                before, improved, window = best, torch.zeros_like(improved), 0


def checkpoints(steps: int) -> set[int]:
    """The steps at which the step size may be halved: 22 % of all steps, then ever closer."""
    now, gap, marks = 0.22, 0.22, set[int]()
    while now < 1:
        marks.add(max(1, round(now * steps)))
        gap = max(gap - 0.03, 0.06)
        now += gap
    return marks
