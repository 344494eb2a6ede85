"""Affine forms of all units of a chain, carried forward layer by layer: cheap where its input is small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from core.bounds.intersect import open_units
from core.bounds.interval import Affine, Interval, affine
from core.bounds.linear import roundoff
from core.bounds.relaxations import relu_lower, relu_share
from core.bounds.rounding import ELEMENTARY, FLOAT64, FLUSHED, UNDERFLOW, Arithmetic
from core.bounds.rule_table import is_relu, is_reshape, is_scale
from core.bounds.structural import Scaling, scale_constants
from core.bounds.substitution import ROOM, Forms, Substitution

# Values of one stack of unit vectors that goes through a layer.
_VALUES = 1_000_000


class ForwardForms:
    """Forms (core.bounds.substitution) of the units of a chain's values in its input, over N boxes of it.

    For each of the input's coordinates, and each unstable ReLU that was passed, it holds what all units
    make of it, (N or 1, columns, ...). `advance` takes them on to where better bounds are wanted; what
    it has passed does not change any more.
    """

    def __init__(self, network: nn.Sequential, x: Interval, arithmetic: Arithmetic) -> None:
        self.substitution = Substitution(x)
        self._network, self._arithmetic, self._at = network, arithmetic, 0
        self._constant, self._error = torch.zeros_like(x.lower), torch.zeros_like(x.lower)
        every = torch.arange(x.lower[0].numel(), dtype=torch.int64, device=x.lower.device)
        # Of the last ReLU, and of the input, the columns are unit vectors: their places are enough, and by
        # what scales have multiplied them.
        self._columns: list[Tensor] = []
        self._fresh: Tensor | None = every
        self._times: Tensor | None = None

    def advance(self, known: Sequence[Interval]) -> None:
        """Go on to the last of `known`, bounds on the first values of the chain."""
        while self._at < len(known) - 1:
            index, layer = self._at, self._network[self._at]
            after = known[index + 1].lower.shape[1:]
            if is_relu(layer):
                self._bend(known[index])
            elif is_reshape(layer):
                self._columns = [v.reshape(*v.shape[:2], *after) for v in self._columns]
                self._constant = self._constant.reshape(-1, *after)
                self._error = self._error.reshape(-1, *after)
            else:
                self._multiply(layer, known[index])
            self._at += 1

    def units(self, units: Tensor) -> Forms:
        """The forms of some units of the value that was reached."""
        assert self._fresh is None, "forms are taken after affine layers"
        count = len(self._constant)
        slopes = [v.flatten(2)[..., units].transpose(1, 2).expand(count, -1, -1) for v in self._columns]
        constant, error = (v.flatten(1)[:, units] for v in (self._constant, self._error))
        return Forms(slopes, constant, error)

    def _bend(self, x: Interval) -> None:
        units, below = open_units(x, True), relu_lower(x, relu_share(x))
        self.substitution.bend(self.units(units), x.map(lambda v: v.flatten(1)[:, units]))
        self._columns = [v * below[:, None] for v in self._columns]
        self._constant, self._error = self._constant * below, self._error * below
        self._fresh = units

    def _multiply(self, layer: nn.Module, x: Interval) -> None:
        """Through an affine layer. Errors grow as intervals do: |W| error, and what W times each column
        is off by, for which the column counts with its largest share in a value."""
        known, bias_size = _map_of(layer, x)
        if self._arithmetic.rounds:
            gamma = 2 * FLOAT64.gamma(known.terms + 2 * len(self.substitution.magnitudes) + 2)
            bias = None if bias_size is None else gamma * bias_size
            spread = self._error + gamma * self._size() + FLUSHED
            off = known.op(spread, known.weight.abs() + FLUSHED / gamma, bias)
            most = 1 + torch.cat(self.substitution.magnitudes, 1).sum(1)
            off = (off + UNDERFLOW * most.view(-1, *[1] * (off.ndim - 1))) * ROOM
            moved = roundoff(layer, x, self._arithmetic)
            self._error = off if moved is None else off + moved
        else:
            self._error = known.op(self._error, known.weight.abs(), None)
        self._columns = [_through(known, v) for v in self._columns]
        if self._fresh is not None and is_scale(layer):
            factor = known.op(torch.ones_like(self._constant[:1]), known.weight, None)
            factor = factor.flatten()[self._fresh]
            self._times = factor if self._times is None else self._times * factor
        elif self._fresh is not None:
            columns = _unit_columns(known, layer, self._fresh, self._constant[:1])
            if self._times is not None:
                columns = columns * self._times.view(-1, *[1] * (columns.ndim - 2))
            self._columns.append(columns)
            self._fresh = self._times = None
        self._constant = known.op(self._constant, known.weight, known.bias)

    def _size(self) -> Tensor:
        """<|columns|, m> + |constant|, (N, ...), as in `Substitution`."""
        size = self._constant.abs()
        magnitudes = self.substitution.magnitudes
        for columns, m in zip(self._columns, magnitudes, strict=False):
            flat = (m[:, None] @ columns.abs().flatten(2).expand(len(m), -1, -1))[:, 0]
            size = size + flat.view_as(size)
        if self._fresh is not None:
            fresh = magnitudes[-1] if self._times is None else magnitudes[-1] * self._times.abs()
            size = size.flatten(1).index_add(1, self._fresh, fresh).view_as(size)
        return size


def _map_of(layer: nn.Module, x: Interval) -> tuple[Affine, Tensor | None]:
    """The affine map that a layer is, and what its bias is a sum of in size."""
    known = affine(layer)
    if known is not None:
        return known, None if known.bias is None else known.bias.abs()
    factor, shift, size = scale_constants(cast(Scaling, layer), x)

    def op(v: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return v * weight if bias is None else v * weight + bias

    # One product each, by a factor that is rounded itself.
    return Affine(op, factor, shift, 2 * ELEMENTARY, 1), size


def _through(known: Affine, columns: Tensor) -> Tensor:
    found = known.op(columns.flatten(0, 1), known.weight, None)
    return found.unflatten(0, columns.shape[:2])


def _unit_columns(known: Affine, layer: nn.Module, units: Tensor, like: Tensor) -> Tensor:
    """What an affine layer makes of unit vectors of its input, one for each place, (1, units, ...)."""
    if type(layer) is nn.Linear and like.ndim == 2:
        return known.weight[:, units].T[None]
    parts = [known.op(part, known.weight, None) for part in _unit_vectors(units, like)]
    if not parts:
        return known.op(like, known.weight, None)[None, :0]
    return torch.cat(parts)[None]


def _unit_vectors(units: Tensor, like: Tensor) -> Iterator[Tensor]:
    for part in units.split(max(1, _VALUES // like.numel())):
        if len(part) > 0:
            found = like.new_zeros(len(part), like.numel())
            found.scatter_(1, part[:, None], 1.0)
            yield found.view(len(part), *like.shape[1:])
