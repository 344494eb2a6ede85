"""What wrapping does with either part of a VAE: calls it, compares the graph with it, orders its values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.errors import InputError, UnsupportedModelError
from core.network.builder import Builder, Value, number
from core.network.trace import Part

# How far apart a module and its graph may be.
_APART = 1e-4


def called(part: Part, v: Tensor, name: str) -> list[Tensor]:
    """What a module gives, twice the same."""
    with torch.no_grad():
        try:
            found, again = (_tensors(part(v)) for _ in range(2))
        except Exception as error:
            reason = str(error).splitlines()
            raise InputError(
                f"The {name} does not take shape {tuple(v.shape)}: "
                f"{reason[0] if reason else type(error).__name__}"
            ) from error
    if not all(bool(v.isfinite().all()) for v in found):
        raise InputError(f"The {name} gives NaN or infinite values; nothing can be proved of it.")
    if len(found) != len(again) or any(not torch.equal(a, b) for a, b in zip(found, again, strict=True)):
        raise UnsupportedModelError(
            f"The {name} gives another result each time; give the part that ends before noise is drawn: "
            "mu and its scale."
        )
    return found


def _tensors(found: object) -> list[Tensor]:
    outputs = [found] if isinstance(found, Tensor) else list(found) if isinstance(found, Sequence) else []
    if not outputs or not all(isinstance(part, Tensor) for part in outputs):
        raise InputError(f"It gives a {type(found).__name__}; it has to give tensors.")
    return outputs


def compare(name: str, found: Tensor, wanted: Tensor) -> None:
    """Raises UnsupportedModelError where a graph computes something else than the module."""
    apart = (
        (found - wanted.reshape(found.shape)).abs().max().item() if found.numel() == wanted.numel() else 1e9
    )
    if not apart <= _APART * (1 + wanted.abs().max().item()):
        raise UnsupportedModelError(
            f"The graph of the {name} gives other values than the module (by {apart:.3g}); that is a fault "
            "of this program: please report it with the module."
        )


def batch_first(build: Builder, value: Value) -> Value:
    """The value with the batch as its first dimension."""
    at = next(dim for dim, group in enumerate(value.layout) if None in group)
    if value.layout[at] != (None,):
        raise UnsupportedModelError("A part gives the images of a batch mixed with something else.")
    order = [at, *(dim for dim in range(len(value.layout)) if dim != at)]
    return build.permute(value, order)


def size_of(value: Value) -> int:
    """How many numbers a value has for one image."""
    size = 1
    for factor in value.row:
        size *= factor
    return size


def constants(factor: float, shift: float) -> tuple[Tensor, Tensor]:
    """Constants of a Scale: v * factor + shift."""
    return number(factor), number(shift)
