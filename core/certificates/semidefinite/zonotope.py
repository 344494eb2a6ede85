"""Affine forms: a network's output as an exact affine function of its input and of bounded errors.

    v = slope x + constant + sum_i errors_i e_i,     every |e_i| <= 1

An activation f on [l, u] is f(v) = s v + middle + radius e for any slope s: the e of two outputs are the
same, which two linear bounds forget (zonotopes; Singh et al. 2018, "Fast and effective robustness
certification"). The rows are pulled backward as in core.bounds.linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.bounds.interval import Interval, affine
from core.bounds.linear import pull, rows_roundoff
from core.bounds.relaxations import relu_form
from core.bounds.rounding import Arithmetic
from core.bounds.rule_table import is_relu, is_reshape, name_of
from core.errors import UnsupportedLayerError
from core.network.graph import Network


@dataclass(frozen=True)
class Zonotope:
    """R affine functions of each of N inputs.

    slope (R, N, ...), constant (R, N), errors (R, N, E). rounding (R, N): how far rounding, of the network
    in the arithmetic that is covered and of these numbers themselves, can move each of them.
    """

    slope: Tensor
    constant: Tensor
    errors: Tensor
    rounding: Tensor


def has_exact_form(layer: nn.Module) -> bool:
    """Whether a layer is an affine form of its input but for a bounded error that is known: affine layers,
    reshapes, ReLU. The rule of any other kind on `pull` is a bound from below, and no form."""
    return is_relu(layer) or is_reshape(layer) or affine(layer) is not None


def exact_pull(layer: nn.Module, rows: Tensor, x: Interval) -> tuple[Tensor, Tensor]:
    """`pull` where it is an equality. Raises UnsupportedLayerError for a layer without an exact form."""
    if not has_exact_form(layer):
        raise UnsupportedLayerError(
            f"Layer {name_of(layer)} has linear bounds but no exact affine form, which methods "
            "'quadratic' and 'bab' need; use 'alpha-crown'."
        )
    return pull(layer, rows, x, None)


def pull_zonotope(
    network: Network,
    rows: Tensor,
    inputs: list[Interval],
    shares: dict[int, Tensor],
    arithmetic: Arithmetic,
) -> Zonotope:
    """Pull rows (R, 1, ...) of the network's output back to its input.

    inputs[i] bounds the input of layer i, (N, ...); shares[i] are the slopes of the ReLU at i, in [0, 1].
    """
    count = len(inputs[0].lower)
    constant = rounding = rows.new_zeros(len(rows), count)
    errors = [rows.new_zeros(len(rows), count, 0)]
    for index in reversed(range(len(network))):
        layer, x = network[index], inputs[index]
        rounding = rounding + rows_roundoff(layer, rows, x, arithmetic)
        if is_relu(layer):
            slope, radius = relu_form(x, shares[index])
            reach = (rows * radius).flatten(2)
            constant = constant + reach.sum(2)
            errors.append(reach[:, :, (radius > 0).flatten(1).any(0)])
            rows = rows * slope
        else:
            rows, more = exact_pull(layer, rows, x)
            constant = constant + more
    return Zonotope(rows, constant, torch.cat(errors, 2), rounding)
