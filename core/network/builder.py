"""A graph while it is built: values with the layout that they have in the traced program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.errors import UnsupportedLayerError
from core.network.graph import Network, as_network
from core.network.operations import Permute, Reshape

Layout = tuple[tuple[int | None, ...], ...]
"""For each dimension of the traced value its factors; None is the batch, wherever it stands."""


def plain_layout(row: Sequence[int]) -> Layout:
    """The layout with the batch in front of rows of a shape."""
    return ((None,), *((size,) for size in row))


def number(value: float) -> Tensor:
    """A constant of a graph, in float32 whatever torch's default is."""
    return torch.tensor([value], dtype=torch.float32, device="cpu")


def factors(layout: Layout) -> list[int | None]:
    """All factors in order."""
    return [factor for group in layout for factor in group]


@dataclass(frozen=True)
class Value:
    """A value of the graph, batch first, and how the traced program lays it out."""

    number: int
    layout: Layout

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of one row."""
        return tuple(factor for factor in factors(self.layout) if factor is not None)

    @property
    def plain(self) -> bool:
        """Whether the batch is the first dimension, and each other one is whole."""
        return self.layout[0] == (None,) and all(len(group) == 1 for group in self.layout)

    def place(self, dim: int) -> int:
        """The dimension of the batch-first value that dimension `dim` of the traced one is."""
        dim %= len(self.layout)
        group = self.layout[dim]
        if len(group) != 1 or group[0] is None:
            raise UnsupportedLayerError(
                "An operation works along the batch: images of a batch must not know each other."
            )
        return 1 + sum(factor is not None for factor in factors(self.layout[:dim]))


class Builder:
    """Operations so far, and the values that they take; the network's input has rows of shape `row`."""

    def __init__(self, row: Sequence[int]) -> None:
        self.start = Value(0, plain_layout(row))
        self._values = [self.start]
        self.operations: list[nn.Module] = []
        self.sources: list[tuple[int, ...]] = []
        self._tokens = set[int]()
        self._reshaped = dict[tuple[int, tuple[int, ...]], int]()

    def add(self, operation: nn.Module, layout: Layout, *taken: Value) -> Value:
        """Append an operation that gives a value of this layout."""
        self.operations.append(operation)
        self.sources.append(tuple(value.number for value in taken))
        if isinstance(operation, nn.Linear) and len(taken[0].row) > 1:
            self._tokens.add(len(self.operations) - 1)
        self._values.append(Value(len(self.operations), layout))
        return self._values[-1]

    def rows(self, operation: nn.Module, row: Sequence[int], *taken: Value) -> Value:
        """The same for a value with the batch in front and a row of this shape."""
        return self.add(operation, plain_layout(row), *taken)

    def reshape(self, value: Value, layout: Layout) -> Value:
        """Another layout of the same values in the same order; made once, however often it is asked for."""
        row = tuple(factor for factor in factors(layout) if factor is not None)
        if row == value.row:
            return Value(value.number, layout)
        known = self._reshaped.get((value.number, row))
        if known is None:
            known = self.add(_reshaping(value.row, row), layout, value).number
            self._reshaped[value.number, row] = known
        return Value(known, layout)

    def permute(self, value: Value, order: Sequence[int]) -> Value:
        """The dimensions of the traced value in another order."""
        layout = tuple(value.layout[dim] for dim in order)
        places, at = list[list[int]](), 1
        for group in value.layout:
            places.append([])
            for factor in group:
                if factor is not None:
                    places[-1].append(at)
                    at += 1
        moved = [place for dim in order for place in places[dim]]
        if moved == sorted(moved):
            return Value(value.number, layout)
        return self.add(Permute(moved), layout, value)

    def made_by(self, value: Value) -> nn.Module | None:
        """The operation that gives a value; None for the network's input."""
        return None if value.number == 0 else self.operations[value.number - 1]

    def before(self, value: Value) -> Value:
        """The first value that the operation takes which gives one."""
        return self._values[self.sources[value.number - 1][0]]

    def network(self, output: Value) -> Network:
        """What computes a value, without operations that it does not need."""
        needed = {output.number}
        for index in reversed(range(output.number)):
            if index + 1 in needed:
                needed.update(self.sources[index])
        kept = [index for index in range(output.number) if index + 1 in needed]
        number = {0: 0} | {index + 1: place + 1 for place, index in enumerate(kept)}
        sources = [tuple(number[source] for source in self.sources[index]) for index in kept]
        return as_network([self.operations[i] for i in kept], sources, self._tokens.isdisjoint(kept))


def _reshaping(row: tuple[int, ...], wanted: tuple[int, ...]) -> nn.Module:
    """The operation from one shape of a row to another: one that chains are made of, where there is one."""
    if row and len(wanted) == 1:
        return nn.Flatten()
    return nn.Unflatten(1, wanted) if len(row) == 1 and wanted else Reshape(wanted)
