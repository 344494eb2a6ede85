"""Attacks that step along the steepest descent of SIGN * ELBO: FGSM and PGD."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.attacks.base import Problem, Proposals, Restarted, per_row
from core.attacks.objective import Evaluation
from core.bounds.ball import Ball


class PGD(Restarted):
    """Projected gradient descent (Madry et al. 2018, arXiv 1706.06083) with a cosine step size."""

    name = "pgd"

    def descend(self, problem: Problem, start: Tensor) -> Proposals:
        evaluation = yield start
        for step in range(self.steps):
            size = cosine_step(step, self.steps)
            way = steepest(problem.ball, self.slope(problem, evaluation))
            evaluation = yield evaluation.point - size * way

    def slope(self, problem: Problem, evaluation: Evaluation) -> Tensor:
        """Gradient of what is minimised, shape of the point."""
        return evaluation.gradient()


class FGSM(PGD):
    """The fast gradient sign method (Goodfellow et al. 2015, arXiv 1412.6572): one full step.

    Takes one step and no random restart, whatever is asked for; extra starts get a step each.
    """

    name = "fgsm"

    def __init__(self, steps: int = 1, restarts: int = 1, seed: int = 0, side: str = "lower") -> None:
        super().__init__(steps=1, restarts=1, seed=seed, side=side)


def steepest(ball: Ball, slope: Tensor) -> Tensor:
    """The step of steepest ascent that is as long as the ball is wide, in its norm; shape of slope.

    l_inf: the sign of the slope times the farthest that any pixel can move. l_2: the slope scaled to eps.
    """
    if ball.norm == "linf":
        x, box = ball.center, ball.box
        reach = torch.maximum(x - box.lower, box.upper - x).flatten(1).amax(1)
        return per_row(reach, slope) * slope.sign()
    size = slope.flatten(1).norm(dim=1).clamp(min=torch.finfo(slope.dtype).tiny)
    return per_row(ball.eps.to(slope.dtype) / size, slope) * slope


def cosine_step(step: int, steps: int) -> float:
    """Step size as a share of eps: from 1 at the first step down a half cosine towards 0."""
    return (1 + math.cos(math.pi * step / steps)) / 2
