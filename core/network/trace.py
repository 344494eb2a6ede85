"""From anybody's module to a graph: torch.export, then one translation an operation.

Weights are copied as they are. What depends on weights alone (weight_norm, spectral_norm) is computed once.
"""

from __future__ import annotations

import io
import logging
import operator
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.node import map_aggregate

from core.errors import UnsupportedLayerError, UnsupportedModelError
from core.network.builder import Builder, Layout, Value
from core.network.translations import TRANSLATIONS

Part = nn.Module | Callable[[Tensor], Any]


class _Call(nn.Module):
    """A function as a module, so that it can be exported: the modules that it uses are found in it."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self._function = function
        self.parts = nn.ModuleList(modules_of(function))

    def forward(self, x: Tensor) -> Any:
        return self._function(x)


def modules_of(part: Part) -> list[nn.Module]:
    """The module, or those that a function is a method of or closes over."""
    if isinstance(part, nn.Module):
        return [part]
    cells = [cell.cell_contents for cell in getattr(part, "__closure__", None) or ()]
    return [used for used in (getattr(part, "__self__", None), *cells) if isinstance(used, nn.Module)]


def trace(part: Part, example: Tensor, name: str, build: Builder, start: Value) -> list[Value]:
    """Translate what a module computes of a value, for which `example` (N, ...) stands; its outputs.

    Raises UnsupportedLayerError for an operation without a rule, with its name and place,
    UnsupportedModelError for what torch.export cannot follow.
    """
    program = _exported(part if isinstance(part, nn.Module) else _Call(part), example, name)
    known: dict[str, Any] = {}
    constants = _constants(program)
    for node in program.graph.nodes:
        if node.op == "placeholder":
            known[node.name] = constants.get(node.name)
            if node.name not in constants:
                known[node.name] = start
        elif node.op == "call_function":
            known[node.name] = _translate(build, node, _arguments(node, known), name)
        elif node.op == "output":
            return _outputs(_arguments(node, known)[0][0], name)
    raise UnsupportedModelError(f"The {name} gives nothing.")


def _exported(module: nn.Module, example: Tensor, name: str) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    try:
        with torch.no_grad(), warnings.catch_warnings(), _silent("torch.fx.experimental.symbolic_shapes"):
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,), dynamic_shapes=({0: batch},), strict=False)
            return _without_writes(program)
    except Exception as error:  # torch.export raises whatever it meets in the user's code
        reason = str(error).strip().splitlines()
        raise UnsupportedModelError(
            f"The {name} cannot be traced by torch.export: {reason[0] if reason else type(error).__name__} "
            "Bounds are of one computation for all images: no branches on values, no sizes that depend on "
            "them, no mixing of the images of a batch, of which there may be any number (x.shape[0], not "
            "len(x))."
        ) from error


def _without_writes(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The same computation by operations that write to none of their arguments and have a translation.
    torch's way there takes four times as long as the export, so it is gone where it changes something."""
    program.graph.eliminate_dead_code()
    return program if all(map(_can_stay, program.graph.nodes)) else program.run_decompositions({})


def _can_stay(node: torch.fx.Node) -> bool:
    """Whether a traced operation is one of our table's, and writes to nothing."""
    if node.op != "call_function" or node.target is operator.getitem:
        return True
    if isinstance(node.meta.get("val"), torch.SymInt):
        return True
    name, schema = _name_of(node.target), getattr(node.target, "_schema", None)
    written = schema is None or schema.is_mutable
    # to() says its precision in too many ways.
    return not written and name in TRANSLATIONS and name != "to"


def _precisions(node: torch.fx.Node) -> set[torch.dtype]:
    """The kinds of real and complex numbers that a traced operation gives."""
    results = node.meta.get("val")
    results = results if isinstance(results, tuple | list) else (results,)
    kinds = {result.dtype for result in results if isinstance(result, Tensor)}
    return {kind for kind in kinds if kind.is_floating_point or kind.is_complex}


