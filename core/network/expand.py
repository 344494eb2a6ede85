"""Operations that are taken apart into others: softmax, normalisation over a row, products of matrices,
maxima over several values. What is bounded, scored and attacked is the result."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.network.builder import Builder, Value, number
from core.network.operations import (
    Center,
    Differences,
    Elementwise,
    InverseSoftmax,
    Maximum,
    Minimum,
    Multiply,
    Reshape,
    Scale,
    Slice,
    Sum,
)


def softmax(build: Builder, value: Value, dim: int) -> Value:
    """1 / sum over j of exp(x_j - x_k): what matters are bounds of the differences, then of the sums."""
    last = [d for d in range(len(value.layout)) if d != dim % len(value.layout)]
    order = [*last, dim % len(value.layout)]
    moved = build.permute(value, order)
    *before, n = moved.row
    if n == 1:
        found = build.add(Scale(number(0.0), number(1.0)), moved.layout, moved)
    else:
        apart = build.rows(Differences(), (*before, n * (n - 1) // 2), moved)
        total = build.rows(InverseSoftmax(), moved.row, moved, apart)
        found = build.add(Elementwise("reciprocal"), moved.layout, total)
    return build.permute(found, [order.index(d) for d in range(len(order))])


def normalise(build: Builder, value: Value, places: Sequence[int], eps: float) -> Value:
    """(x - mean) / sqrt(var + eps) over some dimensions of a row; no result of n values is above sqrt(n) in
    size. In real numbers that is sqrt(n - 1), but centred values that are rounded need not sum to 0.
    The clamp at the end changes no value; whoever reads a graph need not believe that."""
    row = value.row
    n = math.prod(row[place - 1] for place in places)
    kept = tuple(1 if place + 1 in places else size for place, size in enumerate(row))
    centered = build.rows(Center(places, n), row, value)
    squares = build.rows(Elementwise("square"), row, centered)
    variance = build.rows(Sum(places, True, True, n), kept, squares)
    variance = build.rows(Scale(None, number(eps)), kept, variance)
    inverse = build.rows(Elementwise("rsqrt"), kept, variance)
    found = build.rows(Multiply(), row, centered, inverse)
    most = math.sqrt(n) * (1.001 + n * 2.0**-23)  # the sum of n squares is rounded
    return build.add(Elementwise("clamp", low=-most, high=most), value.layout, found)


def matrix_product(build: Builder, a: Value, b: Value) -> Value:
    """(..., n, m) times (..., m, p), both values of the graph, as products and a sum."""
    *before, n, m = a.row
    p = b.row[-1]
    left = build.rows(Reshape((*before, n, m, 1)), (*before, n, m, 1), a)
    right = build.rows(Reshape((*before, 1, m, p)), (*before, 1, m, p), b)
    products = build.rows(Multiply(), (*before, n, m, p), left, right)
    along = len(before) + 2
    return build.add(Sum((along,), False, False, m), (*a.layout[:-1], b.layout[-1]), products)


def largest(build: Builder, values: Sequence[Value], kind: type[Maximum | Minimum] = Maximum) -> Value:
    """The largest (smallest) of several values, in pairs."""
    while len(values) > 1:
        paired = [
            build.add(kind(), a.layout, a, b) for a, b in zip(values[::2], values[1::2], strict=False)
        ]
        values = [*paired, *values[2 * len(paired) :]]
    return values[0]


def max_pool(
    build: Builder, value: Value, kernel: Sequence[int], stride: Sequence[int], size: Sequence[int]
) -> Value:
    """Each place of the kernel is a strided part of the image."""
    parts = list[Value]()
    channels = value.row[0]
    for i in range(kernel[0]):
        stop = i + (size[0] - 1) * stride[0] + 1
        rows = build.rows(Slice(2, i, stop, stride[0]), (channels, size[0], value.row[2]), value)
        for j in range(kernel[1]):
            stop = j + (size[1] - 1) * stride[1] + 1
            parts.append(build.rows(Slice(3, j, stop, stride[1]), (channels, *size), rows))
    return largest(build, parts)
