"""Networks as text and tensors: a list of operations by name with plain options. Reading one runs nobody's
code, and takes no memory on its word."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import CheckpointError, UnsupportedLayerError
from core.network.functions import FUNCTIONS
from core.network.graph import Network, as_network, sources_of
from core.network.operations import OPERATIONS, Elementwise
from core.network.untrue import untrue
from core.scalars import LARGEST_FLOAT32

MOST_OPERATIONS, MOST_VALUES, MOST_DIMENSIONS = 5000, 1 << 26, 8
"""No network has more of them; no value of a row more numbers, or more dimensions."""
_LAYERS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "Linear": (nn.Linear, ("in_features", "out_features")),
    "Conv2d": (
        nn.Conv2d,
        ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"),
    ),
    "ConvTranspose2d": (
        nn.ConvTranspose2d,
        (
            "in_channels",
            "out_channels",
            "kernel_size",
            "stride",
            "padding",
            "output_padding",
            "groups",
            "dilation",
        ),
    ),
    "ReLU": (nn.ReLU, ()),
    "Flatten": (nn.Flatten, ()),
    "Unflatten": (nn.Unflatten, ("unflattened_size",)),
}
_OWN = {kind.__name__: kind for kind in OPERATIONS}
_DIMS = ("dim", "dims")
"""Options that name dimensions: never the batch's, which is 0."""


def describe(network: Network) -> list[dict[str, Any]]:
    """List the operations of a network: name, sources, options, and the shapes of their tensors."""
    found = []
    for index, operation in enumerate(network):
        name = type(operation).__name__
        entry = {"op": name, "sources": list(sources_of(network, index)), "options": _options(operation)}
        shapes = {key: list(value.shape) for key, value in operation.named_parameters()}
        found.append(entry | ({"tensors": shapes} if shapes else {}))
    return found


def _options(operation: nn.Module) -> dict[str, Any]:
    name = type(operation).__name__
    if name in _LAYERS:
        return {key: _plain(getattr(operation, key)) for key in _LAYERS[name][1]}
    if isinstance(operation, Elementwise):
        return {"name": operation.name, **operation.options}
    names = [key for key, kind in _kinds(type(operation)).items() if not kind.startswith("Tensor")]
    return {key: _plain(value) for key in names if (value := getattr(operation, key)) is not None}


def _kinds(made_by: Callable[..., Any]) -> dict[str, str]:
    """The options that a class or a function takes, and of what kind each is, as its signature says."""
    named = inspect.signature(made_by).parameters.values()
    return {one.name: str(one.annotation) for one in named if one.kind is one.POSITIONAL_OR_KEYWORD}


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple | list | torch.Size) else value


def build(entries: Any, row: Sequence[int], where: str, gives: Sequence[int] | None = None) -> Network:
    """The network of a list that `describe` made, its tensors without values (device meta), for inputs with
    rows of this shape, and outputs with rows of shape `gives`. Raises CheckpointError for anything that
    `describe` would not have made."""
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_OPERATIONS:
        raise CheckpointError(f"{where} is no list of 1 to {MOST_OPERATIONS:,} operations.")
    operations, sources = list[nn.Module](), list[tuple[int, ...]]()
    for index, entry in enumerate(entries):
        place = f"{where}, operation {index}"
        operation, taken = _operation(entry, index, place)
        operations.append(operation)
        sources.append(taken)
    plain, found = _linear_on_rows(operations, sources, row, where)
    if gives is not None and found != tuple(gives):
        raise CheckpointError(f"{where} gives {found} an image; its configuration says {tuple(gives)}.")
    try:
        return as_network(operations, sources, plain)
    except UnsupportedLayerError as error:
        raise CheckpointError(f"{where}: {error}") from error


