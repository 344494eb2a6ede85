"""Elementwise functions, each with what a bound has to know of it: where it bends, and how steep it is.

A function is cut at its knots into pieces that are convex, concave or linear. On any interval the extreme
of "function minus slope times argument" is then at an end, at a knot, or where a bent piece has that slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import UnsupportedLayerError

CONVEX, CONCAVE, LINEAR = 1, -1, 0


@dataclass(frozen=True)
class Run:
    """A stretch of a function between two places on which it is convex, concave or linear; `corners`: it is
    so over knots, where its slope may jump."""

    low: float
    high: float
    bend: int
    corners: bool


@dataclass(frozen=True)
class Function:
    """An elementwise function f.

    value     f as the network computes it.
    slope     its derivative on the bent pieces, continued to their ends; what it is elsewhere is not used.
    knots     ascending; bends, one more, says of each piece between them CONVEX, CONCAVE or LINEAR.
    steepest  |slopes| of f between two values are at most this; None where the slope is monotone on each
              domain, and largest at one of the two.
    monotone  1 where f falls nowhere, -1 where it rises nowhere, on each domain; else 0.
    domains   intervals in which f is defined and finite; elsewhere nothing is known.
    apart     how far the network's f may be from the function that is bent like that, beside rounding.
    corners   of each knot CONVEX or CONCAVE where the slope rises or falls there, or is the same: pieces
              that bend the same way are then one run. None: no pieces are. Bounds are sound with any.
    lowest_at falls before it and rises after it, if it does so anywhere: f is lowest there.
    level     of a function that is convex below 0 and concave above, its slope the same for v and -v: for a
              slope about the v >= 0 that has it. Bounds are sound with any.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    knots: tuple[float, ...]
    bends: tuple[int, ...]
    steepest: float | Tensor | None
    monotone: int = 0
    domains: tuple[tuple[float, float], ...] = ((-math.inf, math.inf),)
    apart: float = 0.0
    corners: tuple[int, ...] | None = None
    lowest_at: float | None = None
    level: Callable[[Tensor], Tensor] | None = None

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The longest stretches that are convex, concave or linear. They may overlap in a linear piece."""
        edges, found = (-math.inf, *self.knots, math.inf), list[Run]()
        for first, own in enumerate(self.bends):
            last, bend = first, own
            while self.corners is not None and last < len(self.knots):
                more = {bend, self.corners[last], self.bends[last + 1]} - {LINEAR}
                if len(more) > 1:
                    break
                last, bend = last + 1, *more
            if not any(run.high == edges[last + 1] for run in found):
                found.append(Run(edges[first], edges[last + 1], bend, last > first))
        return tuple(found)


def _none(v: Tensor) -> Tensor:
    return torch.zeros_like(v)


def _positive(name: str, option: str, value: float) -> None:
    """Raises UnsupportedLayerError for an option that would bend the function another way."""
    if not value > 0:
        raise UnsupportedLayerError(f"{name} has a rule for {option} > 0, not for {value}.")


def piecewise_linear(
    value: Callable[[Tensor], Tensor],
    corners: dict[float, int],
    *,
    steepest: float | Tensor = 1.0,
    monotone: int = 0,
    lowest_at: float | None = None,
) -> Function:
    """A function that is linear between knots; corners: by knot, whether its slope rises there."""
    bends, bent = (LINEAR,) * (len(corners) + 1), tuple(corners.values())
    return Function(
        value, _none, tuple(corners), bends, steepest, monotone, corners=bent, lowest_at=lowest_at
    )


def relu6() -> Function:
    return piecewise_linear(F.relu6, {0.0: CONVEX, 6.0: CONCAVE}, monotone=1)


def absolute() -> Function:
    return piecewise_linear(torch.abs, {0.0: CONVEX}, lowest_at=0.0)


def leaky_relu(negative_slope: float = 0.01) -> Function:
    steepest = max(1.0, abs(negative_slope))
    corner = {0.0: CONVEX if negative_slope <= 1 else CONCAVE}
    return piecewise_linear(
        lambda v: F.leaky_relu(v, negative_slope),
        corner,
        steepest=steepest,
        monotone=int(negative_slope >= 0),
    )


def prelu(weight: Tensor) -> Function:
    """weight: one slope for negative values, or one for each place of a row, to broadcast."""

    def value(v: Tensor) -> Tensor:
        return torch.where(v > 0, v, weight.to(v) * v)

    bends, steepest = (LINEAR, LINEAR), weight.abs().clamp(min=1)
    corner = CONVEX if bool((weight <= 1).all()) else CONCAVE if bool((weight >= 1).all()) else None
    return Function(value, _none, (0.0,), bends, steepest, corners=None if corner is None else (corner,))


def clamp(low: float = -math.inf, high: float = math.inf) -> Function:
    ends = ((low, CONVEX), (high, CONCAVE)) if low <= high else ()  # torch gives `high` then
    corners = {end: bend for end, bend in ends if math.isfinite(end)}
    return piecewise_linear(lambda v: v.clamp(low, high), corners, monotone=1)


def hardsigmoid() -> Function:
    return piecewise_linear(F.hardsigmoid, {-3.0: CONVEX, 3.0: CONCAVE}, monotone=1)


def hardswish() -> Function:
    bends = (LINEAR, CONVEX, LINEAR)
    return Function(F.hardswish, lambda v: (2 * v + 3) / 6, (-3.0, 3.0), bends, 1.5, lowest_at=-1.5)


def sigmoid() -> Function:
    def slope(v: Tensor) -> Tensor:
        return torch.sigmoid(v) * torch.sigmoid(-v)

    return Function(torch.sigmoid, slope, (0.0,), (CONVEX, CONCAVE), 0.25, monotone=1, level=_sigmoid_level)


def _sigmoid_level(slope: Tensor) -> Tensor:
    """v >= 0 with p (1 - p) = slope for p = sigmoid(-v)."""
    p = 2 * slope / (1 + (1 - 4 * slope).clamp(min=0).sqrt())
    return (torch.log1p(-p) - p.log()).nan_to_num(0, math.inf, 0)


def tanh() -> Function:
    def level(slope: Tensor) -> Tensor:
        return _sigmoid_level(slope / 4) / 2

    bends = (CONVEX, CONCAVE)
    return Function(torch.tanh, lambda v: 1 / v.cosh() ** 2, (0.0,), bends, 1.0, monotone=1, level=level)


def softsign() -> Function:
    def slope(v: Tensor) -> Tensor:
        return 1 / (1 + v.abs()) ** 2

    def level(slope: Tensor) -> Tensor:
        return (slope.rsqrt() - 1).nan_to_num(0, math.inf, 0)

    return Function(F.softsign, slope, (0.0,), (CONVEX, CONCAVE), 1.0, monotone=1, level=level)


def softplus(beta: float = 1.0, threshold: float = 20.0) -> Function:
    """torch gives v itself where beta v > threshold: up to exp(-threshold) / beta too low."""
    _positive("softplus", "beta", beta)

    def value(v: Tensor) -> Tensor:
        return F.softplus(v, beta, threshold)

    apart = math.exp(min(-threshold, 700.0)) / beta
    return Function(value, lambda v: torch.sigmoid(beta * v), (), (CONVEX,), 1.0, monotone=1, apart=apart)


def log_sigmoid() -> Function:
    return Function(F.logsigmoid, lambda v: torch.sigmoid(-v), (), (CONCAVE,), 1.0, monotone=1)


def _exponential_below(
    value: Callable[[Tensor], Tensor], at_zero: float, rate: float, above: float
) -> Function:
    """at_zero rate (exp(v / rate) - 1) below 0, above v from there on."""

    def slope(v: Tensor) -> Tensor:
        return at_zero * (v / rate).clamp(max=0).exp()

    steepest = max(abs(at_zero), above)
    bend = CONVEX if at_zero >= 0 else CONCAVE
    corners = (CONVEX if at_zero <= above else CONCAVE,)
    return Function(value, slope, (0.0,), (bend, LINEAR), steepest, int(at_zero >= 0), corners=corners)


def elu(alpha: float = 1.0) -> Function:
    return _exponential_below(lambda v: F.elu(v, alpha), alpha, 1.0, 1.0)


def celu(alpha: float = 1.0) -> Function:
    _positive("celu", "alpha", alpha)
    return _exponential_below(lambda v: F.celu(v, alpha), 1.0, alpha, 1.0)


def selu() -> Function:
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return _exponential_below(F.selu, scale * alpha, 1.0, scale)


def silu() -> Function:
    return _silu(F.silu)


def swish() -> Function:
    """v sigmoid(v) as two operations: silu, but for its last bits."""
    return _silu(lambda v: v * torch.sigmoid(v))


def _silu(value: Callable[[Tensor], Tensor]) -> Function:
    def slope(v: Tensor) -> Tensor:
        p = torch.sigmoid(v)
        return p * (1 + v * torch.sigmoid(-v))

    at = 2.39935728052051546783  # where the second derivative is 0
    lowest = -1.27846454276107379510
    return Function(value, slope, (-at, at), (CONCAVE, CONVEX, CONCAVE), 1.1, lowest_at=lowest)


def gelu(approximate: str = "none") -> Function:
    """v Phi(v), or its approximation by tanh."""
    if approximate == "none":

        def slope(v: Tensor) -> Tensor:
            return torch.special.ndtr(v) + v * torch.exp(-v * v / 2) / math.sqrt(2 * math.pi)

        at, lowest = math.sqrt(2), -0.75179152469356445746
    else:

        def slope(v: Tensor) -> Tensor:
            inner = math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)
            turn = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * v**2)
            return (1 + inner.tanh()) / 2 + v * turn / (2 * inner.clamp(-300, 300).cosh() ** 2)

        at, lowest = 1.41850400879082835553, -0.75246142207101625849

    def value(v: Tensor) -> Tensor:
        return F.gelu(v, approximate=approximate)

    bends = (CONCAVE, CONVEX, CONCAVE)
    return Function(value, slope, (-at, at), bends, 1.13, lowest_at=lowest)


def mish() -> Function:
    def slope(v: Tensor) -> Tensor:
        inner = F.softplus(v).tanh()
        return inner + v * torch.sigmoid(v) * (1 - inner**2)

    knots = (-2.25637639636079312, 1.49057117945428546)  # where the second derivative is 0
    lowest = -1.19243121451549521214
    return Function(F.mish, slope, knots, (CONCAVE, CONVEX, CONCAVE), 1.1, lowest_at=lowest)


def exp() -> Function:
    return Function(torch.exp, torch.exp, (), (CONVEX,), None, monotone=1)


def log() -> Function:
    return Function(
        torch.log, torch.reciprocal, (), (CONCAVE,), None, monotone=1, domains=((0.0, math.inf),)
    )


def sqrt() -> Function:
    return Function(
        torch.sqrt, lambda v: 0.5 * v.rsqrt(), (), (CONCAVE,), None, 1, domains=((0.0, math.inf),)
    )


def rsqrt() -> Function:
    return Function(
        torch.rsqrt, lambda v: -0.5 * v.rsqrt() / v, (), (CONVEX,), None, -1, domains=((0.0, math.inf),)
    )


def reciprocal() -> Function:
    domains = ((-math.inf, 0.0), (0.0, math.inf))
    return Function(
        torch.reciprocal,
        lambda v: -v.square().reciprocal(),
        (0.0,),
        (CONCAVE, CONVEX),
        None,
        -1,
        domains=domains,
    )


def square() -> Function:
    return Function(torch.square, lambda v: 2 * v, (), (CONVEX,), None, lowest_at=0.0)


def logit() -> Function:
    def slope(v: Tensor) -> Tensor:
        return 1 / (v * (1 - v))

    domains = ((0.0, 1.0),)
    return Function(torch.logit, slope, (0.5,), (CONCAVE, CONVEX), None, monotone=1, domains=domains)


FUNCTIONS: dict[str, Callable[..., Function]] = {
    function.__name__: function
    for function in (
        *(relu6, absolute, leaky_relu, prelu, clamp, hardsigmoid, hardswish),
        *(sigmoid, tanh, softsign, softplus, log_sigmoid, elu, celu, selu, silu, swish, gelu, mish),
        *(exp, log, sqrt, rsqrt, reciprocal, square, logit),
    )
}
"""By name, as graphs are written to files; called with the function's own options."""
