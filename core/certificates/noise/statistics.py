"""One-sided confidence bounds from independent draws, valid for every sample size.

Nothing here is asymptotic and nothing assumes a shape of the distribution: a bound misses with
probability at most alpha over the sample. All tensors are float64.
"""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor

from core.errors import InputError

# Bets, as shares of the largest bet that cannot go bankrupt. The best one is about
# (mean - floor) / std * sqrt(2 log(1/alpha) / n): tiny only for values far above their mean, and beyond 1
# where the floor is far away. That is the case of `expectation`; half of the stake is on it.
_SPREAD = torch.logspace(-4, math.log10(0.5), 12, dtype=torch.float64, device="cpu").tolist()
FRACTIONS = (*_SPREAD, 0.7, 0.9, 0.99)
_WEIGHTS = (*[0.5 / (len(FRACTIONS) - 1)] * (len(FRACTIONS) - 1), 0.5)

# Halvings of the bracket (0, mean - floor]: below 1e-10 of its length.
_HALVINGS = 34
# Factors that are multiplied before a logarithm is taken.
_GROUP = 8
_UNIT = 2.0**-53


def check_level(name: str, value: float) -> float:
    """A probability of being wrong: a number in (0, 1/2]."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value <= 0.5:
        raise InputError(f"{name} is {value!r}; it must be a number above 0 and at most 0.5.")
    return float(value)


def mean_lower(values: Tensor, floor: Tensor, alpha: float) -> Tensor:
    """Lower confidence bounds on means: P(result > E[X]) <= alpha for each column.

    values  (n, B): n independent draws of each X, X >= floor. No upper bound is needed, no variance.
    floor   (B,), fixed before the sample was drawn.
    Returns (B,), never below the floor; -inf where the floor is not finite.

    Betting (Waudby-Smith & Ramdas 2024, arXiv 2010.09686, section 4). For a candidate mean m > floor and
    a fraction f in (0, 1) the capital of a gambler who always bets f is

        K_f(m) = prod_i (1 + f (X_i - m) / (m - floor)) = prod_i (1 - f + f (X_i - floor) / (m - floor)).

    1. Every factor is positive since X_i >= floor, and has mean 1 for m = E[X]; the draws are
       independent, so E[K_f(E X)] = 1, and the same for K = sum_f w_f K_f,
       weights of sum 1.
    2. Markov: P(K(E X) >= 1/alpha) <= alpha. Ville is not needed, n is fixed.
    3. The second form shows that every factor falls with m. So outside of that event K(m) < 1/alpha for
       every m >= E[X], and any m with K(m) >= 1/alpha is below E[X].

    The largest such m is found by bisection; the end that is returned has been checked. It lies below the
    sample mean, where K_f <= 1 (arithmetic against geometric mean of the factors).

    Rounding: a factor is off by less than 8 units, so that log K is off by less than `slop` below;
    m is rejected only beyond that.

    Raises InputError for values below the floor or NaN, and for alpha outside of (0, 1/2].
    """
    check_level("alpha", alpha)
    if values.ndim != 2 or len(values) == 0 or floor.shape != values.shape[1:]:
        raise InputError(
            f"values are {tuple(values.shape)} and floor {tuple(floor.shape)}; give (n, B), (B,)."
        )
    if not bool((values >= floor).all()):
        raise InputError("Some values are below the floor or NaN; the bound would not hold.")
    columns = zip(values.double().T, floor.double().tolist(), strict=True)
    bounds = [_column_lower(column, low, alpha) for column, low in columns]
    return torch.tensor(bounds, dtype=torch.float64, device=values.device)


def _column_lower(values: Tensor, floor: float, alpha: float) -> float:
    if not math.isfinite(floor):
        return -math.inf
    above = values - floor
    scale = above.mean().item()
    if not 0 < scale < math.inf:
        return floor
    ratio = above / scale  # mean 1; the candidate m is floor + share * scale
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        low, high = (share, high) if _rejected(ratio, share, alpha) else (low, share)
    return floor + low * scale - 8 * _UNIT * (abs(floor) + scale)


def _rejected(ratio: Tensor, share: float, alpha: float) -> bool:
    """Whether K >= 1/alpha for m = floor + share * scale, beyond doubt; ratio (n,) >= 0."""
    n, largest = len(ratio), ratio.max().item() / share
    f = torch.tensor(FRACTIONS, dtype=ratio.dtype, device=ratio.device)[:, None]
    if largest >= 1e30:  # eight such factors could overflow; m is so close to the floor that it may go
        return False
    whole = n - n % _GROUP
    factors = 1 - f + f * (ratio / share)
    grouped = factors[:, :whole].unflatten(1, (-1, _GROUP)).prod(-1).log().sum(1)
    logs = grouped + factors[:, whole:].log().sum(1)
    # Sums of n logarithms of at most 5 + log1p(largest), in any order.
    slop = 4 * _UNIT * n * (n + 8) * (8 + math.log1p(largest))
    weights = torch.tensor(_WEIGHTS, dtype=ratio.dtype, device=ratio.device)
    capital = torch.logsumexp(logs + weights.log(), 0).item()
    return capital >= -math.log(alpha) + slop


def floor_price(alpha: float) -> float:
    """`mean_lower` gives away about (mean - floor) floor_price / n where the floor is far away: the bet
    of nearly everything has to multiply its stake by 1 / (alpha weight)."""
    return -math.log(alpha * _WEIGHTS[-1])


def quantile_lower(values: Tensor, delta: float, alpha: float) -> Tensor:
    """Lower tolerance bounds: with confidence 1 - alpha over the sample, P(X >= result) >= 1 - delta.

    values  (n, B): n independent draws of each X. Returns (B,): an order statistic of each column.

    Let q = inf {x : P(X <= x) > delta}. Then P(X < q) <= delta, so every result <= q is right. The r-th
    smallest value is above q only if at most r - 1 of the draws are <= q. Each is with probability
    P(X <= q) >= delta, hence with probability at most P(Bin(n, delta) <= r - 1) (Wilks 1941). r is the
    largest rank for which this exact tail is at most alpha. Nothing is assumed on X; ties do no harm.

    Raises InputError where n is too small for any rank, with the smallest n that suffices, and for
    delta or alpha outside of (0, 1/2].
    """
    if values.ndim != 2:
        raise InputError(f"values are {tuple(values.shape)}; give (n, B).")
    check_sample(len(values), delta, alpha)
    if bool(values.isnan().any()):
        raise InputError("Some values are NaN; give -inf where nothing is proved.")
    return values.sort(0).values[_rank(len(values), delta, alpha) - 1]


def check_sample(n: int, delta: float, alpha: float) -> None:
    """Raise InputError unless `quantile_lower` has an answer for n draws: (1 - delta)^n <= alpha."""
    check_level("delta", delta)
    check_level("alpha", alpha)
    need = max(1.0, (1 + 1e-12) * math.log(alpha) / math.log1p(-delta))
    if n < need:
        enough = f"draw at least {math.ceil(need)}" if need < 1e15 else "ask for less"
        raise InputError(
            f"{n} draws are too few for a coverage of {1 - delta:g} with confidence {1 - alpha:g}; "
            f"{enough}."
        )


def _rank(n: int, delta: float, alpha: float) -> int:
    """The largest r with P(Bin(n, delta) <= r - 1) <= alpha; r = 1 if n passes `check_sample`."""
    successes = torch.arange(n + 1, dtype=torch.float64, device="cpu")
    choose = math.lgamma(n + 1) - torch.lgamma(successes + 1) - torch.lgamma(n - successes + 1)
    tail = torch.logcumsumexp(
        choose + successes * math.log(delta) + (n - successes) * math.log1p(-delta), 0
    )
    # lgamma is good to 1e-15 of values up to 2e7 for a million draws; this leaves room.
    return max(1, int((tail + 1e-13 * n + 1e-12 <= math.log(alpha)).sum()))
