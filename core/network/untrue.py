"""What an operation that was read from a file claims of itself, and is not so: bounds rely on it."""

from __future__ import annotations

import math

from torch import Tensor, nn

from core.network.operations import AdaptiveAveragePool, BatchNorm, Center, Divide, Gather, Sum


def untrue(operation: nn.Module, taken: Tensor) -> str:
    """What is not so, given the (first) value that it takes, as the end of a sentence; "" if nothing is."""
    row = taken.shape[1:]
    if isinstance(operation, Gather) and max(operation.places) >= taken.shape[operation.dim]:
        return f"picks place {max(operation.places)} of {taken.shape[operation.dim]}"
    if isinstance(operation, nn.ConvTranspose2d):  # of which torch says nothing before it has values
        steps = zip(operation.output_padding, operation.stride, operation.dilation, strict=True)
        if any(int(more) >= max(stride, dilation) for more, stride, dilation in steps):
            return f"has output_padding {operation.output_padding}, not below its stride or its dilation"
    if isinstance(operation, Sum | Center):
        added = math.prod(taken.shape[dim] for dim in operation.dims) if operation.dims else row.numel()
    elif isinstance(operation, AdaptiveAveragePool):
        parts = zip(row[-2:], operation.size, strict=True)
        added = math.prod(-(-whole // part) + 1 for whole, part in parts)
    else:
        return ""
    if operation.terms < added:
        return f"says that it adds {operation.terms} numbers, and adds up to {added}"
    return ""


def untrue_values(operation: nn.Module) -> str:
    """The same of its tensors, once they have values."""
    if isinstance(operation, BatchNorm) and not bool((operation.var + operation.eps > 0).all()):
        return "has a variance that is negative, or 0 without an eps"
    if isinstance(operation, BatchNorm) and bool((operation.var < 0).any()):
        return "has a negative variance"
    if isinstance(operation, Divide) and bool((operation.divisor == 0).any()):
        return "divides by 0"
    return ""
