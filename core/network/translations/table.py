"""What every translation is made with: the table of all, and what it may ask of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from core.errors import UnsupportedLayerError
from core.network.builder import Builder, Value

Translation = Callable[[Builder, Any], Any]
TRANSLATIONS: dict[str, Translation] = {}


def translates(*names: str) -> Callable[[Translation], Translation]:
    """Decorator: the operations, without their overloads, that a function translates."""

    def add(translation: Translation) -> Translation:
        TRANSLATIONS.update(dict.fromkeys(names, translation))
        return translation

    return add


def refusal(reason: str) -> UnsupportedLayerError:
    return UnsupportedLayerError(reason)


def traced(value: Any, what: str = "Its input") -> Value:
    if not isinstance(value, Value):
        raise refusal(f"{what} has to depend on the images.")
    return value


def constant(value: Any, what: str) -> Any:
    if isinstance(value, Value):
        raise refusal(f"Its {what} depends on the images; it has to be a constant.")
    return value


def image(asked: Any) -> Value:
    """The input as images (batch, channels, height, width)."""
    value = traced(asked.get("input", asked.get("self")))
    if not value.plain or len(value.layout) != 4:
        raise refusal("Its input is no batch of images (N, C, H, W).")
    return value


def pair(value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    pair = pair if len(pair) == 2 else (*pair, *pair)
    return int(pair[0]), int(pair[1])


def copied(layer: nn.Module, **weights: Tensor | None) -> nn.Module:
    for name, value in weights.items():
        setattr(
            layer,
            name,
            None if value is None else nn.Parameter(value.detach().clone(), requires_grad=False),
        )
    return layer
