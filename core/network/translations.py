"""One translation for each operation that torch.export names: what our graph has for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import UnsupportedLayerError
from core.network import expand
from core.network.builder import Builder, Layout, Value, factors, number
from core.network.operations import (
    AdaptiveAveragePool,
    Add,
    AveragePool,
    BatchNorm,
    Concatenate,
    Divide,
    Elementwise,
    Expand,
    Gather,
    Maximum,
    Minimum,
    Multiply,
    Pad,
    PixelShuffle,
    PixelUnshuffle,
    Scale,
    Slice,
    Subtract,
    Sum,
    Upsample,
)

Translation = Callable[[Builder, Any], Any]
TRANSLATIONS: dict[str, Translation] = {}


def translates(*names: str) -> Callable[[Translation], Translation]:
    """Decorator: the operations, without their overloads, that a function translates."""

    def add(translation: Translation) -> Translation:
        TRANSLATIONS.update(dict.fromkeys(names, translation))
        return translation

    return add


def _refuse(reason: str) -> UnsupportedLayerError:
    return UnsupportedLayerError(reason)


def _traced(value: Any, what: str = "Its input") -> Value:
    if not isinstance(value, Value):
        raise _refuse(f"{what} has to depend on the images.")
    return value


def _constant(value: Any, what: str) -> Any:
    if isinstance(value, Value):
        raise _refuse(f"Its {what} depends on the images; it has to be a constant.")
    return value


def _image(asked: Any) -> Value:
    """The input as images (batch, channels, height, width)."""
    value = _traced(asked.get("input", asked.get("self")))
    if not value.plain or len(value.layout) != 4:
        raise _refuse("Its input is no batch of images (N, C, H, W).")
    return value


def _pair(value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    pair = pair if len(pair) == 2 else (*pair, *pair)
    return int(pair[0]), int(pair[1])


def _copied(layer: nn.Module, **weights: Tensor | None) -> nn.Module:
    for name, value in weights.items():
        setattr(
            layer,
            name,
            None if value is None else nn.Parameter(value.detach().clone(), requires_grad=False),
        )
    return layer


# Weights


@translates("linear")
def _linear(build: Builder, asked: Any) -> Value:
    value, weight, bias = _traced(asked["input"]), _constant(asked["weight"], "weight"), asked["bias"]
    value.place(-1)
    outputs, inputs = weight.shape
    layer = nn.Linear(inputs, outputs, bias is not None, device="meta", dtype=torch.float32)
    layout = (*value.layout[:-1], (outputs,))
    return build.add(_copied(layer, weight=weight, bias=_constant(bias, "bias")), layout, value)


@translates("addmm")
def _addmm(build: Builder, asked: Any) -> Value:
    if asked["beta"] != 1 or asked["alpha"] != 1:
        raise _refuse("Its beta and alpha have to be 1.")
    weight = _constant(asked["mat2"], "second matrix").T
    return _linear(build, {"input": asked["mat1"], "weight": weight, "bias": asked["self"]})


def _padding(asked: Any, kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(asked["padding"], str):
        return _pair(asked["padding"])
    sizes = [
        d * (k - 1) if asked["padding"] == "same" else 0 for d, k in zip(dilation, kernel, strict=True)
    ]
    if any(size % 2 for size in sizes):
        raise _refuse("Its padding 'same' is not the same on both sides; pad before it.")
    return sizes[0] // 2, sizes[1] // 2


@translates("conv2d")
def _conv(build: Builder, asked: Any) -> Value:
    value, weight = _image(asked), _constant(asked["weight"], "weight")
    kernel, stride, dilation = tuple(weight.shape[2:]), _pair(asked["stride"]), _pair(asked["dilation"])
    padding, groups = _padding(asked, kernel, dilation), asked["groups"]
    layer = nn.Conv2d(
        *(weight.shape[1] * groups, len(weight), kernel, stride, padding, dilation, groups),
        bias=asked["bias"] is not None,
        device="meta",
        dtype=torch.float32,
    )
    return build.add(_copied(layer, weight=weight, bias=asked["bias"]), asked.layout, value)


@translates("conv_transpose2d")
def _conv_transpose(build: Builder, asked: Any) -> Value:
    value, weight = _image(asked), _constant(asked["weight"], "weight")
    groups = asked["groups"]
    layer = nn.ConvTranspose2d(
        *(len(weight), weight.shape[1] * groups, tuple(weight.shape[2:])),
        stride=_pair(asked["stride"]),
        padding=_pair(asked["padding"]),
        output_padding=_pair(asked["output_padding"]),
        dilation=_pair(asked["dilation"]),
        groups=groups,
        bias=asked["bias"] is not None,
        device="meta",
        dtype=torch.float32,
    )
    return build.add(_copied(layer, weight=weight, bias=asked["bias"]), asked.layout, value)


@translates("_native_batch_norm_legit_no_training", "batch_norm")
def _batch_norm(build: Builder, asked: Any) -> Any:
    value = _traced(asked["input"])
    if value.layout[0] != (None,) or len(value.layout) < 2 or len(value.layout[1]) != 1:
        raise _refuse("Its input is not (N, channels, ...).")
    if asked.get("training"):
        raise _refuse("It is in training mode: call module.eval() first.")
    mean, var = asked["running_mean"], asked["running_var"]
    layer = BatchNorm(
        mean.clone(), var.clone(), _cloned(asked["weight"]), _cloned(asked["bias"]), asked["eps"]
    )
    found = build.add(layer, value.layout, value)
    return found if "training" in asked else (found, None, None)


def _cloned(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach().clone()


# Values in other places


@translates("view", "reshape", "flatten", "unflatten", "_unsafe_view", "squeeze", "unsqueeze", "view_as")
def _reshape(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
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
                raise _refuse("It mixes the images of a batch.")
            rest = rest if rest == 1 else rest // (group[0] or 1)
            found.append(group)
            continue
        multiple = 1 if len(group) == 1 else group[1] or 1
        if multiple % rest:
            raise _refuse("It mixes the images of a batch.")
        parts = (rest, None, multiple // rest)
        found.append(tuple(factor for factor in parts if factor != 1))
        rest = 1
    if factors(tuple(found)).count(None) != 1 or _before(tuple(found)) != before:
        raise _refuse("It mixes the images of a batch.")
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
    value = _traced(asked["self"])
    return build.permute(value, [dim % len(value.layout) for dim in asked["dims"]])


@translates("transpose")
def _transpose(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    order = list(range(len(value.layout)))
    a, b = (asked[name] % len(order) for name in ("dim0", "dim1"))
    order[a], order[b] = order[b], order[a]
    return build.permute(value, order)


@translates("t", "numpy_T")
def _turn(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    return build.permute(value, range(len(value.layout))[::-1])


@translates("expand")
def _expand(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    layout = asked.layout
    if len(layout) != len(value.layout):
        raise _refuse("It adds dimensions; reshape first.")
    return _expanded(
        build,
        value,
        tuple(old if None in old else new for old, new in zip(value.layout, layout, strict=True)),
    )


def _expanded(build: Builder, value: Value, layout: Layout) -> Value:
    if layout == value.layout:
        return value
    row = [factor for factor in factors(layout) if factor is not None]
    if len(row) != len(value.row):
        raise _refuse("Its shapes do not go together.")
    return build.add(Expand(row), layout, value)


@translates("slice")
def _slice(build: Builder, asked: Any) -> Value:
    value, dim = _traced(asked["self"]), asked["dim"]
    if (
        None in value.layout[dim]
        and asked["start"] in (None, 0)
        and (asked["end"] is None or asked["end"] > 1 << 40)
    ):
        return value
    return _part(build, value, dim, asked["start"] or 0, asked["end"], asked["step"])


def _part(build: Builder, value: Value, dim: int, start: int, end: int | None, step: int = 1) -> Value:
    place, dim = value.place(dim), dim % len(value.layout)
    size = value.row[place - 1]
    start, stop, step = slice(start, end, step).indices(size)
    count = len(range(start, stop, step))
    layout = (*value.layout[:dim], (count,), *value.layout[dim + 1 :])
    return value if count == size else build.add(Slice(place, start, stop, step), layout, value)


@translates("select")
def _select(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    dim, place = asked["dim"] % len(value.layout), value.place(asked["dim"])
    index = asked["index"] % value.row[place - 1]
    found = _part(build, value, dim, index, index + 1)
    return build.reshape(found, (*found.layout[:dim], *found.layout[dim + 1 :]))


@translates("split", "split_with_sizes", "chunk", "unbind", "tensor_split")
def _split_up(build: Builder, asked: Any) -> list[Value]:
    value = _traced(asked["self"])
    dim = asked.get("dim", 0) % len(value.layout)
    sizes = [shape.shape[dim] if shape.ndim == len(value.layout) else None for shape in asked.result]
    if sizes[0] is None:
        parts = [_part(build, value, dim, index, index + 1) for index in range(len(sizes))]
        return [build.reshape(part, (*part.layout[:dim], *part.layout[dim + 1 :])) for part in parts]
    found, start = list[Value](), 0
    for size in sizes:
        assert size is not None
        found.append(_part(build, value, dim, start, start + size))
        start += size
    return found


@translates("index_select")
def _gather(build: Builder, asked: Any) -> Value:
    value, dim = _traced(asked["self"]), asked["dim"] % len(_traced(asked["self"]).layout)
    places = [int(place) for place in _constant(asked["index"], "index")]
    layout = (*value.layout[:dim], (len(places),), *value.layout[dim + 1 :])
    return build.add(Gather(value.place(dim), places), layout, value)


@translates("flip")
def _flip(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    for dim in asked["dims"]:
        place = value.place(dim)
        value = build.add(Gather(place, range(value.row[place - 1])[::-1]), value.layout, value)
    return value


@translates("index")
def _index(build: Builder, asked: Any) -> Value:
    value, found = _traced(asked["self"]), list(asked["indices"])
    dims = [dim for dim, index in enumerate(found) if index is not None]
    if len(dims) != 1 or isinstance(found[dims[0]], Value) or found[dims[0]].ndim != 1:
        raise _refuse("It may pick along one dimension, by constants.")
    return _gather(build, {"self": value, "dim": dims[0], "index": found[dims[0]]})


@translates("cat", "concat")
def _cat(build: Builder, asked: Any) -> Value:
    values = [_traced(value, "Each of its inputs") for value in asked["tensors"]]
    dim = asked["dim"] % len(values[0].layout)
    place = values[0].place(dim)
    _alike(values, but=dim)
    total = sum(value.row[place - 1] for value in values)
    layout = (*values[0].layout[:dim], (total,), *values[0].layout[dim + 1 :])
    return build.add(Concatenate(place), layout, *values)


@translates("repeat")
def _repeat(build: Builder, asked: Any) -> Value:
    value, repeats = _traced(asked["self"]), list(asked["repeats"])
    if len(repeats) != len(value.layout):
        raise _refuse("It adds dimensions; reshape first.")
    for dim, count in enumerate(repeats):
        if count != 1:
            value = _cat(build, {"tensors": [value] * count, "dim": dim})
    return value


@translates("stack")
def _stack(build: Builder, asked: Any) -> Value:
    values = [_traced(value, "Each of its inputs") for value in asked["tensors"]]
    dim = asked["dim"] % (len(values[0].layout) + 1)
    raised = [build.reshape(v, (*v.layout[:dim], (1,), *v.layout[dim:])) for v in values]
    return _cat(build, {"tensors": raised, "dim": dim})


def _alike(values: Sequence[Value], but: int = -1) -> None:
    """Raises unless values have the same layout but for one dimension."""
    layouts = [
        (*value.layout[:but], *value.layout[but + 1 :]) if but >= 0 else value.layout for value in values
    ]
    if any(layout != layouts[0] for layout in layouts):
        raise _refuse("Its inputs have the batch in different places, or other sizes.")


@translates("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def _pad(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    amounts = [int(amount) for amount in asked.get("pad", asked.get("padding"))]
    if not value.plain or len(amounts) // 2 >= len(value.layout) or min(amounts) < 0:
        raise _refuse("It pads what is no batch of images, or by less than nothing.")
    mode = asked.get("mode", "constant")
    return build.add(Pad(amounts, mode, float(asked.get("value") or 0.0)), asked.layout, value)


@translates("pixel_shuffle")
def _shuffle(build: Builder, asked: Any) -> Value:
    return build.add(PixelShuffle(asked["upscale_factor"]), asked.layout, _image(asked))


@translates("pixel_unshuffle")
def _unshuffle(build: Builder, asked: Any) -> Value:
    return build.add(PixelUnshuffle(asked["downscale_factor"]), asked.layout, _image(asked))


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
    value = _traced(asked.get("self", asked.get("input")))
    if asked.get("train"):
        raise _refuse("It is in training mode: call module.eval() first.")
    if asked.get("dtype") not in (None, torch.float32):
        raise _refuse(f"It changes the precision to {asked['dtype']}; bounds are of float32 networks.")
    return value


# Pooling and sizes


@translates("avg_pool2d")
def _average(build: Builder, asked: Any) -> Value:
    if asked["divisor_override"] is not None:
        raise _refuse("Its divisor_override has no rule.")
    kernel = _pair(asked["kernel_size"])
    stride = _pair(asked["stride"]) if asked["stride"] else kernel
    operation = AveragePool(
        kernel, stride, _pair(asked["padding"]), asked["ceil_mode"], asked["count_include_pad"]
    )
    return build.add(operation, asked.layout, _image(asked))


@translates("adaptive_avg_pool2d")
def _adaptive(build: Builder, asked: Any) -> Value:
    value, size = _image(asked), _pair(asked["output_size"])
    terms = 1
    for whole, part in zip(value.row[1:], size, strict=True):
        terms *= -(-whole // part) + 1
    return build.add(AdaptiveAveragePool(size, terms), asked.layout, value)


@translates("max_pool2d")
def _max_pool(build: Builder, asked: Any) -> Value:
    value, kernel = _image(asked), _pair(asked["kernel_size"])
    stride = _pair(asked["stride"]) if asked["stride"] else kernel
    if any(_pair(asked["padding"])) or _pair(asked["dilation"]) != (1, 1) or asked["ceil_mode"]:
        raise _refuse("Padding, dilation and ceil_mode have no rule.")
    size = [group[0] or 0 for group in asked.layout[2:]]
    return expand.max_pool(build, value, kernel, stride, size)


@translates("upsample_nearest2d", "upsample_bilinear2d")
def _upsample(build: Builder, asked: Any) -> Value:
    value, scales = _image(asked), asked.get("scale_factors")
    size = [int(group[0] or 0) for group in asked.layout[2:]]
    mode = "bilinear" if "align_corners" in asked else "nearest"
    operation = Upsample(size, mode, bool(asked.get("align_corners")), scales)
    return build.add(operation, asked.layout, value)


def _reduction(mean: bool) -> Translation:
    def translate(build: Builder, asked: Any) -> Value:
        value, dims = _traced(asked["self"]), asked.get("dim")
        dims = [dim % len(value.layout) for dim in (dims or range(len(value.layout)))]
        places = [value.place(dim) for dim in dims]
        terms = 1
        for place in places:
            terms *= value.row[place - 1]
        kept = ((1,),) if asked["keepdim"] else ()
        layout = tuple(
            group for dim, old in enumerate(value.layout) for group in (kept if dim in dims else (old,))
        )
        return build.add(Sum(places, asked["keepdim"], mean, terms), layout, value)

    return translate


TRANSLATIONS["mean"], TRANSLATIONS["sum"] = _reduction(True), _reduction(False)


# Arithmetic of two values


def _binary(
    both: Callable[[], nn.Module], with_constant: Callable[[Tensor | float, bool], Scale] | None
) -> Translation:
    def translate(build: Builder, asked: Any) -> Value:
        a: Any = asked["self"]
        b: Any = asked["other"]
        if asked.get("alpha", 1) != 1:
            b = b * asked["alpha"] if not isinstance(b, Value) else _scaled(build, b, asked["alpha"])
        if isinstance(a, Value) and isinstance(b, Value):
            a, b = _broadcast(build, a, b)
            return build.add(both(), a.layout, a, b)
        make = with_constant
        if make is None:
            raise _refuse("Both of its inputs have to depend on the images.")
        if not isinstance(a, Value):
            return _with_constant(build, _traced(b), a, lambda c: make(c, False))
        return _with_constant(build, _traced(a), b, lambda c: make(c, True))

    return translate


def _scaled(build: Builder, value: Value, factor: float) -> Value:
    return build.add(Scale(number(float(factor)), None), value.layout, value)


def _broadcast(build: Builder, a: Value, b: Value) -> tuple[Value, Value]:
    while len(a.layout) < len(b.layout):
        a = build.reshape(a, ((1,), *a.layout))
    while len(b.layout) < len(a.layout):
        b = build.reshape(b, ((1,), *b.layout))
    layout = list[tuple[int | None, ...]]()
    for one, other in zip(a.layout, b.layout, strict=True):
        if (None in one) != (None in other) or (None in one and one != other):
            raise _refuse("Its inputs have the batch in different places.")
        layout.append(other if one == (1,) else one)
    return _expanded(build, a, tuple(layout)), _expanded(build, b, tuple(layout))


def _with_constant(
    build: Builder, value: Value, constant: Tensor | float, make: Callable[[Tensor], nn.Module]
) -> Value:
    c = torch.as_tensor(constant, dtype=torch.float32, device="cpu").detach().clone()
    if c.numel() == 1:
        return build.add(make(c.reshape(1)), value.layout, value)
    if c.ndim > len(value.layout):
        raise _refuse("Its constant has more dimensions than its input.")
    c = c.reshape(*[1] * (len(value.layout) - c.ndim), *c.shape)
    shape, layout = list[int](), list[tuple[int | None, ...]]()
    for size, group in zip(c.shape, value.layout, strict=True):
        if size != 1 and len(group) != 1:
            raise _refuse("Its constant differs along a dimension that holds the batch.")
        if None in group and size != 1:
            raise _refuse("Its constant differs between the images of a batch.")
        shape += (
            [size] if len(group) == 1 and None not in group else [1] * sum(f is not None for f in group)
        )
        layout.append((size,) if group == (1,) else group)
    value = _expanded(build, value, tuple(layout))
    return build.add(make(c.reshape(shape)), value.layout, value)


def _plus(c: Any, first: bool) -> Scale:
    return Scale(None, c)


def _times(c: Any, first: bool) -> Scale:
    return Scale(c, None)


def _minus(c: Any, first: bool) -> Scale:
    return Scale(None, -c) if first else Scale(number(-1.0), c)


TRANSLATIONS |= {
    "add": _binary(Add, _plus),
    "sub": _binary(Subtract, _minus),
    "maximum": _binary(Maximum, None),
    "minimum": _binary(Minimum, None),
}


@translates("rsub")
def _rsub(build: Builder, asked: Any) -> Value:
    swapped = {"self": asked["other"], "other": asked["self"], "alpha": asked["alpha"]}
    if asked["alpha"] != 1:
        raise _refuse("Its alpha has to be 1.")
    return TRANSLATIONS["sub"](build, swapped)


@translates("mul")
def _mul(build: Builder, asked: Any) -> Value:
    a, b = asked["self"], asked["other"]
    if isinstance(a, Value) and a == b:
        return build.add(Elementwise("square"), a.layout, a)
    return _binary(Multiply, _times)(build, asked)


@translates("div")
def _div(build: Builder, asked: Any) -> Value:
    a, b = asked["self"], asked["other"]
    if asked.get("rounding_mode") is not None:
        raise _refuse("Its rounding_mode has no rule.")
    if not isinstance(b, Value):
        return _with_constant(build, a, b, Divide)
    inverse = build.add(Elementwise("reciprocal"), b.layout, b)
    return TRANSLATIONS["mul"](build, {"self": a, "other": inverse})


@translates("matmul", "bmm")
def _matmul(build: Builder, asked: Any) -> Value:
    a, b = asked["self"], asked.get("other", asked.get("mat2"))
    if isinstance(a, Value) and isinstance(b, Tensor) and b.ndim == 2:
        return _linear(build, {"input": a, "weight": b.T, "bias": None})
    if not isinstance(a, Value) or not isinstance(b, Value):
        raise _refuse("One of its inputs is a constant that is no matrix.")
    if a.layout[:-2] != b.layout[:-2] or min(len(v.layout) for v in (a, b)) < 3:
        raise _refuse("Its inputs have the batch in different places.")
    for value in (a, b):
        _ = value.place(-1), value.place(-2)  # which raise along the batch
    return expand.matrix_product(build, a, b)


@translates("scaled_dot_product_attention")
def _attention(build: Builder, asked: Any) -> Value:
    q, k, v = (_traced(asked[name]) for name in ("query", "key", "value"))
    if asked["attn_mask"] is not None or asked["is_causal"] or asked["dropout_p"]:
        raise _refuse("A mask, a causal order and dropout have no rule.")
    order = [*range(len(k.layout) - 2), len(k.layout) - 1, len(k.layout) - 2]
    scores = _matmul(build, {"self": q, "other": build.permute(k, order)})
    scale = asked["scale"] if asked["scale"] is not None else q.row[-1] ** -0.5
    weights = expand.softmax(build, _scaled(build, scores, scale), len(scores.layout) - 1)
    return _matmul(build, {"self": weights, "other": v})


@translates("softmax", "_softmax")
def _softmax(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    value.place(asked["dim"])
    return expand.softmax(build, value, asked["dim"])


# Normalisation


def _scaled_by(
    build: Builder, value: Value, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int]
) -> Value:
    if weight is None and bias is None:
        return value
    parts = [None if v is None else v.detach().clone().reshape(shape) for v in (weight, bias)]
    return build.add(Scale(*parts), value.layout, value)


@translates("layer_norm", "native_layer_norm")
def _layer_norm(build: Builder, asked: Any) -> Any:
    value, count = _traced(asked["input"]), len(asked["normalized_shape"])
    places = [value.place(dim) for dim in range(-count, 0)]
    found = expand.normalise(build, value, places, asked["eps"])
    found = _scaled_by(build, found, asked["weight"], asked["bias"], tuple(asked["normalized_shape"]))
    return found if "cudnn_enable" in asked else (found, None, None)


@translates("group_norm", "native_group_norm")
def _group_norm(build: Builder, asked: Any) -> Any:
    value = _traced(asked["input"])
    groups = asked.get("num_groups", asked.get("group"))
    found = _in_groups(build, value, groups, asked["weight"], asked["bias"], asked["eps"])
    return found if "num_groups" in asked else (found, None, None)


@translates("instance_norm")
def _instance_norm(build: Builder, asked: Any) -> Value:
    value = _traced(asked["input"])
    if not asked["use_input_stats"]:
        layer = BatchNorm(
            *(asked["running_mean"].clone(), asked["running_var"].clone()),
            *(_cloned(asked["weight"]), _cloned(asked["bias"]), asked["eps"]),
        )
        return build.add(layer, value.layout, value)
    return _in_groups(build, value, value.row[0], asked["weight"], asked["bias"], asked["eps"])


def _in_groups(
    build: Builder, value: Value, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Value:
    if not value.plain:
        raise _refuse("Its input is not (N, channels, ...).")
    channels, layout = value.row[0], value.layout
    rest = 1
    for size in value.row[1:]:
        rest *= size
    grouped = build.reshape(value, ((None,), (groups,), (channels // groups * rest,)))
    found = build.reshape(expand.normalise(build, grouped, (2,), eps), layout)
    return _scaled_by(build, found, weight, bias, (channels, *[1] * (len(layout) - 2)))


# Functions of each value


def _elementwise(name: str, *options: str) -> Translation:
    def translate(build: Builder, asked: Any) -> Value:
        value = _traced(asked["self"])
        chosen: dict[str, Any] = {option: _constant(asked[option], option) for option in options}
        return build.add(Elementwise(name, **chosen), value.layout, value)

    return translate


TRANSLATIONS |= {
    "sigmoid": _elementwise("sigmoid"),
    "tanh": _elementwise("tanh"),
    "softplus": _elementwise("softplus", "beta", "threshold"),
    "leaky_relu": _elementwise("leaky_relu", "negative_slope"),
    "silu": _elementwise("silu"),
    "gelu": _elementwise("gelu", "approximate"),
    "mish": _elementwise("mish"),
    "selu": _elementwise("selu"),
    "celu": _elementwise("celu", "alpha"),
    "relu6": _elementwise("relu6"),
    "hardsigmoid": _elementwise("hardsigmoid"),
    "hardswish": _elementwise("hardswish"),
    "log_sigmoid": _elementwise("log_sigmoid"),
    "exp": _elementwise("exp"),
    "log": _elementwise("log"),
    "sqrt": _elementwise("sqrt"),
    "rsqrt": _elementwise("rsqrt"),
    "reciprocal": _elementwise("reciprocal"),
    "square": _elementwise("square"),
    "abs": _elementwise("absolute"),
    "logit": _elementwise("logit"),
}


@translates("relu")
def _relu(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    return build.add(nn.ReLU(), value.layout, value)


@translates("elu")
def _elu(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    if asked["scale"] != 1 or asked["input_scale"] != 1:
        raise _refuse("Its scales have to be 1.")
    return build.add(Elementwise("elu", alpha=float(asked["alpha"])), value.layout, value)


@translates("neg")
def _neg(build: Builder, asked: Any) -> Value:
    return _scaled(build, _traced(asked["self"]), -1.0)


@translates("clamp", "clamp_min", "clamp_max", "hardtanh")
def _clamp(build: Builder, asked: Any) -> Value:
    value = _traced(asked["self"])
    ends = {name: asked.get(name, asked.get(f"{name}_val")) for name in ("min", "max")}
    low, high = (_constant(end, "end") for end in ends.values())
    if any(isinstance(end, Tensor) for end in (low, high)):
        raise _refuse("Its ends have to be numbers.")
    if low == 0 and high is None:
        return build.add(nn.ReLU(), value.layout, value)
    bounds: dict[str, Any] = {
        name: float(end) for name, end in zip(("low", "high"), (low, high), strict=True) if end is not None
    }
    return build.add(Elementwise("clamp", **bounds), value.layout, value)


@translates("pow")
def _pow(build: Builder, asked: Any) -> Value:
    value, name = _traced(asked["self"]), {2: "square", 0.5: "sqrt", -1: "reciprocal", -0.5: "rsqrt"}
    if asked["exponent"] not in name:
        raise _refuse("Powers with a rule are 2, 1/2, -1 and -1/2.")
    return build.add(Elementwise(name[asked["exponent"]]), value.layout, value)


@translates("prelu", "_prelu_kernel")
def _prelu(build: Builder, asked: Any) -> Value:
    value, weight = _traced(asked["self"]), _constant(asked["weight"], "weight").detach().clone()
    if weight.numel() > 1:
        if not value.plain:
            raise _refuse("Its input is not (N, channels, ...).")
        weight = weight.reshape(-1, *[1] * (len(value.layout) - 2))
    return build.add(Elementwise("prelu", weight=weight), value.layout, value)


# Maxima


def _largest(kind: type[Maximum | Minimum]) -> Translation:
    def translate(build: Builder, asked: Any) -> Any:
        if "other" in asked:
            return _binary(kind, None)(build, asked)
        value, dims = _traced(asked["self"]), asked.get("dim")
        dims = [dims] if isinstance(dims, int) else list(dims or [])
        if len(dims) != 1:
            raise _refuse("It may go over one dimension.")
        dim = dims[0] % len(value.layout)
        place = value.place(dim)
        parts = [_part(build, value, dim, index, index + 1) for index in range(value.row[place - 1])]
        found = expand.largest(build, parts, kind)
        if not asked["keepdim"]:
            found = build.reshape(found, (*found.layout[:dim], *found.layout[dim + 1 :]))
        return (found, None) if isinstance(asked.result, tuple | list) else found

    return translate


TRANSLATIONS |= dict.fromkeys(("max", "amax"), _largest(Maximum))
TRANSLATIONS |= dict.fromkeys(("min", "amin"), _largest(Minimum))


@translates("sort")
def _sort(build: Builder, asked: Any) -> Any:
    value = _traced(asked["self"])
    dim = asked.get("dim", -1) % len(value.layout)
    if value.row[value.place(dim) - 1] != 2:
        raise _refuse("Sorting has a rule for pairs (GroupSort of 2).")
    a, b = (_part(build, value, dim, index, index + 1) for index in range(2))
    parts = [build.add(kind(), a.layout, a, b) for kind in (Minimum, Maximum)]
    parts = parts[::-1] if asked["descending"] else parts
    return _cat(build, {"tensors": parts, "dim": dim}), None
