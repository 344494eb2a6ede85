"""Rules by layer kind: one function for each class of layer, looked up by the very class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, get_type_hints

from torch import nn

from core.network import operations
from core.network.operations import Elementwise, InverseSoftmax, Maximum, Minimum, Multiply

P = ParamSpec("P")
R = TypeVar("R")
Rule = TypeVar("Rule", bound=Callable[..., Any])


class ByKind(Generic[P, R]):
    """Calls the rule that is registered for the class of its first argument; for others the function that
    it was made from, which raises, or says that there is none.

    As functools.singledispatch, but for subclasses: one with a forward pass of its own is another
    function, and its parent's rule would bound what nobody computes. It needs a rule of its own.
    """

    def __init__(self, otherwise: Callable[Concatenate[Any, P], R]) -> None:
        self._otherwise: Callable[..., R] = otherwise
        self._rules: dict[type[nn.Module], Callable[..., R]] = {}
        self.__doc__ = otherwise.__doc__

    def __call__(self, layer: nn.Module, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._rules.get(type(layer), self._otherwise)(layer, *args, **kwargs)

    def register(self, kind: Any) -> Any:
        """Decorator: @rules.register(nn.Linear), or @rules.register with the class as annotation."""
        if isinstance(kind, type):
            return lambda rule: self._add(kind, rule)
        hints = [hint for name, hint in get_type_hints(kind).items() if name != "return"]
        return self._add(hints[0], kind)

    def _add(self, kind: type[nn.Module], rule: Rule) -> Rule:
        self._rules[kind] = rule
        return rule

    @property
    def kinds(self) -> tuple[type[nn.Module], ...]:
        """The classes that have a rule."""
        return tuple(self._rules)

    def knows(self, layer: nn.Module) -> bool:
        """Whether there is a rule for the very class of a layer."""
        return type(layer) in self._rules


def is_relu(layer: nn.Module | None) -> bool:
    return type(layer) is nn.ReLU


def is_reshape(layer: nn.Module | None) -> bool:
    return type(layer) in (nn.Flatten, nn.Unflatten)


def is_scale(layer: nn.Module) -> bool:
    """Whether a layer multiplies and shifts each value, by numbers of its channel or one for all, so that
    its output has the shape of its input."""
    if type(layer) is operations.Divide:
        constants = [layer.divisor]
    elif type(layer) is operations.Scale:
        constants = [v for v in (layer.factor, layer.shift) if v is not None]
    else:
        return type(layer) is operations.BatchNorm
    return all(v.numel() == 1 and v.ndim <= 1 for v in constants)


def bends(layer: nn.Module) -> bool:
    """Whether a layer is not linear: better bounds on what it takes make its own better."""
    return is_relu(layer) or type(layer) in (Elementwise, Multiply, Maximum, Minimum)


def bent(layer: nn.Module, sources: tuple[int, ...]) -> tuple[int, ...]:
    """The values, of those that a layer takes, whose better bounds make its own better."""
    if type(layer) is InverseSoftmax:
        return sources[1:]
    return sources if bends(layer) else ()


_ONE_EACH = (
    *(nn.Flatten, nn.Unflatten, operations.Reshape, operations.Permute, operations.Expand),
    *(operations.Slice, operations.Gather, operations.Concatenate),
    *(operations.PixelShuffle, operations.PixelUnshuffle),
    *(operations.Scale, operations.Divide, operations.BatchNorm),
)


def follows(layer: nn.Module) -> bool:
    """Whether each output is a monotone function of one input: its interval follows from the input's."""
    if type(layer) is Elementwise:
        return layer.function.monotone != 0
    return type(layer) in _ONE_EACH


def name_of(layer: nn.Module) -> str:
    """What a layer is called in a sentence: its class, or the function of each value that it is."""
    return layer.name if isinstance(layer, Elementwise) else type(layer).__name__
