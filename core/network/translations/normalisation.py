"""Translations of normalisation over a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from core.network import expand
from core.network.builder import Builder, Value
from core.network.operations import BatchNorm, Scale
from core.network.translations.table import refusal, traced, translates
from core.network.translations.weights import cloned


def _scaled_by(
    build: Builder, value: Value, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int]
) -> Value:
    if weight is None and bias is None:
        return value
    parts = [None if v is None else v.detach().clone().reshape(shape) for v in (weight, bias)]
    return build.add(Scale(*parts), value.layout, value)


@translates("layer_norm", "native_layer_norm")
def _layer_norm(build: Builder, asked: Any) -> Any:
    value, count = traced(asked["input"]), len(asked["normalized_shape"])
    places = [value.place(dim) for dim in range(-count, 0)]
    found = expand.normalise(build, value, places, asked["eps"])
    found = _scaled_by(build, found, asked["weight"], asked["bias"], tuple(asked["normalized_shape"]))
    return found if "cudnn_enable" in asked else (found, None, None)


@translates("group_norm", "native_group_norm")
def _group_norm(build: Builder, asked: Any) -> Any:
    value = traced(asked["input"])
    groups = asked.get("num_groups", asked.get("group"))
    found = _in_groups(build, value, groups, asked["weight"], asked["bias"], asked["eps"])
    return found if "num_groups" in asked else (found, None, None)


@translates("instance_norm")
def _instance_norm(build: Builder, asked: Any) -> Value:
    value = traced(asked["input"])
    if not asked["use_input_stats"]:
        layer = BatchNorm(
            *(asked["running_mean"].clone(), asked["running_var"].clone()),
            *(cloned(asked["weight"]), cloned(asked["bias"]), asked["eps"]),
        )
        return build.add(layer, value.layout, value)
    return _in_groups(build, value, value.row[0], asked["weight"], asked["bias"], asked["eps"])


def _in_groups(
    build: Builder, value: Value, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Value:
    if not value.plain:
        raise refusal("Its input is not (N, channels, ...).")
    channels, layout = value.row[0], value.layout
    rest = 1
    for size in value.row[1:]:
        rest *= size
    grouped = build.reshape(value, ((None,), (groups,), (channels // groups * rest,)))
    found = build.reshape(expand.normalise(build, grouped, (2,), eps), layout)
    return _scaled_by(build, found, weight, bias, (channels, *[1] * (len(layout) - 2)))