def _operation(entry: Any, index: int, where: str) -> tuple[nn.Module, tuple[int, ...]]:
    if not isinstance(entry, dict) or not {"op", "sources", "options"} <= set(entry) <= {
        *("op", "sources", "options", "tensors")
    }:
        raise CheckpointError(f"{where} has not the keys op, sources and options.")
    name, taken, options = entry["op"], entry["sources"], entry["options"]
    if not isinstance(name, str) or name not in {*_LAYERS, *_OWN}:
        raise CheckpointError(f"{where} is {str(name)[:40]!r}, an operation that is not known.")
    if (
        not isinstance(taken, list)
        or not taken
        or not all(type(s) is int and 0 <= s <= index for s in taken)
    ):
        raise CheckpointError(
            f"{where} takes {str(taken)[:40]}; it may take values before it, 0 to {index}."
        )
    if not isinstance(options, dict) or not all(_is_plain(value) for value in options.values()):
        raise CheckpointError(f"{where} has options that are no numbers, words or lists of them.")
    for key in _DIMS:
        dims = options.get(key, [])
        dims = dims if isinstance(dims, list) else [dims]
        if not all(type(dim) is int and 1 <= dim <= MOST_DIMENSIONS for dim in dims):
            raise CheckpointError(
                f"{where} works along dimension {dims}; those of a row are numbered from 1."
            )
    tensors = _tensors(entry.get("tensors", {}), where)
    _check_kinds(name, options, where)
    try:
        operation = _made(name, options, tensors)
    except Exception as error:
        raise CheckpointError(f"{where} ({name}) cannot be made: {_first_line(error)}") from error
    found = {key: tuple(value.shape) for key, value in operation.named_parameters()}
    if found != {key: tuple(value.shape) for key, value in tensors.items()}:
        raise CheckpointError(f"{where} ({name}) has other tensors than it says.")
    return operation, tuple(taken)


def _made(name: str, options: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    if name in _OWN:
        absent = {"Scale": ("factor", "shift"), "BatchNorm": ("weight", "bias")}.get(name, ())
        none = {key: None for key in absent if key not in tensors}
        if name == "Scale" and not tensors:
            raise CheckpointError("it has neither factor nor shift.")
        return _OWN[name](**options, **tensors, **none)
    kind, names = _LAYERS[name]
    if set(options) != set(names):
        raise CheckpointError(f"its options must be {', '.join(names)}.")
    sizes = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    if name == "Unflatten":
        return nn.Unflatten(1, sizes["unflattened_size"])
    weighted = "Linear" in name or "Conv" in name
    more = {"bias": "bias" in tensors, "device": "meta", "dtype": torch.float32} if weighted else {}
    return kind(**sizes, **more)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": lambda v: type(v) is int and abs(v) <= MOST_VALUES,
    "bool": lambda v: type(v) is bool,
    "str": lambda v: isinstance(v, str),
    "float": lambda v: type(v) in (int, float) and abs(v) <= LARGEST_FLOAT32,
}
_LISTS = {"Sequence[int]": "int", "Sequence[float] | None": "float"}
_CHOICES = {
    "mode": ("constant", "reflect", "replicate", "nearest", "bilinear"),
    "approximate": ("none", "tanh"),
}
_POSITIVE = {
    *("shape", "step", "stop", "size", "factor", "terms", "kernel", "stride", "scales", "beta", "most"),
    *("unflattened_size", "kernel_size", "dilation", "groups", "in_channels", "out_channels"),
    *("in_features", "out_features"),
}
_NOT_NEGATIVE = {"start", "places", "amounts", "padding", "output_padding", "eps"}
"""Options by name that have to be among some words, above 0, not below 0."""


def _check_kinds(name: str, options: Mapping[str, Any], where: str) -> None:
    """Raises CheckpointError for an option that is not of its kind, or of a size that it never has."""
    kinds = _kinds(_OWN[name]) if name in _OWN else dict.fromkeys(_LAYERS[name][1], "int or list")
    if name == "Elementwise":
        if not isinstance(function := options.get("name"), str) or function not in FUNCTIONS:
            raise CheckpointError(f"{where}: there is no function {str(function)[:40]!r}.")
        kinds |= _kinds(FUNCTIONS[function])
    for key, value in options.items():
        if not _fits(key, kinds.get(key, ""), value):
            raise CheckpointError(f"{where} ({name}) has {key} {str(value)[:40]}, which it cannot have.")
    if options.get("low", -math.inf) > options.get("high", math.inf):
        raise CheckpointError(f"{where} ({name}) has its ends the wrong way round.")
    if options.get("name") == "celu" and options.get("alpha", 1.0) < 1 / LARGEST_FLOAT32:
        raise CheckpointError(f"{where} (celu) has alpha {options['alpha']}, which it cannot have.")


