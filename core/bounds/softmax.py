"""Rules for softmax, as 1 / sum over j of exp(x_j - x_k): lines below and above each exponential of a
difference are planes in x, and what is large in all x_j cancels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from core.bounds.elementwise import lines
from core.bounds.interval import Interval, propagate
from core.bounds.linear import prepare, pull, pull_units, roundoff
from core.bounds.rounding import ELEMENTARY, EXACT, FLOAT64, UNDERFLOW, Arithmetic
from core.network.functions import CONVEX, LINEAR, Function
from core.network.operations import CAP, Differences, InverseSoftmax, capped_exp, pairs

Two = tuple[Interval, Interval]
_EXP = Function(capped_exp, capped_exp, (CAP,), (CONVEX, LINEAR), None, monotone=1)


@propagate.register(Differences)
def _differences(layer: Differences, x: Interval, arithmetic: Arithmetic = EXACT) -> Interval:
    first, second = pairs(x.lower.shape[-1], x.lower.device)
    lower = x.lower.index_select(-1, first) - x.upper.index_select(-1, second)
    upper = x.upper.index_select(-1, first) - x.lower.index_select(-1, second)
    found = Interval(lower, upper, points=x.points)
    if not arithmetic.rounds:
        return found
    return found.widened(_difference(_size(x), arithmetic)).guarded()


def _size(x: Interval) -> Tensor:
    """|x_j| + |x_k| at most, (..., n) -> (..., n (n - 1) / 2)."""
    first, second = pairs(x.lower.shape[-1], x.lower.device)
    magnitude = x.magnitude
    return magnitude.index_select(-1, first) + magnitude.index_select(-1, second)


def _difference(size: Tensor, arithmetic: Arithmetic) -> Tensor:
    return arithmetic.unless_overflow(arithmetic.gamma(4) * size + UNDERFLOW, size)


@lru_cache(maxsize=64)
def _signs(count: int, device: torch.device) -> Tensor:
    """Differences as a matrix, (count (count - 1) / 2, count)."""
    first, second = pairs(count, device)
    with torch.inference_mode(False):  # kept, for callers in any mode
        signs = torch.zeros(len(first), count, dtype=torch.float64, device=device)
        every = torch.arange(len(first), dtype=torch.int64, device=device)
        signs[every, first], signs[every, second] = 1, -1
    return signs


@pull.register(Differences)
def _differences_pull(layer: Differences, rows: Tensor, x: Interval, share: Any) -> tuple[Tensor, Tensor]:
    signs = _signs(x.lower.shape[-1], rows.device)
    return rows @ signs.to(rows), rows.new_zeros(rows.shape[:2])


@pull_units.register(Differences)
def _differences_units(
    layer: Differences, units: Tensor, x: Interval, output: Interval
) -> tuple[Tensor, Tensor]:
    *before, count = x.lower.shape[1:]
    signs = _signs(count, units.device).to(x.lower)
    row, pair = units // len(signs), units % len(signs)
    rows = signs.index_select(0, pair)
    if before:
        every = torch.arange(len(units), dtype=torch.int64, device=units.device)
        wide = rows.new_zeros(len(units), math.prod(before), count)
        wide[every, row] = rows
        rows = wide
    return rows.view(len(units), 1, *before, count), rows.new_zeros(len(units), 1)


@roundoff.register(Differences)
def _differences_roundoff(layer: Differences, x: Interval, arithmetic: Arithmetic) -> Tensor:
    size = _size(x)
    own = FLOAT64.gamma(size[0].numel() + x.lower.shape[-1] + 2 * ELEMENTARY)
    return own * size + _difference(size, arithmetic)


def _both(x: Interval) -> Interval:
    """Of x_j - x_k for j < k, then of x_k - x_j."""
    return Interval(torch.cat([x.lower, -x.upper], -1), torch.cat([x.upper, -x.lower], -1))


@lru_cache(maxsize=64)
def _places(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """For values in the order of `_both`: which of them, or the one after all, belongs to x_j - x_k, j = k
    too, at k count + j; and 1 where one is of the sum of k, (count (count - 1), count), else 0."""
    first, second = pairs(count, device)
    with torch.inference_mode(False):  # kept, for callers in any mode
        sums = torch.cat([second, first])
        every = torch.arange(len(sums), dtype=torch.int64, device=device)
        square = torch.full((count * count,), len(sums), dtype=torch.int64, device=device)
        square[sums * count + torch.cat([first, second])] = every
        members = torch.zeros(len(sums), count, dtype=torch.float64, device=device)
        members[every, sums] = 1
    return square, members


def _summed(values: Tensor, count: int) -> Tensor:
    """The sums over j of what belongs to x_j - x_k, in the order of `_both`, (..., count)."""
    return values @ _places(count, values.device)[1].to(values)


@propagate.register(InverseSoftmax)
def _inverse(layer: InverseSoftmax, x: Two, arithmetic: Arithmetic = EXACT) -> Interval:
    count, apart = x[0].lower.shape[-1], _both(x[1])
    lower, upper = (1 + _summed(capped_exp(end), count) for end in (apart.lower, apart.upper))
    found = Interval(lower, upper, points=min(x[0].points, x[1].points))
    return found.widened(_forward(count, upper, arithmetic)).guarded() if arithmetic.rounds else found


def _forward(count: int, total: Tensor, arithmetic: Arithmetic) -> Tensor:
    """How far the network's own sums, at most `total`, may be from those of its own differences."""
    return arithmetic.gamma(2 * ELEMENTARY + count) * total + count * UNDERFLOW


