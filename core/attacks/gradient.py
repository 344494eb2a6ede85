"""Signed-gradient attacks on the ELBO: FGSM and PGD."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.attacks.base import Attack, Search
from core.bounds.interval import Interval


class PGD(Attack):
    """Projected gradient descent (Madry et al. 2018, arXiv 1706.06083) with a cosine step size.

    The first restart starts at the clean image, every further one at a random point of the ball.
    """

    name = "pgd"

    def __init__(self, steps: int = 40, restarts: int = 1, seed: int = 0) -> None:
        self._steps, self._restarts, self._seed = steps, restarts, seed

    @property
    def evaluations(self) -> int:
        return (self._steps + 1) * self._restarts

    def search(self, x: Tensor, box: Interval) -> Search:
        generator = torch.Generator().manual_seed(self._seed)
        reach = torch.maximum(x - box.lower, box.upper - x).flatten(1).amax(1)
        reach = reach.view(-1, *[1] * (x.ndim - 1))
        start = x
        for _ in range(self._restarts):
            evaluation = yield start
            for step in range(self._steps):
                size = cosine_step(step, self._steps) * reach
                evaluation = yield evaluation.point - size * evaluation.gradient().sign()
            share = torch.rand(x.shape, generator=generator, dtype=x.dtype).to(x.device)
            start = box.lower + share * box.width


class FGSM(PGD):
    """The fast gradient sign method (Goodfellow et al. 2015, arXiv 1412.6572): one full step.

    Takes no steps, restarts or seed: they are accepted so that every attack is made the same way.
    """

    name = "fgsm"

    def __init__(self, steps: int = 1, restarts: int = 1, seed: int = 0) -> None:
        super().__init__(steps=1, restarts=1, seed=seed)


def cosine_step(step: int, steps: int) -> float:
    """Step size as a share of eps: from 1 at the first step down a half cosine towards 0."""
    return (1 + math.cos(math.pi * step / steps)) / 2
