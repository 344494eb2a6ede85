"""Interval bound propagation: one rule per layer kind (Gowal et al. 2018, arXiv 1810.12715)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.bounds.rounding import ELEMENTARY, EXACT, FLUSHED, UNDERFLOW, Arithmetic
from core.bounds.rule_table import ByKind
from core.errors import UnsupportedLayerError
from core.network.graph import Network, taken


@dataclass(frozen=True)
class Interval:
    """Elementwise bounds: every value v of a tensor satisfies lower <= v <= upper. Same shapes.

    points  so many first rows of the batch are single points, lower = upper: no affine layer has to carry
            a radius for them, so that a training step takes points and boxes through in one pass.
    """

    lower: Tensor
    upper: Tensor
    points: int = field(default=0, kw_only=True)

    @property
    def center(self) -> Tensor:
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Tensor:
        return (self.upper - self.lower) / 2

    @property
    def width(self) -> Tensor:
        return self.upper - self.lower

    @property
    def magnitude(self) -> Tensor:
        """Largest absolute value in the interval."""
        return torch.maximum(self.lower.abs(), self.upper.abs())

    def map(self, f: Callable[[Tensor], Tensor]) -> Interval:
        """Apply a non-decreasing function (or a reshape) to both ends."""
        return Interval(f(self.lower), f(self.upper), points=self.points)

    def centered(self) -> tuple[Tensor, Tensor]:
        """Centre and a radius of a box within [-1, 1], flat, that cover it although both are rounded."""
        radius = self.radius.flatten()
        return self.center.flatten(), torch.where(radius > 0, radius + 2.0**-52, radius)

    def chunk(self, parts: int) -> tuple[Interval, ...]:
        """Split along the last dimension."""
        ends = zip(self.lower.chunk(parts, -1), self.upper.chunk(parts, -1), strict=True)
        return tuple(Interval(lower, upper) for lower, upper in ends)

    def guarded(self) -> Interval:
        """An end that is not a number bounds nothing: -inf below, +inf above."""
        inf = float("inf")
        return Interval(
            torch.nan_to_num(self.lower, nan=-inf, posinf=inf, neginf=-inf),
            torch.nan_to_num(self.upper, nan=inf, posinf=inf, neginf=-inf),
        )

    def widened(self, margin: Tensor) -> Interval:
        return Interval(self.lower - margin, self.upper + margin)


class _CenterRadius(torch.autograd.Function):
    """(lower, upper) -> (center, radius without the points), with a backward pass of as few memory sweeps
    as forward."""

    @staticmethod
    def forward(ctx: Any, lower: Tensor, upper: Tensor, points: int) -> tuple[Tensor, Tensor]:
        center = (lower + upper).mul_(0.5)
        return center, upper[points:] - center[points:]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        return *_for_ends(*grad_outputs), None


class _Ends(torch.autograd.Function):
    """(center, radius without the points) -> (lower, upper)."""

    @staticmethod
    def forward(ctx: Any, center: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        ctx.points = len(center) - len(radius)
        return _ends(center, radius)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = grad_outputs
        return lower + upper, upper[ctx.points :] - lower[ctx.points :]


def _ends(center: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """center -+ radius; the first rows, which have no radius, as they are."""
    points = len(center) - len(radius)
    lower, upper = torch.empty_like(center), torch.empty_like(center)
    lower[:points] = upper[:points] = center[:points]
    torch.sub(center[points:], radius, out=lower[points:])
    torch.add(center[points:], radius, out=upper[points:])
    return lower, upper


def _for_ends(center: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients for the ends from those for center and radius."""
    points = len(center) - len(radius)
    lower = torch.empty_like(center)
    lower[:points] = center[:points]
    torch.sub(center[points:], radius, out=lower[points:])
    lower.mul_(0.5)
    return lower, center - lower


class _LinearInterval(torch.autograd.Function):
    """`_affine` in exact arithmetic for a linear layer: half of the sweeps over weights that are as large
    as all activations together."""

    @staticmethod
    def forward(
        ctx: Any, lower: Tensor, upper: Tensor, weight: Tensor, bias: Tensor | None, points: int
    ) -> Any:
        center = (lower + upper).mul_(0.5)
        radius, size = upper[points:] - center[points:], weight.abs()
        ctx.points = points
        ctx.save_for_backward(center, radius, weight, size)
        return _ends(F.linear(center, weight, bias), F.linear(radius, size))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        center, radius, weight, size = ctx.saved_tensors
        lower, upper = grad_outputs
        middle, reach = lower + upper, upper[ctx.points :] - lower[ctx.points :]
        for_lower = for_upper = for_weight = for_bias = None
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            for_lower, for_upper = _for_ends(middle @ weight, reach @ size)
        if ctx.needs_input_grad[2]:
            for_weight = (reach.T @ radius).mul_(weight.sgn()).addmm_(middle.T, center)
        if ctx.needs_input_grad[3]:
            for_bias = middle.sum(0)
        return for_lower, for_upper, for_weight, for_bias, None


@dataclass(frozen=True)
class Affine:
    """op(v, weight, bias) of an affine layer; no output sums over more than `terms` products, and no
    input meets more than `outputs` of them on the way back."""

    op: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    weight: Tensor
    bias: Tensor | None
    terms: int
    outputs: int

    def sizes(self, size: Tensor, more: float = 0.0) -> Tensor:
        """|W| size + |b|: how large the sum of the absolute products can be; size >= |v|. `more` is added
        to each |W| and size."""
        bias = None if self.bias is None else self.bias.abs()
        return self.op(size + more, self.weight.abs() + more, bias)

    def largest_sum(self, size: Tensor) -> Tensor:
        """No product and no partial sum of an output can be larger, in any order, (N,); size >= |v|."""
        sums = size.flatten(1).amax(1) * self.weight.abs().max() * self.terms
        return sums if self.bias is None else sums + self.bias.abs().max()


