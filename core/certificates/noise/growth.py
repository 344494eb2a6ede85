"""How large a decoder's outputs can be for codes of any size: operations that grow at most in proportion.

reach(layer, V) bounds |layer(v)| for |v| <= V, and rises to at most r reach(layer, V) where V rises to r V,
r >= 1. So do compositions and sums of such operations.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from core.bounds.interval import Interval, affine, propagate
from core.bounds.rule_table import ByKind, is_relu, is_reshape, name_of
from core.errors import UnsupportedLayerError
from core.network.graph import Network, taken
from core.network.operations import (
    BatchNorm,
    Center,
    Differences,
    Divide,
    Elementwise,
    Maximum,
    Minimum,
    Monotone,
    Scale,
    Subtract,
)
from core.vae.likelihood import OneParameter
from core.vae.model import VAE

_LINEAR = (*Monotone.__subclasses__(), Scale, Divide, BatchNorm, Subtract, Differences, Center)
"""Linear operations, with constants: of a box around 0 interval propagation gives |W| V + |b|."""


def check_growth(vae: VAE) -> None:
    """Raises UnsupportedLayerError for a decoder of which nothing is known for noise of any size."""
    if not isinstance(vae.likelihood, OneParameter):
        raise UnsupportedLayerError(
            "Certificates on the expectation have no growth rule for a learned variance: log p grows "
            "faster than any square; ask for states='coverage' or 'draws'."
        )
    for layer in vae.decoder:
        if not _grows_in_proportion(layer):
            raise UnsupportedLayerError(
                f"Certificates on the expectation have no growth rule for layer {name_of(layer)}: they are "
                "of decoders that grow in proportion to the code at most; ask for states='coverage' or "
                "'draws'."
            )


def reach_of(network: Network, size: Tensor, biases: bool) -> Tensor:
    """Bound on |network(v)|, |v| <= size >= 0, by absolute weights; without biases about on differences."""
    sizes = [size]
    for index, layer in enumerate(network):
        sizes.append(_reach(layer, taken(network, index, sizes), biases))
    return sizes[-1]


def _grows_in_proportion(layer: nn.Module) -> bool:
    if isinstance(layer, Elementwise):
        function = layer.function
        return function.steepest is not None and function.domains == ((-math.inf, math.inf),)
    return affine(layer) is not None or is_relu(layer) or is_reshape(layer) or _reach.knows(layer)


@ByKind
def _reach(layer: nn.Module, size: Any, biases: bool) -> Tensor:
    """What it gives for one layer; size: of what it takes, a tuple where that are several values."""
    if is_relu(layer) or is_reshape(layer):
        return layer(size)
    known = affine(layer)
    if known is None:
        raise UnsupportedLayerError(f"There is no growth rule for layer {name_of(layer)}.")
    bias = known.bias.abs() if biases and known.bias is not None else None
    return known.op(size, known.weight.abs(), bias)


def _linear(layer: nn.Module, size: Any, biases: bool) -> Tensor:
    several = isinstance(size, tuple)
    found = propagate(layer, tuple(Interval(-s, s) for s in size) if several else Interval(-size, size))
    return found.magnitude if biases else found.radius


for _kind in _LINEAR:
    _reach.register(_kind)(_linear)


@_reach.register(Maximum)
@_reach.register(Minimum)
def _either(layer: Maximum | Minimum, size: tuple[Tensor, Tensor], biases: bool) -> Tensor:
    return Maximum()(*size)


@_reach.register(Elementwise)
def _lipschitz(layer: Elementwise, size: Tensor, biases: bool) -> Tensor:
    """|f(v)| <= |f(0)| + L |v|."""
    function = layer.function
    assert function.steepest is not None
    grown = size * function.steepest
    return grown + function.value(size.new_zeros(())).abs() + function.apart if biases else grown
