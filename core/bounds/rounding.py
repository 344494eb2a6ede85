"""How far floating-point arithmetic can be from the real numbers (Higham 2002, chapters 2 and 3).

A certificate has to hold for the arithmetic that is run, not for the mathematics it approximates
(Jia & Rinard 2020, arXiv 2003.03021). Bounds are computed in float64 and widened, rule by rule, by
what an evaluation of the same layer in the network's own precision can be off by.
"""

from __future__ import annotations

UNIT_ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}

# torch's exp, log1p and friends are within one unit in the last place (two half-ulps); four leaves room.
ELEMENTARY = 8

# Absolute part for results that underflow; far above any float32 subnormal, far below any nat.
UNDERFLOW = 1e-30


def gamma(n: int, unit: float) -> float:
    """Relative error of a sum or inner product of n terms, in any order of summation.

    |fl(sum_i w_i x_i) - sum_i w_i x_i| <= gamma(n, u) sum_i |w_i x_i|, gamma = n u / (1 - n u).
    `unit` is the unit roundoff of the evaluation; 0 means exact arithmetic and gives 0. Four times
    the float64 gamma is added for the arithmetic of the bound itself.
    """
    if unit == 0:
        return 0.0
    double = UNIT_ROUNDOFF["float64"]
    return n * unit / (1 - n * unit) + 4 * n * double / (1 - n * double)