@ByKind
def affine(layer: nn.Module) -> Affine | None:
    """The affine map that a layer is, or None."""
    return None


@affine.register(nn.Linear)
def _linear(layer: nn.Linear) -> Affine:
    outputs, terms = layer.weight.shape
    return Affine(F.linear, layer.weight, layer.bias, terms, outputs)


@affine.register(nn.Conv2d)
def _conv(layer: nn.Conv2d) -> Affine:
    def op(v: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(v, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)

    if layer.padding_mode != "zeros":
        raise UnsupportedLayerError(
            f"Bound propagation (method 'ibp' and all others) has no rule for Conv2d with padding_mode "
            f"{layer.padding_mode!r}; use zeros."
        )
    positions = prod(layer.weight.shape[2:])
    terms = layer.weight.shape[1] * positions
    return Affine(op, layer.weight, layer.bias, terms, len(layer.weight) * positions)


@affine.register(nn.ConvTranspose2d)
def _conv_transpose(layer: nn.ConvTranspose2d) -> Affine:
    def op(v: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv_transpose2d(
            v,
            weight,
            bias,
            layer.stride,
            cast(tuple[int, ...], layer.padding),
            layer.output_padding,
            layer.groups,
            layer.dilation,
        )

    # At most every input channel and every kernel position meets one output.
    positions = prod(layer.weight.shape[2:])
    terms, outputs = (count * positions for count in layer.weight.shape[:2])
    return Affine(op, layer.weight, layer.bias, terms, outputs)


@ByKind
def propagate(layer: nn.Module, x: Any, arithmetic: Arithmetic = EXACT) -> Interval:
    """Bounds on layer(v) for every v in x, evaluated in `arithmetic` or with more precision; x is a tuple
    where the layer takes several values.

    Exact arithmetic is what training uses; certificates pass the network's own.
    Raises UnsupportedLayerError for a layer kind that has no rule.
    """
    raise UnsupportedLayerError(
        f"Interval propagation (method 'ibp') has no rule for layer {type(layer).__name__}; "
        "register one with core.bounds.interval.propagate.register."
    )


@propagate.register(nn.Linear)
@propagate.register(nn.Conv2d)
@propagate.register(nn.ConvTranspose2d)
def _affine(
    layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, x: Interval, arithmetic: Arithmetic = EXACT
) -> Interval:
    """Centre and radius: |W v + b - (W c + b)| <= |W| r, plus gamma (|W| |v| + |b|) for rounding, with what
    may be lost of W and v where subnormal numbers are flushed."""
    if isinstance(layer, nn.Linear) and x.lower.ndim == 2 and not arithmetic.rounds:
        ends = _LinearInterval.apply(x.lower, x.upper, layer.weight, layer.bias, x.points)
        return Interval(*ends, points=x.points)
    center, radius = _CenterRadius.apply(x.lower, x.upper, 0 if arithmetic.rounds else x.points)
    known = affine(layer)
    assert known is not None
    op, bias, size_of = known.op, known.bias, known.weight.abs()
    middle = op(center, known.weight, bias)
    if not arithmetic.rounds:
        return Interval(*_Ends.apply(middle, op(radius, size_of, None)), points=x.points)
    g = arithmetic.gamma(known.terms + 2)
    size = center.abs() + radius
    noise = None if bias is None else g * bias.abs()
    reach = op(radius + g * size + FLUSHED, size_of + FLUSHED / g, noise) + UNDERFLOW
    reach = arithmetic.unless_overflow(reach, per_row(known.largest_sum(size), reach))
    return Interval(middle - reach, middle + reach).guarded()


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """(N,) -> (N, 1, ..., 1) in the dtype of `like`, to broadcast against it."""
    return values.to(like.dtype).view(-1, *[1] * (like.ndim - 1))


@propagate.register(nn.ReLU)
def _relu(layer: nn.ReLU, x: Interval, arithmetic: Arithmetic = EXACT) -> Interval:
    return x.map(torch.relu)


@propagate.register(nn.Flatten)
@propagate.register(nn.Unflatten)
def _reshape(layer: nn.Flatten | nn.Unflatten, x: Interval, arithmetic: Arithmetic = EXACT) -> Interval:
    return x.map(layer)


def exp(x: Interval, arithmetic: Arithmetic = EXACT) -> Interval:
    """Bounds on exp(v), v in x."""
    lower, upper = x.lower.exp(), x.upper.exp()
    if not arithmetic.rounds:
        return Interval(lower, upper)
    g = arithmetic.gamma(ELEMENTARY)
    lower, upper = (lower * (1 - g) - UNDERFLOW).clamp(min=0), upper * (1 + g) + UNDERFLOW
    return Interval(lower, arithmetic.unless_overflow(upper, upper))


def propagate_through(network: Network, x: Interval, arithmetic: Arithmetic = EXACT) -> list[Interval]:
    """Bounds after every layer; the last one bounds the output."""
    values = [x]
    for index, layer in enumerate(network):
        values.append(propagate(layer, taken(network, index, values), arithmetic))
    return values[1:]