def _name_of(target: object) -> str:
    """An operation's name in the table: without its overload."""
    return str(getattr(target, "overloadpacket", None)).removeprefix("aten.")


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """A logger, and standard error, say nothing meanwhile: what torch.export finds becomes one sentence."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.disabled = before


def _constants(program: torch.export.ExportedProgram) -> dict[str, Tensor]:
    """Weights, buffers and constants by the name of their placeholder."""
    signature = program.graph_signature
    state, others = program.state_dict, program.constants
    named = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    named |= signature.inputs_to_lifted_tensor_constants
    found: dict[str, Any] = {
        place: state[name] if name in state else others[name] for place, name in named.items()
    }
    return {place: value.detach() for place, value in found.items()}


def layout_of(shape: Sequence[Any]) -> Layout:
    """The layout of a traced shape, in which the batch is a symbol; of a multiple the batch is first."""
    layout = list[tuple[int | None, ...]]()
    for size in shape:
        if isinstance(size, int):
            layout.append((size,))
            continue
        multiple = size.node.expr.as_coeff_Mul()[0]
        layout.append((None,) if multiple == 1 else (None, int(multiple)))
    return tuple(layout)


def _arguments(node: torch.fx.Node, known: dict[str, Any]) -> tuple[Any, Any]:
    def find(item: Any) -> Any:
        return known[item.name] if isinstance(item, torch.fx.Node) else item

    return map_aggregate(node.args, find), map_aggregate(node.kwargs, find)


def _translate(build: Builder, node: torch.fx.Node, given: tuple[Any, Any], part: str) -> Any:
    args, kwargs = given
    target, result = node.target, node.meta.get("val")
    if isinstance(result, torch.SymInt):
        return result
    if target is torch.ops.aten._assert_tensor_metadata.default:
        return None  # that a tensor has its dtype, which to() leaves beside it
    if target is operator.getitem:
        return args[0][args[1]]
    found = list[Value]()
    map_aggregate((args, kwargs), lambda item: found.append(item) if isinstance(item, Value) else None)
    symbols = any(isinstance(item, torch.SymInt) for item in args)
    if not found and not symbols:
        with torch.no_grad():
            return target(*args, **kwargs)  # pyright: ignore[reportCallIssue]
    where = _place(node, part)
    packet = getattr(target, "overloadpacket", None)
    translation = TRANSLATIONS.get(_name_of(target))
    if translation is None or not found:
        raise UnsupportedLayerError(
            f"There is no rule for the operation {packet or target} {where}. Operations with one are "
            "listed in docs/own-models.md; write the module with those."
        )
    if other := {kind for kind in _precisions(node) if kind != torch.float32}:
        raise UnsupportedLayerError(
            f"{packet} {where} changes the precision to {other.pop()}; bounds are of float32 networks."
        )
    named = {spec.name: spec.default_value for spec in target._schema.arguments}  # pyright: ignore
    named |= dict(zip(named, args, strict=False)) | kwargs
    try:
        return translation(build, _Asked(named, result))
    except UnsupportedLayerError as error:
        raise UnsupportedLayerError(f"{error} It is {packet} {where}.") from None


class _Asked(dict[str, Any]):
    """The arguments of a traced operation by name, and what it gives."""

    def __init__(self, named: dict[str, Any], result: Any) -> None:
        super().__init__(named)
        self.result = result

    @property
    def layout(self) -> Layout:
        """The layout of what it gives, as far as its shape says."""
        return layout_of(self.result.shape)


def _place(node: torch.fx.Node, part: str) -> str:
    """Where in the user's module a node comes from."""
    stack = node.meta.get("nn_module_stack") or {}
    path = [path for path, _ in stack.values()]
    where = path[-1] if path else ""
    return f"in the {part}" + (f" at {where}" if where else "")


def _outputs(found: Any, part: str) -> list[Value]:
    outputs = list[Any]()
    map_aggregate(found, outputs.append)
    for output in outputs:
        if not isinstance(output, Value):
            raise UnsupportedModelError(
                f"The {part} gives a {type(output).__name__} that does not depend on its input."
            )
    return outputs
