"""Frank-Wolfe: jump to the point of the ball where the linearised ELBO is lowest."""

from __future__ import annotations

import torch
from torch import Tensor

from core.attacks.base import Problem, Proposals, Restarted, choose, per_row


class Vertex(Restarted):
    """Frank & Wolfe 1956 with full steps, as long as they pay.

    Where the ELBO is nearly concave in x', as on robust models, its minimum is a corner of the box, and
    a few jumps reach one that no jump improves. A jump that does not pay is halved, one that does is
    doubled again, so that the search goes on inside the ball where the ELBO is not concave.
    """

    name = "vertex"

    def descend(self, problem: Problem, start: Tensor) -> Proposals:
        evaluation = yield start
        point, value, slope = evaluation.point, evaluation.value, evaluation.gradient()
        share = torch.ones_like(value)
        for step in range(1, self.steps + 1):
            corner = problem.ball.minimiser(slope)
            evaluation = yield point + per_row(share, point) * (corner - point)
            if step == self.steps:
                break
            paid = evaluation.value < value
            point, value = choose(paid, evaluation.point, point), torch.where(paid, evaluation.value, value)
            slope = choose(paid, evaluation.gradient(), slope)
            share = torch.where(paid, (2 * share).clamp(max=1), share / 2)
