"""Rules for operations without a curve: copies, sums and means, constants, batch normalisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.bounds.interval import Interval, per_row, propagate
from core.bounds.linear import inner, pull, roundoff
from core.bounds.rounding import ELEMENTARY, EXACT, FLOAT64, FLUSHED, UNDERFLOW, Arithmetic
from core.network import operations
from core.network.operations import BatchNorm, Center, Divide, Monotone, Scale, Subtract

MOVES = (
    operations.Reshape,
    operations.Permute,
    operations.Slice,
    operations.Concatenate,
    operations.PixelShuffle,
    operations.PixelUnshuffle,
)
"""Operations that put each value in one place: neither they nor what is pulled back through them round."""
COPIES = (operations.Expand, operations.Gather, operations.Pad)
SUMS = (
    operations.Add,
    operations.Sum,
    operations.AveragePool,
    operations.AdaptiveAveragePool,
    operations.Upsample,
)
Inputs = Interval | tuple[Interval, ...]
Scaling = Scale | Divide | BatchNorm


def several(x: Inputs) -> tuple[Interval, ...]:
    """The inputs of an operation that may take one or several."""
    return (x,) if isinstance(x, Interval) else x


def adjoint(layer: nn.Module, a: Tensor, x: Inputs) -> Any:
    """Pull rows (R, N, ...) of a linear operation's output back to each of its inputs, the rows' sums over
    what was broadcast: one tensor, or a tuple where there are several inputs."""
    rows, xs = a.flatten(0, 1), several(x)
    zero = a.new_zeros(())
    points = [zero.expand(len(rows), *v.lower.shape[1:]).clone().requires_grad_() for v in xs]
    with torch.enable_grad():
        out = layer(*points)
        graph = rows.requires_grad
        found = torch.autograd.grad(out, points, rows.expand_as(out), create_graph=graph)
    back = tuple(part.unflatten(0, a.shape[:2]) for part in found)
    return back[0] if isinstance(x, Interval) else back


def _monotone(layer: Monotone, x: Inputs, arithmetic: Arithmetic = EXACT) -> Interval:
    xs = several(x)
    lower, upper = layer(*(v.lower for v in xs)), layer(*(v.upper for v in xs))
    found = Interval(lower, upper, points=min(v.points for v in xs))
    if not arithmetic.rounds or layer.terms == 1:
        return found
    return found.widened(_forward(layer, xs, arithmetic)).guarded()


def _sizes(layer: Monotone, xs: tuple[Interval, ...]) -> tuple[Tensor, int]:
    """How large the sum of an output's products can be, and how many units of rounding each can be off."""
    sizes = [v.magnitude for v in xs]
    if not isinstance(layer, operations.Upsample) or layer.mode == "nearest":
        return layer(*sizes), layer.terms + 4
    # The place between two pixels is rounded, relative to the whole edge, and may fall to the next pair.
    around = F.max_pool2d(sizes[0], 3, stride=1, padding=1)
    return layer(around), layer.terms + 8 * (sum(around.shape[2:]) + 3)


def _forward(layer: Monotone, xs: tuple[Interval, ...], arithmetic: Arithmetic) -> Tensor:
    size, units = _sizes(layer, xs)
    margin = arithmetic.gamma(units) * size + UNDERFLOW
    largest = [v.magnitude.reshape(len(v.lower), -1).amax(1) for v in xs]
    return arithmetic.unless_overflow(margin, per_row(torch.stack(largest).sum(0) * layer.terms, margin))


def _monotone_pull(layer: Monotone, a: Tensor, x: Inputs, share: Any) -> tuple[Any, Tensor]:
    constant = a.new_zeros(a.shape[:2])
    if isinstance(layer, operations.Pad) and layer.mode == "constant" and layer.value != 0:
        edge = layer(torch.zeros_like(several(x)[0].lower))
        constant = inner(a.expand(-1, len(edge), *a.shape[2:]), edge)
    return adjoint(layer, a, x), constant


def _monotone_roundoff(layer: Monotone, x: Inputs, arithmetic: Arithmetic) -> Tensor:
    xs = several(x)
    size, units = _sizes(layer, xs)
    count = size[0].numel() + max(v.lower[0].numel() for v in xs)
    own = FLOAT64.gamma(count + units + 2 * ELEMENTARY) * size
    return own if layer.terms == 1 else own + _forward(layer, xs, arithmetic)


def _no_roundoff(layer: Monotone, x: Inputs, arithmetic: Arithmetic) -> None:
    return None


for _kind in (*MOVES, *COPIES, *SUMS):
    propagate.register(_kind)(_monotone)
    pull.register(_kind)(_monotone_pull)
    roundoff.register(_kind)(_no_roundoff if _kind in MOVES else _monotone_roundoff)


def scale_constants(layer: Scaling, x: Interval) -> tuple[Tensor, Tensor, Tensor]:
    """Factor, shift and what the shift is a sum of in size, to broadcast against a row; a factor may be
    rounded, which the margin is for."""
    if isinstance(layer, Divide):
        zero = x.lower.new_zeros(())
        return 1 / layer.divisor, zero, zero
    if isinstance(layer, Scale):
        one, zero = x.lower.new_ones(()), x.lower.new_zeros(())
        factor = one if layer.factor is None else layer.factor
        shift = zero if layer.shift is None else layer.shift
        return factor, shift, shift.abs()
    shape = (-1, *[1] * (x.lower.ndim - 2))
    factor = layer.factor()
    shift, size = -layer.mean * factor, layer.mean.abs() * factor.abs()
    if layer.bias is not None:
        shift, size = shift + layer.bias, size + layer.bias.abs()
    return factor.view(shape), shift.view(shape), size.view(shape)


