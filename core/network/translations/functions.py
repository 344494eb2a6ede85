"""Translations of functions of each value."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from core.network.builder import Builder, Value
from core.network.operations import Elementwise
from core.network.translations.arithmetic import scaled
from core.network.translations.table import TRANSLATIONS, Translation, constant, refusal, traced, translates


def _elementwise(name: str, *options: str) -> Translation:
    def translate(build: Builder, asked: Any) -> Value:
        value = traced(asked["self"])
        chosen: dict[str, Any] = {option: constant(asked[option], option) for option in options}
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
    value = traced(asked["self"])
    return build.add(nn.ReLU(), value.layout, value)


@translates("elu")
def _elu(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    if asked["scale"] != 1 or asked["input_scale"] != 1:
        raise refusal("Its scales have to be 1.")
    return build.add(Elementwise("elu", alpha=float(asked["alpha"])), value.layout, value)


@translates("neg")
def _neg(build: Builder, asked: Any) -> Value:
    return scaled(build, traced(asked["self"]), -1.0)


@translates("clamp", "clamp_min", "clamp_max", "hardtanh")
def _clamp(build: Builder, asked: Any) -> Value:
    value = traced(asked["self"])
    ends = {name: asked.get(name, asked.get(f"{name}_val")) for name in ("min", "max")}
    low, high = (constant(end, "end") for end in ends.values())
    if any(isinstance(end, Tensor) for end in (low, high)):
        raise refusal("Its ends have to be numbers.")
    if low == 0 and high is None:
        return build.add(nn.ReLU(), value.layout, value)
    bounds: dict[str, Any] = {
        name: float(end) for name, end in zip(("low", "high"), (low, high), strict=True) if end is not None
    }
    return build.add(Elementwise("clamp", **bounds), value.layout, value)


@translates("pow")
def _pow(build: Builder, asked: Any) -> Value:
    value, name = traced(asked["self"]), {2: "square", 0.5: "sqrt", -1: "reciprocal", -0.5: "rsqrt"}
    if asked["exponent"] not in name:
        raise refusal("Powers with a rule are 2, 1/2, -1 and -1/2.")
    return build.add(Elementwise(name[asked["exponent"]]), value.layout, value)


@translates("prelu", "_prelu_kernel")
def _prelu(build: Builder, asked: Any) -> Value:
    value, weight = traced(asked["self"]), constant(asked["weight"], "weight").detach().clone()
    if weight.numel() > 1:
        if not value.plain:
            raise refusal("Its input is not (N, channels, ...).")
        weight = weight.reshape(-1, *[1] * (len(value.layout) - 2))
    return build.add(Elementwise("prelu", weight=weight), value.layout, value)
