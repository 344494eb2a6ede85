"""A network as a graph of operations, the plain nn.Sequential being the special case of a chain.

Its values are numbered: value 0 is the network's input, value i + 1 is what operation i gives. In a chain
operation i takes value i; in a Graph it says which values it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from torch import Tensor, nn

from core.errors import UnsupportedLayerError
from core.network.operations import Differences, InverseSoftmax

Value = TypeVar("Value")


class Graph(nn.Module):
    """Operations in an order in which each takes values that are there already.

    operations  modules of one row an image: batch first, no row depends on another.
    sources     for each operation the numbers of the values that it takes, at least one.

    Raises UnsupportedLayerError for an InverseSoftmax with differences of another value: bounds rely on it.
    """

    def __init__(self, operations: Sequence[nn.Module], sources: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.operations = nn.ModuleList(operations)
        self.sources: tuple[tuple[int, ...], ...] = tuple(tuple(taken) for taken in sources)
        for operation, taken in zip(operations, self.sources, strict=True):
            if type(operation) is InverseSoftmax and not self._are_differences(taken):
                raise UnsupportedLayerError(
                    "An InverseSoftmax takes two values: any, and the Differences of that one."
                )

    def _are_differences(self, taken: tuple[int, ...]) -> bool:
        if len(taken) != 2 or taken[1] == 0:
            return False
        maker = taken[1] - 1
        return type(self.operations[maker]) is Differences and self.sources[maker] == taken[:1]

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.operations)

    def __getitem__(self, index: int) -> nn.Module:
        return self.operations[index]

    def forward(self, x: Tensor) -> Tensor:
        """Compute the last value; x (N, ...)."""
        last_use = {source: index for index, taken in enumerate(self.sources) for source in taken}
        values: dict[int, Tensor] = {0: x}
        for index, (operation, taken) in enumerate(zip(self.operations, self.sources, strict=True)):
            values[index + 1] = operation(*(values[source] for source in taken))
            for source in set(taken):
                if last_use[source] == index:
                    del values[source]
        return values[len(self.operations)]


Network = nn.Sequential | Graph


def sources_of(network: Network, index: int) -> tuple[int, ...]:
    """The numbers of the values that operation `index` takes."""
    return network.sources[index] if isinstance(network, Graph) else (index,)


def taken(network: Network, index: int, values: Sequence[Value]) -> Value | tuple[Value, ...]:
    """What operation `index` takes of the values: one, or a tuple where it takes several."""
    found = tuple(values[source] for source in sources_of(network, index))
    return found[0] if len(found) == 1 else found


def as_network(
    operations: Sequence[nn.Module], sources: Sequence[tuple[int, ...]], plain: bool = True
) -> Network:
    """A plain nn.Sequential where the operations are a chain, else a Graph.

    plain  whether each nn.Linear takes rows of one dimension: elsewhere its features are not the first.
    """
    chain = plain and all(taken == (index,) for index, taken in enumerate(sources))
    return nn.Sequential(*operations) if chain else Graph(operations, sources)
