"""Quadratic forms of bounded variables with the pattern of an arrow, and diagonals that dominate them.

    <v, Q v>,   v = (shared (n,), own (S, m)),   own variables of different draws do not meet in Q

For a diagonal D with D - Q positive semidefinite, -<v, Q v> >= -<v, D v>, and what is separable is easy
to bound: the dual of the semidefinite relaxation (Shor 1987) for one fixed D.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BlockVector:
    """Values of the shared variables (n, ...) and of each draw's own (S, m, ...)."""

    shared: Tensor
    own: Tensor

    def __mul__(self, other: BlockVector) -> BlockVector:
        """Elementwise product."""
        return BlockVector(self.shared * other.shared, self.own * other.own)

    def map(self, f: Callable[[Tensor], Tensor]) -> BlockVector:
        return BlockVector(f(self.shared), f(self.own))

    def to(self, dtype: torch.dtype) -> BlockVector:
        return self.map(lambda v: v.to(dtype))

    def sum(self) -> Tensor:
        return self.shared.sum() + self.own.sum()

    def flat(self) -> Tensor:
        """(n + S m, ...)."""
        return torch.cat([self.shared, self.own.flatten(0, 1)])

    def like(self, flat: Tensor) -> BlockVector:
        """A flat vector (n + S m, ...) in this shape."""
        count = len(self.shared)
        return BlockVector(flat[:count], flat[count:].unflatten(0, self.own.shape[:2]))


@dataclass(frozen=True)
class Arrowhead:
    """The blocks of Q: shared with shared (n, n), with own (S, n, m), own with own (S, m, m)."""

    shared: Tensor
    mixed: Tensor
    own: Tensor

    def row_sums(self) -> BlockVector:
        """Sums of the absolute entries of the rows: a diagonal that dominates."""
        mixed = self.mixed.abs()
        return BlockVector(
            self.shared.abs().sum(1) + mixed.sum((0, 2)), self.own.abs().sum(2) + mixed.sum(1)
        )


def separable_minimum(linear: Tensor, bend: Tensor) -> Tensor:
    """Minimum of linear v - bend v^2 over |v| <= 1, elementwise: at an end, or inside where bend < 0."""
    ends = -linear.abs() - bend
    inside = (bend < 0) & (linear.abs() <= -2 * bend)
    return torch.where(inside, linear**2 / (4 * torch.where(inside, bend, -1)), ends)
