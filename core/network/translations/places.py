"""Translations of what puts values in other places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from core.network.builder import Builder, Layout, Value, factors
from core.network.operations import Concatenate, Expand, Gather, Pad, PixelShuffle, PixelUnshuffle, Slice
from core.network.translations.table import constant, image, refusal, traced, translates


@translates("view", "reshape", "flatten", "unflatten", "_unsafe_view", "squeeze", "unsqueeze", "view_as")
def _reshape(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    return build.reshape(value, _split(value, asked.layout))


def _split(value: Value, layout: Layout) -> Layout:
    """A layout with the batch where the value has it: a reshape keeps the order of all values."""
    before = 1
    for factor in factors(value.layout):
        if factor is None:
            break
        before *= factor
    found, rest = list[tuple[int | None, ...]](), before
    for group in layout:
        if None not in group:
            if rest % (group[0] or 1) and rest != 1:
                raise refusal("It mixes the images of a batch.")
            rest = rest if rest == 1 else rest // (group[0] or 1)
            found.append(group)
            continue
        multiple = 1 if len(group) == 1 else group[1] or 1
        if multiple % rest:
            raise refusal("It mixes the images of a batch.")
        parts = (rest, None, multiple // rest)
        found.append(tuple(factor for factor in parts if factor != 1))
        rest = 1
    if factors(tuple(found)).count(None) != 1 or _before(tuple(found)) != before:
        raise refusal("It mixes the images of a batch.")
    return tuple(found)


def _before(layout: Layout) -> int:
    product = 1
    for factor in factors(layout):
        if factor is None:
            return product
        product *= factor
    return product


@translates("permute")
def _permute(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    return build.permute(value, [dim % len(value.layout) for dim in asked["dims"]])


@translates("transpose")
def _transpose(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    order = list(range(len(value.layout)))
    a, b = (asked[name] % len(order) for name in ("dim0", "dim1"))
    order[a], order[b] = order[b], order[a]
    return build.permute(value, order)


@translates("t", "numpy_T")
def _turn(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    return build.permute(value, range(len(value.layout))[::-1])


@translates("expand")
def _expand(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    layout = asked.layout
    if len(layout) != len(value.layout):
        raise refusal("It adds dimensions; reshape first.")
    return expanded(
        build,
        value,
        tuple(old if None in old else new for old, new in zip(value.layout, layout, strict=True)),
    )


def expanded(build: Builder, value: Value, layout: Layout) -> Value:
    if layout == value.layout:
        return value
    row = [factor for factor in factors(layout) if factor is not None]
    if len(row) != len(value.row):
        raise refusal("Its shapes do not go together.")
    return build.add(Expand(row), layout, value)


@translates("slice")
def _slice(build: Builder, asked: Any) -> Value:
    value, dim = traced(asked["self"]), asked["dim"]
    if (
        None in value.layout[dim]
        and asked["start"] in (None, 0)
        and (asked["end"] is None or asked["end"] > 1 << 40)
    ):
        return value
    return part_of(build, value, dim, asked["start"] or 0, asked["end"], asked["step"])


def part_of(build: Builder, value: Value, dim: int, start: int, end: int | None, step: int = 1) -> Value:
    place, dim = value.place(dim), dim % len(value.layout)
    size = value.row[place - 1]
    start, stop, step = slice(start, end, step).indices(size)
    count = len(range(start, stop, step))
    layout = (*value.layout[:dim], (count,), *value.layout[dim + 1 :])
    return value if count == size else build.add(Slice(place, start, stop, step), layout, value)


@translates("select")
def _select(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    dim, place = asked["dim"] % len(value.layout), value.place(asked["dim"])
    index = asked["index"] % value.row[place - 1]
    found = part_of(build, value, dim, index, index + 1)
    return build.reshape(found, (*found.layout[:dim], *found.layout[dim + 1 :]))


@translates("split", "split_with_sizes", "chunk", "unbind", "tensor_split")
def _split_up(build: Builder, asked: Any) -> list[Value]:
    value = traced(asked["self"])
    dim = asked.get("dim", 0) % len(value.layout)
    sizes = [shape.shape[dim] if shape.ndim == len(value.layout) else None for shape in asked.result]
    if sizes[0] is None:
        parts = [part_of(build, value, dim, index, index + 1) for index in range(len(sizes))]
        return [build.reshape(part, (*part.layout[:dim], *part.layout[dim + 1 :])) for part in parts]
    found, start = list[Value](), 0
    for size in sizes:
        assert size is not None
        found.append(part_of(build, value, dim, start, start + size))
        start += size
    return found


@translates("index_select")
def _gather(build: Builder, asked: Any) -> Value:
    value, dim = traced(asked["self"]), asked["dim"] % len(traced(asked["self"]).layout)
    places = [int(place) for place in constant(asked["index"], "index")]
    layout = (*value.layout[:dim], (len(places),), *value.layout[dim + 1 :])
    return build.add(Gather(value.place(dim), places), layout, value)


@translates("flip")
def _flip(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    for dim in asked["dims"]:
        place = value.place(dim)
        value = build.add(Gather(place, range(value.row[place - 1])[::-1]), value.layout, value)
    return value


@translates("index")
def _index(build: Builder, asked: Any) -> Value:
    value, found = traced(asked["self"]), list(asked["indices"])
    dims = [dim for dim, index in enumerate(found) if index is not None]
    if len(dims) != 1 or isinstance(found[dims[0]], Value) or found[dims[0]].ndim != 1:
        raise refusal("It may pick along one dimension, by constants.")
    return _gather(build, {"self": value, "dim": dims[0], "index": found[dims[0]]})


@translates("cat", "concat")
def concatenated(build: Builder, asked: Any) -> Value:
    values = [traced(value, "Each of its inputs") for value in asked["tensors"]]
    dim = asked["dim"] % len(values[0].layout)
    place = values[0].place(dim)
    _alike(values, but=dim)
    total = sum(value.row[place - 1] for value in values)
    layout = (*values[0].layout[:dim], (total,), *values[0].layout[dim + 1 :])
    return build.add(Concatenate(place), layout, *values)


@translates("repeat")
def _repeat(build: Builder, asked: Any) -> Value:
    value, repeats = traced(asked["self"]), list(asked["repeats"])
    if len(repeats) != len(value.layout):
        raise refusal("It adds dimensions; reshape first.")
    for dim, count in enumerate(repeats):
        if count != 1:
            value = concatenated(build, {"tensors": [value] * count, "dim": dim})
    return value


@translates("stack")
def _stack(build: Builder, asked: Any) -> Value:
    values = [traced(value, "Each of its inputs") for value in asked["tensors"]]
    dim = asked["dim"] % (len(values[0].layout) + 1)
    raised = [build.reshape(v, (*v.layout[:dim], (1,), *v.layout[dim:])) for v in values]
    return concatenated(build, {"tensors": raised, "dim": dim})


def _alike(values: Sequence[Value], but: int = -1) -> None:
    """Raises unless values have the same layout but for one dimension."""
    layouts = [
        (*value.layout[:but], *value.layout[but + 1 :]) if but >= 0 else value.layout for value in values
    ]
    if any(layout != layouts[0] for layout in layouts):
        raise refusal("Its inputs have the batch in different places, or other sizes.")


@translates("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def _pad(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    amounts = [int(amount) for amount in asked.get("pad", asked.get("padding"))]
    if not value.plain or len(amounts) // 2 >= len(value.layout) or min(amounts) < 0:
        raise refusal("It pads what is no batch of images, or by less than nothing.")
    mode = asked.get("mode", "constant")
    return build.add(Pad(amounts, mode, float(asked.get("value") or 0.0)), asked.layout, value)


@translates("pixel_shuffle")
def _shuffle(build: Builder, asked: Any) -> Value:
    return build.add(PixelShuffle(asked["upscale_factor"]), asked.layout, image(asked))


@translates("pixel_unshuffle")
def _unshuffle(build: Builder, asked: Any) -> Value:
    return build.add(PixelUnshuffle(asked["downscale_factor"]), asked.layout, image(asked))


@translates(
    "alias",
    "clone",
    "contiguous",
    "detach",
    "dropout",
    "feature_dropout",
    "lift_fresh_copy",
    "_to_copy",
    "to",
)
def _same(build: Builder, asked: Any) -> Value:
    value = traced(asked.get("self", asked.get("input")))
    if asked.get("train"):
        raise refusal("It is in training mode: call module.eval() first.")
    if asked.get("dtype") not in (None, torch.float32):
        raise refusal(f"It changes the precision to {asked['dtype']}; bounds are of float32 networks.")
    return value
