"""A backward pass of linear bounds through a whole network, prepared once for all rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.bounds.dead_units import compact, neighbour
from core.bounds.interval import Interval, affine
from core.bounds.linear import inner, pull, pull_units, roundoff, unit_rows
from core.bounds.rounding import Arithmetic
from core.bounds.rule_table import is_reshape


class BackwardPass:
    """Pulls linear functions of the output of the first `count` layers back to the network's input.

    inputs[i] bounds the input of layer i, (N, ...), inputs[count] the output. `shares` below are the
    lower slopes of the ReLU at each index, (N, ...).
    """

    def __init__(
        self, network: Sequence[nn.Module], inputs: Sequence[Interval], count: int, arithmetic: Arithmetic
    ) -> None:
        small = compact(network[:count], inputs[:count])
        self._layers, self._kept = small.layers, small.kept
        self._inputs = [*small.inputs, inputs[count]]
        self._lost = self._roundoffs(arithmetic) if arithmetic.rounds else {}

    def _roundoffs(self, arithmetic: Arithmetic) -> dict[int, Tensor]:
        """Bound how far rounding moves each output of each layer, (N, ...).

        What an activation loses is passed on to the affine layer behind it, |A W| r <= |A| |W| r: one
        sweep over the rows less.
        """
        lost = dict[int, Tensor]()
        for index, (layer, x) in enumerate(zip(self._layers, self._inputs[:-1], strict=True)):
            own = roundoff(layer, x, arithmetic)
            after = None if affine(layer) is not None else neighbour(self._layers, index, 1)
            if own is None:
                continue
            if after is not None:
                known = affine(self._layers[after])
                assert known is not None
                passed = own.reshape(self._inputs[after].lower.shape)
                index, own = after, known.op(passed, known.weight.abs(), None)
            lost[index] = own if index not in lost else lost[index] + own
        return lost

    def pull(self, rows: Tensor, shares: dict[int, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Pull rows (R, N or 1, ...) back: (R, N, ...), constants (R, N) what rounding takes of them."""
        nothing = self._nothing(rows)
        return self._pull(rows, nothing, nothing, len(self._layers), shares)

    def pull_units(self, units: Tensor, shares: dict[int, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Pull back the rows that pick each of U units of the output, then minus each, (2U, N, ...)."""
        last = len(self._layers)
        while last > 0 and is_reshape(self._layers[last - 1]):
            last -= 1
        output = self._inputs[last]
        if last == 0 or affine(self._layers[last - 1]) is None:
            rows = unit_rows(units, output)
            rows = torch.cat([rows, -rows])
            return self._pull(rows, self._nothing(rows), self._nothing(rows), last, shares)
        last -= 1
        rows, constant = pull_units(self._layers[last], units, self._inputs[last], output)
        rows, constant = torch.cat([rows, -rows]), torch.cat([constant, -constant])
        lost = self._nothing(rows)
        if last in self._lost:
            lost = self._lost[last].flatten(1)[:, units].T.repeat(2, 1)
        return self._pull(rows, constant, lost, last, shares)

    def _nothing(self, rows: Tensor) -> Tensor:
        return rows.new_zeros(len(rows), len(self._inputs[0].lower))

    def _pull(
        self, rows: Tensor, constant: Tensor, lost: Tensor, last: int, shares: dict[int, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        for index in reversed(range(last)):
            if index in self._lost:
                lost = lost + inner(rows.abs(), self._lost[index])
            share = shares.get(index)
            if share is not None and index in self._kept:
                share = self._kept[index].take(share, 1 + share.ndim - self._inputs[index].lower.ndim)
            rows, more = pull(self._layers[index], rows, self._inputs[index], share)
            constant = constant + more
        return rows, constant, lost
