"""Optimisation of the quadratic of `elbo_quadratic`, and the proof for what it arrives at."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.bounds.rounding import FLOAT64
from core.certificates.elbo_bounds.ascent import ascend
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.semidefinite.arrowhead import Pair, dominates
from core.certificates.semidefinite.build_quadratic import Joint
from core.certificates.semidefinite.elbo_quadratic import Quadratic, System

# Adam's steps for slopes, touching points and scales, for p, and what is left of them at the last one; its
# memory.
_STEP, _POINT_STEP, _LAST, _BETAS = 0.04, 0.1, 0.1, (0.8, 0.95)
# Slopes move in every so many iterations: those cost a backward pass through the network.
_SLOW = 4
# Columns of the subspace that follows the largest eigenvalues, power steps an iteration and for a proof,
# and how far the soft maximum of the eigenvalues reaches.
_COLUMNS, _POWER, _FINAL, _SOFT = 8, 2, 40, 0.02
# What the largest eigenvalue that was found is raised by until the proof succeeds.
_RAISE = (1.0005, 1.002, 1.01, 1.05, 1.3, 2.0)


class Subspace:
    """The largest eigenvalues of Q scaled by D, followed by power iteration while both change."""

    def __init__(self, size: int, like: Tensor) -> None:
        generator = torch.Generator("cpu").manual_seed(0)
        shape = (size, _COLUMNS)
        basis = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu").to(like)
        self._basis, self._shift = torch.linalg.qr(basis)[0], 1.0

    def top(self, q: Quadratic, scale: Pair, steps: int) -> Tensor:
        """Lower bounds (c,) on the largest eigenvalues, differentiable in q and scale."""
        root = Pair(scale.shared.rsqrt()[:, None], scale.own.rsqrt()[..., None])

        def apply(v: Tensor) -> Tensor:
            return q.times(root.like(v).map2(root)).map2(root).flat()

        self._basis = self._basis.to(scale.shared)
        with torch.no_grad():
            for _ in range(steps):
                self._basis = torch.linalg.qr(apply(self._basis) + self._shift * self._basis)[0]
            # In float64: where entries are far apart, float32 does not always converge.
            small = (self._basis.T @ apply(self._basis)).nan_to_num(0, 0, 0).double()
            self._basis = self._basis @ torch.linalg.eigh(small)[1].to(self._basis)
        values = (self._basis * apply(self._basis)).sum(0)
        self._shift = values.detach().abs().max().item() / 2
        return values


def dominant(scale: Pair, factor: Tensor) -> Pair:
    return Pair(factor * scale.shared, factor * scale.own)


def exponential(scale: Pair) -> Pair:
    return Pair(scale.shared.exp(), scale.own.exp())


class Search:
    """Choices for one ball, improved step by step in float32, and the bound that is proved for them in
    float64."""

    def __init__(self, joint: Joint, x: Tensor, slopes: Slopes, iterations: int) -> None:
        self._joint, self._fast = joint, joint.single()
        self._choices = joint.exact().start(x, slopes).to(torch.float32)
        self._iterations = iterations
        self._system: System | None = None
        self._done = 0
        self._subspace = Subspace(len(self._choices.scale.flat()), x)

    def run(self) -> Iterator[Tensor]:
        """Improves the choices; yields an estimate of the bound, nothing proved, before each step."""
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
        scale = exponential(self._choices.scale)
        values = self._subspace.top(q, scale, _POWER)
        soft = _SOFT * values.detach().abs().max() + 1e-30
        factor = soft * torch.logsumexp(values / soft, 0)
        return q.lowest(dominant(scale, factor), self._choices.point)

    def prove(self) -> tuple[Tensor, Tensor]:
        """The bound (1,) with its proof for the choices as they are, and the margin in it; -inf if none
        was found."""
        choices = self._choices.to(torch.float64)
        scale = exponential(choices.scale)
        q = self._joint.quadratic(self._joint.system(choices), choices)
        rows = q.row_sums()
        sums = Pair(rows.shared / scale.shared, rows.own / scale.own).flat()
        gamma = FLOAT64.gamma(4 * (len(sums) + len(q.cross)) + 100)
        arrow, top = q.arrow(), self._subspace.top(q, scale, _FINAL).max().clamp(min=0)
        for more in _RAISE:
            factor = top * more + 1e-9 * sums.max()
            if dominates(scale, factor, arrow, gamma * sums.max()):
                break
        else:
            return -torch.full_like(q.constant, torch.inf)[None], q.constant[None] * 0
        large = dominant(scale, factor)
        value = q.lowest(large, choices.point)
        size = q.size + 4 * large.sum() + 4 * rows.sum()
        margin = q.rounding + gamma * size
        return (value - margin)[None], margin[None]
