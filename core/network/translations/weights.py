"""Translations of layers with weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.network.builder import Builder, Value
from core.network.operations import BatchNorm
from core.network.translations.table import constant, copied, image, pair, refusal, traced, translates


@translates("linear")
def linear(build: Builder, asked: Any) -> Value:
    value, weight, bias = traced(asked["input"]), constant(asked["weight"], "weight"), asked["bias"]
    value.place(-1)
    outputs, inputs = weight.shape
    layer = nn.Linear(inputs, outputs, bias is not None, device="meta", dtype=torch.float32)
    layout = (*value.layout[:-1], (outputs,))
    return build.add(copied(layer, weight=weight, bias=constant(bias, "bias")), layout, value)


@translates("addmm")
def _addmm(build: Builder, asked: Any) -> Value:
    if asked["beta"] != 1 or asked["alpha"] != 1:
        raise refusal("Its beta and alpha have to be 1.")
    weight = constant(asked["mat2"], "second matrix").T
    return linear(build, {"input": asked["mat1"], "weight": weight, "bias": asked["self"]})


def _padding(asked: Any, kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(asked["padding"], str):
        return pair(asked["padding"])
    sizes = [
        d * (k - 1) if asked["padding"] == "same" else 0 for d, k in zip(dilation, kernel, strict=True)
    ]
    if any(size % 2 for size in sizes):
        raise refusal("Its padding 'same' is not the same on both sides; pad before it.")
    return sizes[0] // 2, sizes[1] // 2


@translates("conv2d")
def _conv(build: Builder, asked: Any) -> Value:
    value, weight = image(asked), constant(asked["weight"], "weight")
    kernel, stride, dilation = tuple(weight.shape[2:]), pair(asked["stride"]), pair(asked["dilation"])
    padding, groups = _padding(asked, kernel, dilation), asked["groups"]
    layer = nn.Conv2d(
        *(weight.shape[1] * groups, len(weight), kernel, stride, padding, dilation, groups),
        bias=asked["bias"] is not None,
        device="meta",
        dtype=torch.float32,
    )
    return build.add(copied(layer, weight=weight, bias=asked["bias"]), asked.layout, value)


@translates("conv_transpose2d")
def _conv_transpose(build: Builder, asked: Any) -> Value:
    value, weight = image(asked), constant(asked["weight"], "weight")
    groups = asked["groups"]
    layer = nn.ConvTranspose2d(
        *(len(weight), weight.shape[1] * groups, tuple(weight.shape[2:])),
        stride=pair(asked["stride"]),
        padding=pair(asked["padding"]),
        output_padding=pair(asked["output_padding"]),
        dilation=pair(asked["dilation"]),
        groups=groups,
        bias=asked["bias"] is not None,
        device="meta",
        dtype=torch.float32,
    )
    return build.add(copied(layer, weight=weight, bias=asked["bias"]), asked.layout, value)


@translates("_native_batch_norm_legit_no_training", "batch_norm")
def _batch_norm(build: Builder, asked: Any) -> Any:
    value = traced(asked["input"])
    if value.layout[0] != (None,) or len(value.layout) < 2 or len(value.layout[1]) != 1:
        raise refusal("Its input is not (N, channels, ...).")
    if asked.get("training"):
        raise refusal("It is in training mode: call module.eval() first.")
    mean, var = asked["running_mean"], asked["running_var"]
    layer = BatchNorm(
        mean.clone(), var.clone(), cloned(asked["weight"]), cloned(asked["bias"]), asked["eps"]
    )
    found = build.add(layer, value.layout, value)
    return found if "training" in asked else (found, None, None)


def cloned(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach().clone()
