"""Remove dead ReLU units from a network: those whose input is never positive pass on exactly 0.

Where bounds prove that, the unit, its row of the layer before and its column of the layer after can go:
the smaller network has the same values in the ball, and sums of fewer terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from torch import Tensor, nn

from core.bounds.interval import Interval, affine
from core.bounds.rule_table import is_relu, is_reshape

# Layers whose features, units or channels, are dimension 1 of what goes in and of what comes out. Each
# with the dimensions of its weight that hold the features of the input and of the output.
_FEATURES: dict[type[nn.Module], tuple[int, int]] = {
    nn.Linear: (1, 0),
    nn.Conv2d: (1, 0),
    nn.ConvTranspose2d: (0, 1),
}


@dataclass(frozen=True)
class Kept:
    """Which of `count` equal groups of features stay, in order."""

    count: int
    groups: Tensor

    def take(self, v: Tensor, dimension: int = 1) -> Tensor:
        """The features that stay, along a dimension of v."""
        groups = v.unflatten(dimension, (self.count, v.shape[dimension] // self.count))
        return groups.index_select(dimension, self.groups).flatten(dimension, dimension + 1)


@dataclass(frozen=True)
class Compact:
    """The layers, bounds on the input of each, and what is kept of the ReLU at an index."""

    layers: list[nn.Module]
    inputs: list[Interval]
    kept: dict[int, Kept]


def compact(network: Sequence[nn.Module], inputs: Sequence[Interval]) -> Compact:
    """Remove the units that are dead in all N boxes; inputs[i] (N, ...) bounds layer i's input."""
    layers, small, kept = list(network), list(inputs), dict[int, Kept]()
    for index, layer in enumerate(network):
        before, after = neighbour(network, index, -1), neighbour(network, index, 1)
        if not is_relu(layer) or before is None or after is None:
            continue
        between = (inputs[i].upper.shape[1] for i in range(before + 1, after + 1))
        keep = _live(inputs[index].upper, *between)
        if keep is None or not (_can_shrink(network[before]) and _can_shrink(network[after])):
            continue
        kept[index] = keep
        layers[before] = _shrink(layers[before], keep, 1)
        layers[after] = _shrink(layers[after], keep, 0)
        for i in range(before + 1, after + 1):
            small[i] = inputs[i].map(keep.take)
    return Compact(layers, small, kept)


def neighbour(network: Sequence[nn.Module], index: int, step: int) -> int | None:
    """The affine layer next to `index` in a direction, reshapes skipped."""
    index += step
    while 0 <= index < len(network) and is_reshape(network[index]):
        index += step
    inside = 0 <= index < len(network)
    return index if inside and affine(network[index]) is not None else None


def _live(upper: Tensor, *features: int) -> Kept | None:
    """The groups that are not dead; None where all are alive. A group is one feature of the value with the
    fewest, of those from one affine layer to the next."""
    count = min(features)
    if any(number % count for number in features):
        return None
    alive = ~(upper <= 0).all(0).view(count, -1).all(1)
    alive[0] |= ~alive.any()  # no layer without any unit
    return None if bool(alive.all()) else Kept(count, alive.nonzero()[:, 0])


def _can_shrink(layer: nn.Module) -> bool:
    """Whether a layer may lose units: not while it is trained, since copies of weights get no gradient."""
    trained = any(weight.requires_grad for weight in layer.parameters())
    return type(layer) in _FEATURES and getattr(layer, "groups", 1) == 1 and not trained


def _shrink(layer: nn.Module, keep: Kept, side: int) -> nn.Module:
    """The layer with some features of its input (side 0) or output (side 1)."""
    parameters = dict(layer.named_parameters())
    parameters["weight"] = _frozen(keep.take(parameters["weight"], _FEATURES[type(layer)][side]))
    if "bias" in parameters and side == 1:
        parameters["bias"] = _frozen(keep.take(parameters["bias"], 0))
    small = copy(layer)
    small._parameters = layer._parameters | parameters  # a dictionary of its own
    return small


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)
