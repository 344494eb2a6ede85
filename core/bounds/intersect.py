"""Bounds on some units of a layer, cut with what is known."""

from __future__ import annotations

import torch
from torch import Tensor

from core.bounds.interval import Interval


def open_units(x: Interval, relu: bool) -> Tensor:
    """Which units to bound: all of them, or the inputs of a ReLU that are not stable for each ball."""
    x = x.map(lambda v: v.reshape(len(v), -1))
    chosen = ((x.lower < 0) & (x.upper > 0)).any(0) if relu else torch.ones_like(x.lower[0])
    return chosen.nonzero()[:, 0]


def cut(x: Interval, y: Interval) -> Interval:
    """The intersection of two bounds on the same values."""
    return Interval(torch.maximum(x.lower, y.lower), torch.minimum(x.upper, y.upper))


def cut_units(x: Interval, units: Tensor, found: Interval) -> Interval:
    """Cut some units of x (N, ...) with bounds on them, (N, U)."""
    count = x.lower[0].numel()
    if len(units) == count and torch.equal(
        units, torch.arange(count, dtype=torch.int64, device=units.device)
    ):
        return cut(x, found.map(lambda v: v.reshape(x.lower.shape)))
    flat = x.map(lambda v: v.reshape(len(v), -1))
    inside = cut(flat.map(lambda v: v[:, units]), found)
    ends = flat.lower.index_copy(1, units, inside.lower), flat.upper.index_copy(1, units, inside.upper)
    return Interval(*ends).map(lambda v: v.view_as(x.lower))
