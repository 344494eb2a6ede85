"""What every attack shares: it projects onto the ball, keeps the best iterate, and re-scores it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.attacks.objective import Evaluation, Objective
from core.ball import Ball
from core.bounds.interval import Interval
from core.elbo import elbo
from core.model import VAE

Progress = Callable[[int, int], None]
"""Called with (evaluations done, of how many); raise in it to cancel."""

Search = Generator[Tensor, Evaluation, None]
"""Yields points (B, ...) and is sent the evaluation of each, projected onto the ball."""


@dataclass(frozen=True)
class AttackResult:
    """The strongest point that an attack found for each image.

    x_adv    attacked images, shape and dtype of x, inside the ball.
    elbo     ELBO(x_adv; t, noise), (B,) float64 nats, never above the clean value.
    history  (evaluations, B) float64: best value so far after each evaluation of the ELBO; the first
             entry is the clean value, the last one is `elbo`. A restart adds steps + 1 entries.
    method, target, eps  as asked for; eps is (B,).
    """

    x_adv: Tensor
    elbo: Tensor
    history: Tensor
    method: str
    target: str
    eps: Tensor


class Attack(ABC):
    """An optimiser over the ball. A subclass proposes points; this class owns everything else."""

    name: str

    @property
    @abstractmethod
    def evaluations(self) -> int:
        """How many points `search` will yield."""

    @abstractmethod
    def search(self, x: Tensor, box: Interval) -> Search:
        """Propose points, x itself first; each `yield` returns the Evaluation of the projected point."""

    def run(
        self,
        vae: VAE,
        x: Tensor,
        noise: Tensor,
        eps: Tensor,
        target: str,
        progress: Progress | None = None,
    ) -> AttackResult:
        """Attack images x (B, C, H, W) with shared draws (S, k); eps (B,)."""
        t = None if target == "likelihood" else x
        ball, objective = Ball(x, eps), Objective(vae, noise, t)
        best_x, best = x, torch.full_like(x[:, 0, 0, 0], torch.inf)
        history: list[Tensor] = []
        search = self.search(x, ball.box)
        point = next(search)
        while True:
            evaluation = objective(ball.project(point))
            better = evaluation.value < best
            best = torch.where(better, evaluation.value, best)
            best_x = _choose(better, evaluation.point, best_x)
            history.append(best)
            if progress is not None:
                progress(len(history), self.evaluations)
            try:
                point = search.send(evaluation)
            except StopIteration:
                break
        # The search runs in the network's precision, the verdict in float64: keep the better of the two.
        clean, found = elbo(vae, x, noise, t).total, elbo(vae, best_x, noise, t).total
        lowered = found < clean
        final = torch.where(lowered, found, clean)
        trace = torch.stack(history).double().clamp(min=final, max=clean)
        trace[0], trace[-1] = clean, final
        return AttackResult(_choose(lowered, best_x, x), final, trace, self.name, target, eps)


def _choose(which: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Per image: yes where `which` (B,) holds, else no."""
    return torch.where(which.view(-1, *[1] * (yes.ndim - 1)), yes, no)
