"""Quadratic forms of bounded variables with the pattern of an arrow, and diagonals that dominate them.

    <v, Q v>,   v = (shared (n,), own (S, m)),   own variables of different draws do not meet in Q

For a diagonal D with D - Q positive semidefinite, -<v, Q v> >= -<v, D v>, and what is separable is easy
to bound: the dual of the semidefinite relaxation (Shor 1987) for one fixed D.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.rounding import FLOAT64


@dataclass(frozen=True)
class Pair:
    """Values of the shared variables (n, ...) and of each draw's own (S, m, ...)."""

    shared: Tensor
    own: Tensor

    def map2(self, other: Pair) -> Pair:
        """Elementwise product."""
        return Pair(self.shared * other.shared, self.own * other.own)

    def to(self, dtype: torch.dtype) -> Pair:
        return Pair(self.shared.to(dtype), self.own.to(dtype))

    def sum(self) -> Tensor:
        return self.shared.sum() + self.own.sum()

    def flat(self) -> Tensor:
        """(n + S m, ...)."""
        return torch.cat([self.shared, self.own.flatten(0, 1)])

    def like(self, flat: Tensor) -> Pair:
        """A flat vector (n + S m, ...) in this shape."""
        count = len(self.shared)
        return Pair(flat[:count], flat[count:].unflatten(0, self.own.shape[:2]))


@dataclass(frozen=True)
class Arrow:
    """The blocks of Q: shared with shared (n, n), with own (S, n, m), own with own (S, m, m)."""

    shared: Tensor
    mixed: Tensor
    own: Tensor

    def row_sums(self) -> Pair:
        """Sums of the absolute entries of the rows: a diagonal that dominates."""
        mixed = self.mixed.abs()
        return Pair(self.shared.abs().sum(1) + mixed.sum((0, 2)), self.own.abs().sum(2) + mixed.sum(1))


def dominates(scale: Pair, factor: Tensor, form: Arrow, rounding: Tensor) -> bool:
    """Whether factor * diag(scale) - Q is positive semidefinite, proved by a Cholesky factorisation.

    scale > 0. rounding: by how much the entries of Q may be off, as a norm after scaling, both sides, by
    1 / sqrt(scale). If the factorisation of a symmetric A of size N runs to its end, in any order of
    summation, the smallest eigenvalue of A is above -gamma(N + 1) / (1 - gamma(N + 1)) trace(A) (Demmel
    1989; Rump 2006, BIT 46): A is taken smaller than what is to be proved by four times as much.
    The draws are eliminated first, which leaves every zero of the arrow a zero.
    """
    shared, own = scale.shared.rsqrt(), scale.own.rsqrt()
    size = len(shared) + own.numel()
    trace = size * factor + (form.shared.diagonal() * shared**2).abs().sum()
    trace = trace + (form.own.diagonal(dim1=1, dim2=2) * own**2).abs().sum()
    left = factor - rounding - 4 * FLOAT64.gamma(size + 2) * trace
    corner = -own[:, :, None] * form.own * own[:, None]
    corner.diagonal(dim1=1, dim2=2).add_(left)
    lower, failed = torch.linalg.cholesky_ex(corner)
    if not bool(torch.isfinite(left)) or bool(failed.any()):
        return False
    mixed = -own[:, :, None] * form.mixed.transpose(1, 2) * shared
    mixed = torch.linalg.solve_triangular(lower, mixed, upper=False)
    rest = -shared[:, None] * form.shared * shared - (mixed.transpose(1, 2) @ mixed).sum(0)
    rest.diagonal().add_(left)
    return int(torch.linalg.cholesky_ex(rest)[1]) == 0


def separable_minimum(linear: Tensor, bend: Tensor) -> Tensor:
    """Minimum of linear v - bend v^2 over |v| <= 1, elementwise: at an end, or inside where bend < 0."""
    ends = -linear.abs() - bend
    inside = (bend < 0) & (linear.abs() <= -2 * bend)
    return torch.where(inside, linear**2 / (4 * torch.where(inside, bend, -1)), ends)