@propagate.register(Scale)
@propagate.register(Divide)
@propagate.register(BatchNorm)
def _scale(layer: Scaling, x: Interval, arithmetic: Arithmetic = EXACT) -> Interval:
    factor, shift, _ = scale_constants(layer, x)
    ends = x.lower * factor, x.upper * factor
    lower, upper = torch.minimum(*ends) + shift, torch.maximum(*ends) + shift
    found = Interval(lower, upper, points=x.points)
    return found.widened(_scale_forward(layer, x, arithmetic)).guarded() if arithmetic.rounds else found


def _scale_forward(layer: Scaling, x: Interval, arithmetic: Arithmetic) -> Tensor:
    factor, _, shift_size = scale_constants(layer, x)
    size = x.magnitude * factor.abs() + shift_size
    margin = arithmetic.gamma(2 * ELEMENTARY) * size + UNDERFLOW * (1 + factor.abs() + x.magnitude)
    return arithmetic.unless_overflow(margin, torch.maximum(size, _largest(layer, x, factor)))


def _largest(layer: Scaling, x: Interval, factor: Tensor) -> Tensor:
    """No number on the way is larger, but for the output; inf where a rounded divisor may be 0."""
    if isinstance(layer, Divide):
        return torch.where(layer.divisor.abs() < FLUSHED, torch.inf, factor.abs())
    if isinstance(layer, Scale):
        return factor.abs()
    shape = factor.shape
    root = torch.minimum(layer.var, layer.var + layer.eps).view(shape)  # a var below 0 cancels eps
    found = torch.maximum(x.magnitude + layer.mean.abs().view(shape), factor.abs())
    unknown = (root < 0) | ((layer.var + layer.eps).view(shape) < FLUSHED) | (layer.eps < 0)
    return torch.where(unknown, torch.inf, found)


@pull.register(Scale)
@pull.register(Divide)
@pull.register(BatchNorm)
def _scale_pull(layer: Scaling, a: Tensor, x: Interval, share: Any) -> tuple[Tensor, Tensor]:
    factor, shift, _ = scale_constants(layer, x)
    back = (a * factor).sum_to_size(*a.shape[:2], *x.lower.shape[1:])
    return back, (a * shift).reshape(*a.shape[:2], -1).sum(2)


@roundoff.register(Scale)
@roundoff.register(Divide)
@roundoff.register(BatchNorm)
def _scale_roundoff(layer: Scaling, x: Interval, arithmetic: Arithmetic) -> Tensor:
    factor, _, shift_size = scale_constants(layer, x)
    size = x.magnitude * factor.abs() + shift_size
    own = FLOAT64.gamma(x.lower[0].numel() + 2 * ELEMENTARY) * size
    return _scale_forward(layer, x, arithmetic) + own


@propagate.register(Subtract)
def _subtract(layer: Subtract, x: tuple[Interval, Interval], arithmetic: Arithmetic = EXACT) -> Interval:
    a, b = x
    found = Interval(a.lower - b.upper, a.upper - b.lower, points=min(a.points, b.points))
    return found.widened(_difference(x, arithmetic)).guarded() if arithmetic.rounds else found


def _difference(x: tuple[Interval, Interval], arithmetic: Arithmetic) -> Tensor:
    size = x[0].magnitude + x[1].magnitude
    return arithmetic.unless_overflow(arithmetic.gamma(4) * size + UNDERFLOW, size)


@pull.register(Subtract)
def _subtract_pull(
    layer: Subtract, a: Tensor, x: tuple[Interval, Interval], share: Any
) -> tuple[Any, Tensor]:
    return adjoint(layer, a, x), a.new_zeros(a.shape[:2])


@roundoff.register(Subtract)
def _subtract_roundoff(layer: Subtract, x: tuple[Interval, Interval], arithmetic: Arithmetic) -> Tensor:
    size = x[0].magnitude + x[1].magnitude
    return FLOAT64.gamma(size[0].numel() + 2 * ELEMENTARY) * size + _difference(x, arithmetic)


@propagate.register(Center)
def _center(layer: Center, x: Interval, arithmetic: Arithmetic = EXACT) -> Interval:
    """x_i - mean is lowest with x_i at its lower end and all others at their upper ones."""
    own = x.width / layer.terms
    lower = x.lower - x.upper.mean(layer.dims, keepdim=True) + own
    upper = x.upper - x.lower.mean(layer.dims, keepdim=True) - own
    found = Interval(lower, upper, points=x.points)
    return found.widened(_center_forward(layer, x, arithmetic)).guarded() if arithmetic.rounds else found


def _center_forward(layer: Center, x: Interval, arithmetic: Arithmetic) -> Tensor:
    size = 2 * x.magnitude + x.magnitude.mean(layer.dims, keepdim=True)
    margin = arithmetic.gamma(layer.terms + 8) * size + UNDERFLOW
    return arithmetic.unless_overflow(margin, size * layer.terms)


@pull.register(Center)
def _center_pull(layer: Center, a: Tensor, x: Interval, share: Any) -> tuple[Any, Tensor]:
    return adjoint(layer, a, x), a.new_zeros(a.shape[:2])


@roundoff.register(Center)
def _center_roundoff(layer: Center, x: Interval, arithmetic: Arithmetic) -> Tensor:
    own = FLOAT64.gamma(x.lower[0].numel() + 2 * ELEMENTARY)
    size = x.magnitude + x.magnitude.mean(layer.dims, keepdim=True)
    return own * size + _center_forward(layer, x, arithmetic)
