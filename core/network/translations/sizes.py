"""Translations of pooling, of other sizes, of sums and means."""

from __future__ import annotations

from typing import Any

from core.network import expand
from core.network.builder import Builder, Value
from core.network.operations import AdaptiveAveragePool, AveragePool, Sum, Upsample
from core.network.translations.table import (
    TRANSLATIONS,
    Translation,
    image,
    pair,
    refusal,
    traced,
    translates,
)


@translates("avg_pool2d")
def _average(build: Builder, asked: Any) -> Value:
    if asked["divisor_override"] is not None:
        raise refusal("Its divisor_override has no rule.")
    kernel = pair(asked["kernel_size"])
    stride = pair(asked["stride"]) if asked["stride"] else kernel
    operation = AveragePool(
        kernel, stride, pair(asked["padding"]), asked["ceil_mode"], asked["count_include_pad"]
    )
    return build.add(operation, asked.layout, image(asked))


@translates("adaptive_avg_pool2d")
def _adaptive(build: Builder, asked: Any) -> Value:
    value, size = image(asked), pair(asked["output_size"])
    terms = 1
    for whole, part in zip(value.row[1:], size, strict=True):
        terms *= -(-whole // part) + 1
    return build.add(AdaptiveAveragePool(size, terms), asked.layout, value)


@translates("max_pool2d")
def _max_pool(build: Builder, asked: Any) -> Value:
    value, kernel = image(asked), pair(asked["kernel_size"])
    stride = pair(asked["stride"]) if asked["stride"] else kernel
    if any(pair(asked["padding"])) or pair(asked["dilation"]) != (1, 1) or asked["ceil_mode"]:
        raise refusal("Padding, dilation and ceil_mode have no rule.")
    size = [group[0] or 0 for group in asked.layout[2:]]
    return expand.max_pool(build, value, kernel, stride, size)


@translates("upsample_nearest2d", "upsample_bilinear2d")
def _upsample(build: Builder, asked: Any) -> Value:
    value, scales = image(asked), asked.get("scale_factors")
    size = [int(group[0] or 0) for group in asked.layout[2:]]
    mode = "bilinear" if "align_corners" in asked else "nearest"
    operation = Upsample(size, mode, bool(asked.get("align_corners")), scales)
    return build.add(operation, asked.layout, value)


def _reduction(mean: bool) -> Translation:
    def translate(build: Builder, asked: Any) -> Value:
        value, dims = traced(asked["self"]), asked.get("dim")
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
