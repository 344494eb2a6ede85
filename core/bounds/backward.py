"""A backward pass of linear bounds through a whole network, prepared once for all rows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.bounds.dead_units import compact, neighbour
from core.bounds.intersect import open_units
from core.bounds.interval import Interval, affine
from core.bounds.linear import inner, prepare, pull, pull_units, roundoff, unit_rows
from core.bounds.relaxations import relu_lower, relu_share
from core.bounds.rounding import FLOAT64, Arithmetic
from core.bounds.rule_table import is_relu, is_reshape
from core.bounds.substitution import Forms
from core.network.graph import Network, sources_of

Memory = dict[tuple[str, int], tuple[tuple[Any, ...], Any]]
"""What rules gave for the layers of a network: by rule and index, with the layer and the bounds that they
were asked about, which are kept so that they can be told from others."""


class BackwardPass:
    """Pulls linear functions of value `count` of a network back to the network's input.

    inputs[i] bounds value i, (N, ...): in a chain the input of layer i, inputs[count] the output. `shares`
    below are the lower slopes of the ReLU at each index, (N, ...). memory: where passes from several values
    of one network share it, what depends on a layer's bounds alone is computed once for all of them.
    """

    def __init__(
        self,
        network: Network,
        inputs: Sequence[Interval],
        count: int,
        arithmetic: Arithmetic,
        memory: Memory | None = None,
    ) -> None:
        self._arithmetic, self._memory = arithmetic, {} if memory is None else memory
        self._chain = isinstance(network, nn.Sequential)
        layers = [*network][:count]
        if self._chain:
            small = compact(layers, inputs[:count])
            self._layers, self._kept = small.layers, small.kept
            self._inputs = [*small.inputs, inputs[count]]
            self._sources = [(index,) for index in range(count)]
        else:
            self._layers, self._kept = layers, {}
            self._inputs = [*inputs[: count + 1]]
            self._sources = [sources_of(network, index) for index in range(count)]
        self._prepared = [self._once("prepare", prepare, index) for index in range(len(self._layers))]
        self._lost = self._roundoffs(arithmetic) if arithmetic.rounds else {}

    def _once(self, name: str, rule: Callable[..., Any], index: int, *more: Any) -> Any:
        """What a rule gives for a layer and its bounds, and further arguments; kept in the memory."""
        layer = self._layers[index]
        asked = (layer, *[self._inputs[source] for source in self._sources[index]], *more)
        known = self._memory.get((name, index))
        if known is None or not all(map(operator.is_, known[0], asked)):
            known = self._memory[name, index] = asked, rule(layer, self._taken(index), *more)
        return known[1]

    def _taken(self, index: int) -> Any:
        """Bounds on what a layer takes, a tuple where that is several values."""
        found = tuple(self._inputs[source] for source in self._sources[index])
        return found[0] if len(found) == 1 else found

    def _roundoffs(self, arithmetic: Arithmetic) -> dict[int, Tensor]:
        """Bound how far rounding moves each output of each layer, (N, ...).

        In a chain, what an activation loses is passed on to the affine layer behind it,
        |A W| r <= |A| |W| r: one sweep over the rows less.
        """
        lost = dict[int, Tensor]()
        for index, layer in enumerate(self._layers):
            own = self._once("roundoff", roundoff, index, arithmetic)
            passes = self._chain and affine(layer) is None
            after = neighbour(self._layers, index, 1) if passes else None
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
        rows, constant, lost, last = self._unit_rows(units)
        rows, constant, lost = torch.cat([rows, -rows]), torch.cat([constant, -constant]), lost.repeat(2, 1)
        return self._pull(rows, constant, lost, last, shares)

    def unit_forms(self, units: Tensor) -> Forms:
        """Forms (core.bounds.substitution) of U units of the output, in chains of affine layers,
        reshapes and ReLUs with default slopes; the units of each ReLU layer are its open ones."""
        if len(units) == 0:
            return self.unit_forms(units.new_zeros(1)).take(units)
        rows, constant, lost, last = self._unit_rows(units)
        kept = list[Tensor]()
        back, constant, lost = self._pull(rows, constant, lost, last, {}, kept)
        count = len(self._inputs[0].lower)
        slopes = [v.flatten(2).expand(-1, count, -1).transpose(0, 1) for v in [back, *reversed(kept)]]
        return Forms(slopes, constant.expand(-1, count).T, lost.expand(-1, count).T)

    def _unit_rows(self, units: Tensor) -> tuple[Tensor, Tensor, Tensor, int]:
        """Rows that pick each of U units of the output, on value `last`, with what the affine layer between
        has added: (U, N or 1, ...), constants, what rounding takes of them, last."""
        last = len(self._layers)
        while self._chain and last > 0 and is_reshape(self._layers[last - 1]):
            last -= 1
        output = self._inputs[last]
        before = self._layers[last - 1] if last > 0 else None
        if before is None or (affine(before) is None and not pull_units.knows(before)):
            rows = unit_rows(units, output)
            return rows, self._nothing(rows), self._nothing(rows), last
        last -= 1
        rows, constant = pull_units(self._layers[last], units, self._taken(last), output)
        lost = self._nothing(rows)
        if last in self._lost:
            lost = self._lost[last].flatten(1)[:, units].T
        return rows, constant, lost, self._sources[last][0]

    def _nothing(self, rows: Tensor) -> Tensor:
        return rows.new_zeros(rows.shape[0], self._inputs[0].lower.shape[0])

    def _pull(
        self,
        rows: Tensor,
        constant: Tensor,
        lost: Tensor,
        last: int,
        shares: dict[int, Tensor],
        kept: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pull rows on value `last` back. Those on a value that several operations take are summed.

        kept  of a chain: ReLUs pass on their lower lines alone, and the rows on what their open units give
              are put in here, (U, N or 1, open units).
        """
        pending = {last: rows}
        for index in reversed(range(last)):
            if index + 1 not in pending:
                continue
            rows = pending.pop(index + 1)
            if index in self._lost:
                lost = lost + inner(rows.abs(), self._lost[index])
            layer, share = self._layers[index], shares.get(index)
            if kept is not None and is_relu(layer):
                x = self._inputs[index]
                kept.append(rows.flatten(2)[..., open_units(x, True)])
                pending[index] = rows * relu_lower(x, relu_share(x))
                continue
            if share is not None and index in self._kept:
                share = self._kept[index].take(share, 1 + share.ndim - self._inputs[index].lower.ndim)
            share = self._prepared[index] if share is None else share
            back, more = pull(layer, rows, self._taken(index), share)
            constant = constant + more
            sources = self._sources[index]
            for source, part in zip(sources, (back,) if len(sources) == 1 else back, strict=True):
                if part is None:  # whose bounds were all that was needed
                    continue
                if source in pending:
                    lost = lost + self._summed(pending[source], part, source)
                    part = pending[source] + part
                pending[source] = part
        back = pending[0] if 0 in pending else rows.new_zeros(len(rows), *self._inputs[0].lower.shape)
        return back, constant, lost

    def _summed(self, a: Tensor, b: Tensor, source: int) -> Tensor | float:
        """What rounding in the sum of two stacks of rows on a value can take, (R, N)."""
        if not self._arithmetic.rounds:
            return 0.0
        return FLOAT64.gamma(2) * inner(a.abs() + b.abs(), self._inputs[source].magnitude)