def _fits(key: str, kind: str, value: Any) -> bool:
    if kind == "int or list":
        pair = key == "unflattened_size" or (isinstance(value, list) and len(value) == 2)
        values, kind = value if isinstance(value, list) else [value], "int"
        if isinstance(value, list) and not pair:
            return False
    elif kind in _LISTS:
        values, kind = value if isinstance(value, list) else [], _LISTS[kind]
    else:
        values = [value]
    check = _CHECKS.get(kind)
    if not values or check is None or not all(map(check, values)):
        return False
    if kind == "str":
        return key not in _CHOICES or value in _CHOICES[key]
    least = 1 if key in _POSITIVE else 0 if key in _NOT_NEGATIVE else -math.inf
    return all(v > 0 if least == 1 else v >= least for v in values)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= MOST_VALUES and all(isinstance(part, bool | int | float) for part in value)
    return (
        value is None
        or isinstance(value, bool | int | float)
        or (isinstance(value, str) and len(value) < 40)
    )


def _tensors(shapes: Any, where: str) -> dict[str, Tensor]:
    if not isinstance(shapes, Mapping) or len(shapes) > 4:
        raise CheckpointError(f"{where} lists no tensors.")
    found = {}
    for key, shape in shapes.items():
        if (
            not isinstance(shape, list)
            or len(shape) > MOST_DIMENSIONS
            or not all(type(size) is int and 0 < size <= MOST_VALUES for size in shape)
        ):
            raise CheckpointError(f"{where} has a tensor of shape {str(shape)[:40]}.")
        found[str(key)] = torch.empty(shape, device="meta", dtype=torch.float32)
    return found


def _linear_on_rows(
    operations: list[nn.Module], sources: list[tuple[int, ...]], row: Sequence[int], where: str
) -> tuple[bool, tuple[int, ...]]:
    """Whether each linear layer takes rows of one dimension, and the shape of a row of the last value.

    Raises CheckpointError for operations that do not go together, give too much, claim of themselves
    what is not so, or mix the images of a batch.
    """
    plain = True
    shapes = list[list[tuple[int, ...]]]()
    for batch in (2, 3):
        values = [torch.empty(batch, *row, device="meta", dtype=torch.float32)]
        for index, (operation, taken) in enumerate(zip(operations, sources, strict=True)):
            try:
                value = result_of(operation, [values[source] for source in taken])
            except Exception as error:
                raise CheckpointError(
                    f"{where}, operation {index} ({type(operation).__name__}) does not take what it gets: "
                    f"{_first_line(error)}"
                ) from error
            size = value[0].numel() if value.ndim and len(value) == batch else 0
            if not 0 < size <= MOST_VALUES or value.ndim > MOST_DIMENSIONS:
                raise CheckpointError(
                    f"{where}, operation {index} ({type(operation).__name__}) gives shape "
                    f"{tuple(value.shape)} for {batch} images."
                )
            if reason := untrue(operation, values[taken[0]]):
                place = f"{where}, operation {index} ({type(operation).__name__})"
                raise CheckpointError(f"{place} {reason}.")
            plain = plain and not (isinstance(operation, nn.Linear) and values[taken[0]].ndim > 2)
            values.append(value)
        shapes.append([tuple(value.shape[1:]) for value in values])
    if shapes[0] != shapes[1]:
        raise CheckpointError(f"{where} gives other shapes for other numbers of images.")
    return plain, shapes[0][-1]


def result_of(operation: nn.Module, taken: Sequence[Tensor]) -> Tensor:
    """What an operation without values (device meta) gives, but for its values."""
    if isinstance(operation, Elementwise) and operation.weight is not None:
        return taken[0] * operation.weight  # whose own function looks at the weight's values
    return operation(*taken)


def _first_line(error: Exception) -> str:
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return f"{said[:200].rstrip('.')}."


def parameters_of(network: Network) -> int:
    """How many weights a network has."""
    return sum(value.numel() for value in network.parameters())
