"""Linear bounds pulled backward through layers (CROWN, Zhang et al. 2018, arXiv 1811.00866).

A linear bound on a layer's output, f >= <A, y> + c, becomes one on its input: affine layers are pulled
back exactly, a ReLU by a line below it where A is positive and a line above it where A is negative.
One implementation serves lower and upper bounds: an upper bound on f is a lower bound on -f.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.bounds.interval import Interval, affine, per_row
from core.bounds.relaxations import relu_lower, relu_share, relu_upper
from core.bounds.rounding import ELEMENTARY, FLOAT64, FLUSHED, UNDERFLOW, Arithmetic
from core.bounds.rule_table import ByKind
from core.errors import UnsupportedLayerError

Share = Any
"""Given slopes of the lines below an activation, (N, ...), or what `prepare` made; None for neither."""

_NO_RULE = (
    "Linear relaxation (methods 'crown-ibp', 'crown', 'alpha-crown', 'quadratic', 'bab') has no rule for"
)


@ByKind
def prepare(layer: nn.Module, x: Any) -> Any:
    """What `pull` needs to know of a layer beside its input's bounds and would compute again for all rows;
    None for most."""
    return None


@ByKind
def pull(layer: nn.Module, a: Tensor, x: Any, share: Share) -> tuple[Any, Tensor]:
    """Coefficients of a layer's output -> coefficients of its input, and what is added to the constant.

    a      (R, N, ...): R linear functions of each of N outputs; (R, 1, ...) where all N share them.
    x      bounds on the layer's input, (N, ...), a tuple where it has several.
    share  see `Share`; None for the default.

    Returns (R, N, ...) in the shape of the input, a tuple where there are several, and (R, N). Raises
    UnsupportedLayerError for a layer kind that has no rule.
    """
    raise UnsupportedLayerError(
        f"{_NO_RULE} layer {type(layer).__name__}; register one with core.bounds.linear.pull.register."
    )


@pull.register(nn.Linear)
def _linear(layer: nn.Linear, a: Tensor, x: Interval, share: Tensor | None) -> tuple[Tensor, Tensor]:
    back = a @ layer.weight
    if layer.bias is None:
        return back, a.new_zeros(a.shape[:2])
    constant = a @ layer.bias
    return back, constant if a.ndim == 3 else constant.flatten(2).sum(2)


def _constant(a: Tensor, bias: Tensor | None) -> Tensor:
    """<a, bias>, a (R, N, channels, ...) -> (R, N)."""
    if bias is None:
        return a.new_zeros(a.shape[:2])
    return a.flatten(3).sum(3) @ bias


@pull.register(nn.Conv2d)
def _conv(layer: nn.Conv2d, a: Tensor, x: Interval, share: Tensor | None) -> tuple[Tensor, Tensor]:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise UnsupportedLayerError(
            f"{_NO_RULE} Conv2d with padding {layer.padding!r}, mode {layer.padding_mode!r}; "
            "use numbers and zeros."
        )
    size, sizes = a.shape[3:], x.lower.shape[2:]
    rest = [
        sizes[i]
        - ((size[i] - 1) * layer.stride[i] - 2 * layer.padding[i])
        - (layer.dilation[i] * (layer.kernel_size[i] - 1) + 1)
        for i in range(2)
    ]
    back = F.conv_transpose2d(
        a.flatten(0, 1), layer.weight, None, layer.stride, layer.padding, rest, layer.groups, layer.dilation
    )
    return back.unflatten(0, a.shape[:2]), _constant(a, layer.bias)


@pull.register(nn.ConvTranspose2d)
def _conv_transpose(
    layer: nn.ConvTranspose2d, a: Tensor, x: Interval, share: Tensor | None
) -> tuple[Tensor, Tensor]:
    padding = cast(tuple[int, ...], layer.padding)
    back = F.conv2d(
        a.flatten(0, 1), layer.weight, None, layer.stride, padding, layer.dilation, layer.groups
    )
    height, width = x.lower.shape[2:]
    return back[..., :height, :width].unflatten(0, a.shape[:2]), _constant(a, layer.bias)


@pull.register(nn.ReLU)
def _relu(layer: nn.ReLU, a: Tensor, x: Interval, share: Tensor | None) -> tuple[Tensor, Tensor]:
    above, intercept = relu_upper(x)
    below = relu_lower(x, relu_share(x) if share is None else share)
    negative = a.clamp(max=0)
    return torch.addcmul(a * below, negative, above - below), inner(negative, intercept)


@pull.register(nn.Flatten)
@pull.register(nn.Unflatten)
def _reshape(
    layer: nn.Flatten | nn.Unflatten, a: Tensor, x: Interval, share: Tensor | None
) -> tuple[Tensor, Tensor]:
    return a.reshape(*a.shape[:2], *x.lower.shape[1:]), a.new_zeros(a.shape[:2])


@ByKind
def pull_units(layer: nn.Module, units: Tensor, x: Interval, output: Interval) -> tuple[Tensor, Tensor]:
    """`pull` for the rows that pick each of U units of an affine layer's output: (U, 1, ...), (U, 1)."""
    return pull(layer, unit_rows(units, output), x, None)