@dataclass(frozen=True)
class Planes:
    """below x + c <= 1 / softmax(x) <= above x + d: the rows (below, c), then the rows (above, d), (N, ...,
    2n, n + 1)."""

    both: Tensor


@prepare.register(InverseSoftmax)
def _inverse_prepare(layer: InverseSoftmax, x: Two) -> Planes:
    count = x[0].lower.shape[-1]
    found = lines(_EXP, _both(x[1]))
    square = _places(count, x[0].lower.device)[0]
    slopes = torch.stack([found.below_slope, found.above_slope], -2)
    slopes = F.pad(slopes, (0, 1)).index_select(-1, square).unflatten(-1, (count, count))
    slopes = slopes - torch.diag_embed(slopes.sum(-1))
    constants = 1 + _summed(torch.stack([found.below, found.above], -2), count)
    return Planes(torch.cat([slopes, constants[..., None]], -1).flatten(-3, -2))


@pull.register(InverseSoftmax)
def _inverse_pull(
    layer: InverseSoftmax, rows: Tensor, x: Two, share: Any
) -> tuple[tuple[Tensor, None], Tensor]:
    """Rows on x alone: differences have none of their own."""
    planes = _inverse_prepare(layer, x) if share is None else share
    signed = torch.cat([rows.clamp(min=0), rows.clamp(max=0)], -1).movedim(0, -2)
    back = (signed @ planes.both).movedim(-2, 0)
    constant = back[..., -1]
    return (back[..., :-1], None), constant if constant.ndim == 2 else constant.flatten(2).sum(2)


@roundoff.register(InverseSoftmax)
def _inverse_roundoff(layer: InverseSoftmax, x: Two, arithmetic: Arithmetic) -> Tensor:
    """Beside those of the sums: the planes are in x, and the network's differences are rounded."""
    count, apart, size = x[0].lower.shape[-1], x[1], _size(x[0])
    own = FLOAT64.gamma(x[0].lower[0].numel() + 2 * count + 8 * ELEMENTARY)
    each = own * (1 + 4 * (size + apart.magnitude)) + _difference(size, arithmetic)
    steep = capped_exp(apart.upper), capped_exp(-apart.lower)
    margin = _summed(torch.cat([end * each for end in steep], -1), count)
    found = margin + own + _forward(count, 1 + _summed(torch.cat(steep, -1), count), arithmetic)
    return found.nan_to_num(nan=torch.inf, posinf=torch.inf)
