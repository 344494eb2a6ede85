"""What every attack shares: it projects onto the ball, keeps the best iterate, and re-scores it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.attacks.objective import Evaluation, Objective
from core.bounds.ball import Ball
from core.vae.elbo import as_double, elbo, evaluating, sample_noise
from core.vae.model import VAE

Progress = Callable[[int, int], None]
"""Called with (evaluations done, of how many); raise in it to cancel."""

Watch = Callable[[Evaluation], None]
"""Called with every evaluation, in order: points inside the ball, their ELBOs, and SIGN times these."""

Proposals = Generator[Tensor, Evaluation, None]
"""Yields points (K * B, ...), K candidates an image; is sent their evaluation, projected onto the ball."""

# Added to the seed for the fresh draws, so that they are not those of sample_noise(vae, draws, seed).
FRESH = 1_000_003


@dataclass(frozen=True)
class AttackResult:
    """The strongest point that an attack found for each image.

    x_adv       attacked images, shape and dtype of x, inside the ball.
    elbo        ELBO(x_adv; t, noise), (B,) float64 nats, never above the clean value for side "lower",
                never below it for "upper".
    elbo_fresh  ELBO(x_adv; t, .) on as many other draws, those of sample_noise(vae, S, seed + FRESH):
                what the attack achieves on noise that it was not fitted to. (B,) float64 nats.
    history     (evaluations, B) float64: best value so far after each evaluation of the ELBO; the
                first entry is the clean value, the last one is `elbo`.
    gradients   gradients that were computed for each image, of the ELBO or of what the attack used instead.
    method, target, norm, eps, side  as asked for; eps is (B,).
    """

    x_adv: Tensor
    elbo: Tensor
    elbo_fresh: Tensor
    history: Tensor
    gradients: int
    method: str
    target: str
    norm: str
    eps: Tensor
    side: str = "lower"


@dataclass(frozen=True)
class Search:
    """Which attack looks for the worst image, and how long; see `core.attack`.

    method, steps, restarts, seed  as there.
    """

    method: str = "pgd"
    steps: int = 40
    restarts: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Problem:
    """What a search may look at.

    ball    of the B images; its centre is the clean batch.
    noise   draws (S, k).
    starts  extra starting points (K, B, C, H, W) inside the ball, K >= 0.
    """

    vae: VAE
    ball: Ball
    noise: Tensor
    starts: Tensor
    objective: Objective

    def balls(self, count: int) -> Ball:
        """The balls of `count` candidates an image."""
        ball = self.ball
        return Ball(ball.center.repeat(count, 1, 1, 1), ball.eps.repeat(count), ball.norm)


class Attack(ABC):
    """An optimiser over the ball. A subclass proposes points; this class owns everything else.

    Whatever the side, a search looks for low values: those of SIGN * ELBO (core.vae.threat.SIGN).
    """

    name: str
    # Whether it pursues the ELBO, and so has a way up as well as down.
    directed = True
    # Whether the search, like the verdict, runs in float64, at points of the network's precision.
    precise = False

    def __init__(self, steps: int = 40, restarts: int = 1, seed: int = 0, side: str = "lower") -> None:
        self.steps, self.restarts, self.seed, self.side = steps, restarts, seed, side

    @abstractmethod
    def evaluations(self, starts: int) -> int:
        """How many points an image `search` evaluates when it is given that many extra starts."""

    @abstractmethod
    def search(self, problem: Problem) -> Proposals:
        """Propose points, x itself first; each `yield` returns the Evaluation of the projected points."""

    def run(
        self,
        vae: VAE,
        ball: Ball,
        noise: Tensor,
        target: str,
        starts: Tensor,
        progress: Progress | None = None,
        watch: Watch | None = None,
    ) -> AttackResult:
        """Attack the images at the centre of the ball with shared draws (S, k); starts (K, B, C, H, W)."""
        vae, x = evaluating(vae), ball.center
        t = None if target == "likelihood" else x
        objective = Objective(as_double(vae) if self.precise else vae, noise, t, self.side)
        problem = Problem(vae, ball, noise, starts, objective)
        total = self.evaluations(len(starts))
        best_x, best = x, x.new_full((len(x),), torch.inf, dtype=torch.float64)
        history: list[Tensor] = []
        search = self.search(problem)
        points = next(search)
        while True:
            count = len(points) // len(x)
            evaluation = objective(problem.balls(count).project(points.to(x.dtype)))
            if watch is not None:
                watch(evaluation)
            values = evaluation.value.double().view(count, len(x))
            values = values.masked_fill(values.isnan(), torch.inf)
            value, which = values.min(0)
            rows = torch.arange(len(x), dtype=torch.int64, device=x.device)
            point = evaluation.point.view(count, *x.shape)[which, rows]
            best_x = choose(value < best, point, best_x)
            history += torch.minimum(values.cummin(0).values, best)
            best = torch.minimum(value, best)
            if progress is not None:
                progress(len(history), total)
            try:
                points = search.send(evaluation)
            except StopIteration:
                break
        # The search runs in the network's precision, the verdict in float64: keep the better of the two.
        sign = objective.sign
        clean, found = (sign * elbo(vae, point, noise, t).total for point in (x, best_x))
        better = found < clean
        final, x_adv = torch.where(better, found, clean), choose(better, best_x, x)
        trace = torch.stack(history).clamp(min=final, max=clean)
        trace[0], trace[-1] = clean, final
        fresh = sample_noise(vae, len(noise), (self.seed + FRESH) % 2**63)
        return AttackResult(
            x_adv=x_adv,
            elbo=sign * final,
            elbo_fresh=elbo(vae, x_adv, fresh, t).total,
            history=sign * trace,
            gradients=objective.gradients // len(x),
            method=self.name,
            target=target,
            norm=ball.norm,
            eps=ball.eps,
            side=self.side,
        )


class Restarted(Attack):
    """An attack that descends from one start after the other.

    The clean image first, then the extra starts, then random points: `restarts` plus the number of
    extra starts in all, each of `steps` steps, that is of steps + 1 evaluations.
    """

    def evaluations(self, starts: int) -> int:
        return (self.steps + 1) * (self.restarts + starts)

    def search(self, problem: Problem) -> Proposals:
        yield from self.descend(problem, problem.ball.center)
        for start in self.other_starts(problem, self.restarts - 1):
            yield from self.descend(problem, start)

    def other_starts(self, problem: Problem, count: int) -> Iterator[Tensor]:
        """The extra starts, then `count` random ones, each (B, C, H, W)."""
        generator = torch.Generator("cpu").manual_seed(self.seed)
        yield from problem.starts
        for _ in range(count):
            yield problem.ball.random(generator)

    @abstractmethod
    def descend(self, problem: Problem, start: Tensor) -> Proposals:
        """Propose steps + 1 points (B, C, H, W), the start first."""


def choose(which: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Per row: yes where `which` (N,) holds, else no."""
    return torch.where(per_row(which, yes), yes, no)


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """(N,) -> (N, 1, ..., 1), to broadcast against `like`."""
    return values.view(-1, *[1] * (like.ndim - 1))