@pull_units.register(nn.Linear)
def _linear_units(layer: nn.Linear, units: Tensor, x: Interval, output: Interval) -> tuple[Tensor, Tensor]:
    if output.lower.ndim > 2:
        return _linear(layer, unit_rows(units, output), x, None)
    rows = layer.weight[units]
    return rows[:, None], rows.new_zeros(len(units), 1) if layer.bias is None else layer.bias[units, None]


def unit_rows(units: Tensor, x: Interval) -> Tensor:
    """Rows that pick each unit of x (N, ...), (U, 1, ...)."""
    rows = torch.zeros(len(units), x.lower[0].numel(), dtype=x.lower.dtype, device=x.lower.device)
    rows[torch.arange(len(units), dtype=torch.int64, device=units.device), units] = 1
    return rows.view(len(units), 1, *x.lower.shape[1:])


def inner(a: Tensor, values: Tensor) -> Tensor:
    """<a, values>: a (R, N or 1, ...), values (N, ...) -> (R, N)."""
    rows = a if a.ndim == 3 else a.reshape(*a.shape[:2], -1)
    count = values.shape[0]
    if rows.shape[1] != count:
        rows = rows.expand(-1, count, -1)
    return torch.bmm(rows.transpose(0, 1), values.reshape(count, -1, 1)).squeeze(2).T


@ByKind
def roundoff(layer: nn.Module, x: Any, arithmetic: Arithmetic) -> Tensor | None:
    """How far rounding can move each output of a layer, (N, ...), None where it cannot.

    Two parts that are never mixed: the network's forward pass in `arithmetic`, inf where it may overflow,
    and the float64 arithmetic of `pull`, whose products are at most |A| |W| |v| in sum, in any order.
    A linear bound gives up <|A|, roundoff>. Raises UnsupportedLayerError for a layer kind without a rule:
    a layer whose rounding nobody knows is not one that does not round.
    """
    raise UnsupportedLayerError(
        f"Nothing says how far rounding moves layer {type(layer).__name__}; register it with "
        "core.bounds.linear.roundoff.register."
    )


@roundoff.register(nn.Linear)
@roundoff.register(nn.Conv2d)
@roundoff.register(nn.ConvTranspose2d)
def _affine_roundoff(
    layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, x: Interval, arithmetic: Arithmetic
) -> Tensor:
    known = affine(layer)
    assert known is not None
    g = arithmetic.gamma(known.terms + 2)
    size = known.sizes(x.magnitude, FLUSHED / g)
    # Backward, <A, W v> sums over the outputs that an input meets, <A, b> over all outputs.
    own = FLOAT64.gamma(max(known.outputs, size[0].numel()) + 2 * ELEMENTARY)
    margin = (g + own) * size + UNDERFLOW
    return arithmetic.unless_overflow(margin, per_row(known.largest_sum(x.magnitude), margin))


@roundoff.register(nn.ReLU)
def _relu_roundoff(layer: nn.ReLU, x: Interval, arithmetic: Arithmetic) -> Tensor:
    """ReLU itself is exact: slopes, intercepts and their sums are rounded."""
    return FLOAT64.gamma(x.lower[0].numel() + 2 * ELEMENTARY) * x.magnitude


@roundoff.register(nn.Flatten)
@roundoff.register(nn.Unflatten)
def _reshape_roundoff(layer: nn.Flatten | nn.Unflatten, x: Interval, arithmetic: Arithmetic) -> None:
    return None


def rows_roundoff(layer: nn.Module, rows: Tensor, x: Interval, arithmetic: Arithmetic) -> Tensor:
    """What rounding in a layer can take from rows (R, N or 1, ...) of its output, (R, N)."""
    moved = roundoff(layer, x, arithmetic) if arithmetic.rounds else None
    return rows.new_zeros(len(rows), len(x.lower)) if moved is None else inner(rows.abs(), moved)


def highest(slope: Tensor, x: Interval, arithmetic: Arithmetic) -> Tensor:
    """Maximum of <slope, v> over the box; both (..., d) -> (...)."""
    value = (slope.clamp(min=0) * x.upper + slope.clamp(max=0) * x.lower).sum(-1)
    if not arithmetic.rounds:
        return value
    return value + FLOAT64.gamma(2 * slope.shape[-1] + 4) * (slope.abs() * x.magnitude).sum(-1)
