"""The Lagrangian dual of the quadratic of `elbo_quadratic`: ascent, and the proof of what it arrives at."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.bounds.rounding import FLOAT64
from core.certificates.elbo_bounds.ascent import ascend
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.semidefinite.arrowhead import BlockVector
from core.certificates.semidefinite.build_quadratic import QuadraticBuilder
from core.certificates.semidefinite.dominance import (
    PowerIteration,
    dominates,
    random_vectors,
    soft_maximum,
)
from core.certificates.semidefinite.elbo_quadratic import Quadratic, System

# Adam's steps for slopes, touching points and scales, for p, and what is left of them at the last one; its
# memory.
_STEP, _POINT_STEP, _LAST, _BETAS = 0.04, 0.1, 0.1, (0.8, 0.95)
# Slopes move in every so many iterations: those cost a backward pass through the network.
_SLOW = 4
# Vectors that follow the largest eigenvalues, power iterations a step and for a proof.
_COLUMNS, _POWER, _FINAL = 8, 2, 40
# What the largest eigenvalue that was found is raised by until the proof succeeds.
_RAISE = (1.0005, 1.002, 1.01, 1.05, 1.3, 2.0)


class DualAscent:
    """Improves the free parameters for one ball in float32, and proves a bound for them in float64."""

    def __init__(self, builder: QuadraticBuilder, x: Tensor, slopes: Slopes, iterations: int) -> None:
        self._builder, self._fast = builder, builder.single()
        self._choices = builder.exact().start(x, slopes).to(torch.float32)
        self._iterations = iterations
        self._system: System | None = None
        self._done = 0
        basis = random_vectors(len(self._choices.scale.flat()), _COLUMNS, like=x).mT
        self._top = PowerIteration(basis, indefinite=True)

    def run(self) -> Iterator[Tensor]:
        """Improve the choices; yields an estimate of the bound, which proves nothing, before each step."""
        choices = self._choices

        def repair() -> None:
            for share in [*choices.slow(), choices.touch]:
                share.clamp_(0, 1)
            for point in choices.points():
                point.clamp_(-1, 1)

        groups = [([*choices.slow(), *choices.fast()], _STEP), (choices.points(), _POINT_STEP)]
        return ascend(self._estimate, groups, self._iterations, _LAST, repair, _BETAS)

    def _estimate(self) -> Tensor:
        if self._done % _SLOW == 0 or self._system is None:
            system = self._fast.system(self._choices)
            self._system = System(*(v.detach() for v in vars(system).values()))
        else:
            system = self._system
        self._done += 1
        q = self._fast.quadratic(system, self._choices)
        scale = self._choices.scale.map(torch.exp)
        factor = soft_maximum(self._eigenvalues(q, scale, _POWER))
        return q.lowest(scale.map(lambda v: factor * v), self._choices.point)

    def _eigenvalues(self, q: Quadratic, scale: BlockVector, steps: int) -> Tensor:
        """Lower bounds (c,) on the largest eigenvalues of Q scaled by 1 / sqrt(scale), differentiable."""
        root = BlockVector(scale.shared.rsqrt()[:, None], scale.own.rsqrt()[..., None])

        def apply(rows: Tensor) -> Tensor:
            return (q.times(root.like(rows.mT) * root) * root).flat().mT

        self._top.basis = self._top.basis.to(scale.shared)
        return self._top.follow(apply, steps)

    def prove(self) -> tuple[Tensor, Tensor]:
        """Prove a bound (1,) for the choices as they are: that, -inf if the proof fails, and the margin in
        it."""
        choices = self._choices.to(torch.float64)
        scale = choices.scale.map(torch.exp)
        q = self._builder.quadratic(self._builder.system(choices), choices)
        rows = q.row_sums()
        sums = BlockVector(rows.shared / scale.shared, rows.own / scale.own).flat()
        gamma = FLOAT64.gamma(4 * (len(sums) + len(q.cross)) + 100)
        matrix, most = q.matrix(), sums.max()
        top = self._eigenvalues(q, scale, _FINAL).max().clamp(min=0)
        for more in _RAISE:
            factor = top * more + 1e-9 * most
            if dominates(scale, factor, matrix, gamma * most):
                break
        else:
            return -torch.full_like(q.constant, torch.inf)[None], q.constant[None] * 0
        large = scale.map(lambda v: factor * v)
        value = q.lowest(large, choices.point)
        size = q.size + 4 * large.sum() + 4 * rows.sum()
        margin = q.rounding + gamma * size
        return (value - margin)[None], margin[None]
