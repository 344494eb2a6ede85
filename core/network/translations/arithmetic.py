"""Translations of arithmetic between two values, products of matrices and attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from core.network import expand
from core.network.builder import Builder, Value, number
from core.network.operations import Add, Divide, Elementwise, Maximum, Minimum, Multiply, Scale, Subtract
from core.network.translations.places import expanded
from core.network.translations.table import TRANSLATIONS, Translation, refusal, traced, translates
from core.network.translations.weights import linear


def binary(
    both: Callable[[], nn.Module], with_constant: Callable[[Tensor | float, bool], Scale] | None
) -> Translation:
    def translate(build: Builder, asked: Any) -> Value:
        a: Any = asked["self"]
        b: Any = asked["other"]
        if asked.get("alpha", 1) != 1:
            b = b * asked["alpha"] if not isinstance(b, Value) else scaled(build, b, asked["alpha"])
        if isinstance(a, Value) and isinstance(b, Value):
            a, b = _broadcast(build, a, b)
            return build.add(both(), a.layout, a, b)
        make = with_constant
        if make is None:
            raise refusal("Both of its inputs have to depend on the images.")
        if not isinstance(a, Value):
            return _with_constant(build, traced(b), a, lambda c: make(c, False))
        return _with_constant(build, traced(a), b, lambda c: make(c, True))

    return translate


def scaled(build: Builder, value: Value, factor: float) -> Value:
    return build.add(Scale(number(float(factor)), None), value.layout, value)


def _broadcast(build: Builder, a: Value, b: Value) -> tuple[Value, Value]:
    while len(a.layout) < len(b.layout):
        a = build.reshape(a, ((1,), *a.layout))
    while len(b.layout) < len(a.layout):
        b = build.reshape(b, ((1,), *b.layout))
    layout = list[tuple[int | None, ...]]()
    for one, other in zip(a.layout, b.layout, strict=True):
        if (None in one) != (None in other) or (None in one and one != other):
            raise refusal("Its inputs have the batch in different places.")
        layout.append(other if one == (1,) else one)
    return expanded(build, a, tuple(layout)), expanded(build, b, tuple(layout))


def _with_constant(
    build: Builder, value: Value, constant: Tensor | float, make: Callable[[Tensor], nn.Module]
) -> Value:
    c = torch.as_tensor(constant, dtype=torch.float32, device="cpu").detach().clone()
    if c.numel() == 1:
        return build.add(make(c.reshape(1)), value.layout, value)
    if c.ndim > len(value.layout):
        raise refusal("Its constant has more dimensions than its input.")
    c = c.reshape(*[1] * (len(value.layout) - c.ndim), *c.shape)
    shape, layout = list[int](), list[tuple[int | None, ...]]()
    for size, group in zip(c.shape, value.layout, strict=True):
        if size != 1 and len(group) != 1:
            raise refusal("Its constant differs along a dimension that holds the batch.")
        if None in group and size != 1:
            raise refusal("Its constant differs between the images of a batch.")
        shape += (
            [size] if len(group) == 1 and None not in group else [1] * sum(f is not None for f in group)
        )
        layout.append((size,) if group == (1,) else group)
    value = expanded(build, value, tuple(layout))
    return build.add(make(c.reshape(shape)), value.layout, value)


def _plus(c: Any, first: bool) -> Scale:
    return Scale(None, c)


def _times(c: Any, first: bool) -> Scale:
    return Scale(c, None)


def _minus(c: Any, first: bool) -> Scale:
    return Scale(None, -c) if first else Scale(number(-1.0), c)


TRANSLATIONS |= {
    "add": binary(Add, _plus),
    "sub": binary(Subtract, _minus),
    "maximum": binary(Maximum, None),
    "minimum": binary(Minimum, None),
}


@translates("rsub")
def _rsub(build: Builder, asked: Any) -> Value:
    swapped = {"self": asked["other"], "other": asked["self"], "alpha": asked["alpha"]}
    if asked["alpha"] != 1:
        raise refusal("Its alpha has to be 1.")
    return TRANSLATIONS["sub"](build, swapped)


@translates("mul")
def _mul(build: Builder, asked: Any) -> Value:
    a, b = asked["self"], asked["other"]
    if isinstance(a, Value) and a == b:
        return build.add(Elementwise("square"), a.layout, a)
    for value, gate in ((a, b), (b, a)):
        if isinstance(value, Value) and isinstance(gate, Value) and _is_sigmoid_of(build, gate, value):
            return build.add(Elementwise("swish"), value.layout, value)
    return binary(Multiply, _times)(build, asked)


def _is_sigmoid_of(build: Builder, gate: Value, value: Value) -> bool:
    made = build.made_by(gate)
    if not isinstance(made, Elementwise) or made.name != "sigmoid" or gate.layout != value.layout:
        return False
    return build.before(gate).number == value.number


@translates("div")
def _div(build: Builder, asked: Any) -> Value:
    a, b = asked["self"], asked["other"]
    if asked.get("rounding_mode") is not None:
        raise refusal("Its rounding_mode has no rule.")
    if not isinstance(b, Value):
        return _with_constant(build, a, b, Divide)
    inverse = build.add(Elementwise("reciprocal"), b.layout, b)
    return TRANSLATIONS["mul"](build, {"self": a, "other": inverse})


@translates("matmul", "bmm")
def _matmul(build: Builder, asked: Any) -> Value:
    a, b = asked["self"], asked.get("other", asked.get("mat2"))
    if isinstance(a, Value) and isinstance(b, Tensor) and b.ndim == 2:
        return linear(build, {"input": a, "weight": b.T, "bias": None})
    if not isinstance(a, Value) or not isinstance(b, Value):
        raise refusal("One of its inputs is a constant that is no matrix.")
    if a.layout[:-2] != b.layout[:-2] or min(len(v.layout) for v in (a, b)) < 3:
        raise refusal("Its inputs have the batch in different places.")
    for value in (a, b):
        _ = value.place(-1), value.place(-2)  # which raise along the batch
    return expand.matrix_product(build, a, b)


@translates("scaled_dot_product_attention")
def _attention(build: Builder, asked: Any) -> Value:
    q, k, v = (traced(asked[name]) for name in ("query", "key", "value"))
    if asked["attn_mask"] is not None or asked["is_causal"] or asked["dropout_p"]:
        raise refusal("A mask, a causal order and dropout have no rule.")
    order = [*range(len(k.layout) - 2), len(k.layout) - 1, len(k.layout) - 2]
    scores = _matmul(build, {"self": q, "other": build.permute(k, order)})
    scale = asked["scale"] if asked["scale"] is not None else q.row[-1] ** -0.5
    weights = expand.softmax(build, scaled(build, scores, scale), len(scores.layout) - 1)
    return _matmul(build, {"self": weights, "other": v})


@translates("softmax", "_softmax")
def _softmax(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    value.place(asked["dim"])
    return expand.softmax(build, value, asked["dim"])
