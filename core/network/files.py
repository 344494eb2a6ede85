"""Networks as text and tensors: a list of operations by name with plain options. Reading one runs nobody's
code, and takes no memory on its word."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import CheckpointError
from core.network.functions import FUNCTIONS
from core.network.graph import Network, as_network, sources_of
from core.network.operations import OPERATIONS, AdaptiveAveragePool, Center, Elementwise, Sum

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
    tensors = dict(operation.named_parameters())
    if type(operation).__init__ is nn.Module.__init__:
        return {}
    names = [key for key in inspect.signature(type(operation)).parameters if key not in tensors]
    return {key: _plain(value) for key in names if (value := getattr(operation, key)) is not None}


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple | list | torch.Size) else value


def build(entries: Any, row: Sequence[int], where: str) -> Network:
    """The network of a list that `describe` made, its tensors without values (device meta), for inputs with
    rows of this shape. Raises CheckpointError for anything that `describe` would not have made."""
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_OPERATIONS:
        raise CheckpointError(f"{where} is no list of 1 to {MOST_OPERATIONS:,} operations.")
    operations, sources = list[nn.Module](), list[tuple[int, ...]]()
    for index, entry in enumerate(entries):
        place = f"{where}, operation {index}"
        operation, taken = _operation(entry, index, place)
        operations.append(operation)
        sources.append(taken)
    return as_network(operations, sources, _linear_on_rows(operations, sources, row, where))


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
        if name == "Elementwise" and options.get("name") not in FUNCTIONS:
            raise CheckpointError(f"there is no function {str(options.get('name'))[:40]!r}.")
        absent = {"Scale": ("factor", "shift"), "BatchNorm": ("weight", "bias")}.get(name, ())
        none = {key: None for key in absent if key not in tensors}
        operation = _OWN[name](**options, **tensors, **none)
        if isinstance(operation, Elementwise) and operation.weight is None:
            operation.function  # noqa: B018  (its options are looked at)
        return operation
    kind, names = _LAYERS[name]
    if set(options) != set(names):
        raise CheckpointError(f"its options must be {', '.join(names)}.")
    sizes = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    if name == "Unflatten":
        return nn.Unflatten(1, sizes["unflattened_size"])
    more = {"bias": "bias" in tensors, "device": "meta"} if tensors else {}
    return kind(**sizes, **more)


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
) -> bool:
    """Whether each linear layer takes rows of one dimension. Raises CheckpointError for operations that do
    not go together, give too much, or mix the images of a batch."""
    plain = True
    shapes = list[list[tuple[int, ...]]]()
    for batch in (2, 3):
        values = [torch.empty(batch, *row, device="meta")]
        for index, (operation, taken) in enumerate(zip(operations, sources, strict=True)):
            try:
                value = operation(*(values[source] for source in taken))
            except Exception as error:
                raise CheckpointError(
                    f"{where}, operation {index} ({type(operation).__name__}) does not take what it gets: "
                    f"{_first_line(error)}"
                ) from error
            if len(value) != batch or value[0].numel() > MOST_VALUES or value.ndim > MOST_DIMENSIONS:
                raise CheckpointError(
                    f"{where}, operation {index} ({type(operation).__name__}) gives shape "
                    f"{tuple(value.shape)} for {batch} images."
                )
            _check_terms(operation, values[taken[0]], f"{where}, operation {index}")
            plain = plain and not (isinstance(operation, nn.Linear) and values[taken[0]].ndim > 2)
            values.append(value)
        shapes.append([tuple(value.shape[1:]) for value in values])
    if shapes[0] != shapes[1]:
        raise CheckpointError(f"{where} gives other shapes for other numbers of images.")
    return plain


def _check_terms(operation: nn.Module, value: Tensor, where: str) -> None:
    """Raises CheckpointError where an operation sums over other values than it says: bounds rely on it."""
    if isinstance(operation, Sum | Center):
        terms = math.prod(value.shape[dim] for dim in operation.dims)
        right = operation.terms == terms
    elif isinstance(operation, AdaptiveAveragePool):
        sizes = zip(value.shape[-2:], operation.size, strict=True)
        terms = math.prod(-(-whole // part) + 1 for whole, part in sizes)
        right = operation.terms >= terms
    else:
        return
    if type(operation.terms) is not int or not right:
        raise CheckpointError(
            f"{where} ({type(operation).__name__}) sums over {terms} values and says {operation.terms!r}."
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def parameters_of(network: Network) -> int:
    """How many weights a network has."""
    return sum(value.numel() for value in network.parameters())
