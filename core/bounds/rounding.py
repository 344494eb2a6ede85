"""How far floating-point arithmetic can be from the real numbers (Higham 2002, chapters 2 and 3).

A certificate has to hold for the arithmetic that is run, not for the mathematics it approximates
(Jia & Rinard 2020, arXiv 2003.03021). Bounds are computed in float64 and widened, rule by rule, by
what an evaluation of the same layer in the network's own arithmetic can be off by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Arithmetic:
    """Numbers a forward pass is run in: unit roundoff and largest finite value."""

    unit: float
    largest: float

    @property
    def rounds(self) -> bool:
        return self.unit > 0

    def gamma(self, n: int) -> float:
        """Relative error of a sum or inner product of n terms, in any order of summation.

        |fl(sum_i w_i x_i) - sum_i w_i x_i| <= gamma(n) sum_i |w_i x_i|, gamma(n) = n u / (1 - n u).
        Four times the float64 gamma is added for the arithmetic of the bound itself. Infinite where n u
        reaches 1: of sums of so many terms nothing is known.
        """
        if not self.rounds:
            return 0.0
        if n * self.unit >= 1:
            return math.inf
        double = _U64 * n
        return n * self.unit / (1 - n * self.unit) + 4 * double / (1 - double)

    def unless_overflow(self, margin: Tensor, size: Tensor) -> Tensor:
        """margin where values and partial sums up to `size` are finite in this arithmetic, else inf:
        what may overflow is off by any amount. An EXACT arithmetic has no largest value."""
        return torch.where(size <= self.largest, margin, torch.inf)


def proved(bound: Tensor) -> Tensor:
    """Lower bounds, -inf where the arithmetic gave nothing: overflow to either side proves as little as NaN
    does."""
    return bound.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)


_U64 = 2.0**-53
EXACT = Arithmetic(0.0, float("inf"))
FLOAT64 = Arithmetic(_U64, torch.finfo(torch.float64).max)
ARITHMETICS = {"float32": Arithmetic(2.0**-24, torch.finfo(torch.float32).max), "float64": FLOAT64}

# torch's exp and log1p are within one unit in the last place, two unit roundoffs; this leaves room.
ELEMENTARY = 8

# Absolute part for results that underflow: far above any float32 subnormal, far below any nat.
UNDERFLOW = 1e-30
# The smallest float32 that is not subnormal: what a processor may take operands below it for is 0.
FLUSHED = 2.0**-126
