"""Random search: what an attack has to beat."""

from __future__ import annotations

import torch

from core.attacks.base import Attack, Problem, Proposals


class Random(Attack):
    """As many points as PGD would evaluate, without any gradient.

    Corners of the ball (l_2: points on its surface) in random directions, the strongest that chance finds.
    """

    name = "random"

    def evaluations(self, starts: int) -> int:
        return (self.steps + 1) * (self.restarts + starts)

    def search(self, problem: Problem) -> Proposals:
        ball, starts = problem.ball, problem.starts
        yield ball.center
        for start in starts:  # noqa: UP028 (a tensor's iterator takes no evaluations)
            yield start
        generator = torch.Generator("cpu").manual_seed(self.seed)
        for _ in range(self.evaluations(len(starts)) - 1 - len(starts)):
            way = torch.randn(ball.center.shape, generator=generator, dtype=ball.center.dtype, device="cpu")
            yield ball.minimiser(way.to(ball.center.device))
