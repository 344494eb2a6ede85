"""Elementwise functions, each with what a bound has to know of it: where it bends, and how steep it is.

A function is cut at its knots into pieces that are convex, concave or linear. On any interval the extreme
of "function minus slope times argument" is then at an end, at a knot, or where a bent piece has that slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import UnsupportedLayerError

CONVEX, CONCAVE, LINEAR = 1, -1, 0


@dataclass(frozen=True)
class Function:
    """An elementwise function f.

    value     f as the network computes it.
    slope     its derivative on the bent pieces, continued to their ends; what it is elsewhere is not used.
    knots     ascending; bends, one more, says of each piece between them CONVEX, CONCAVE or LINEAR.
    steepest  |slopes| of f between two values are at most this; None where the slope is monotone on each
              domain, and largest at one of the two.
    rising    whether f is non-decreasing.
    domains   intervals in which f is defined and finite; elsewhere nothing is known.
    apart     how far the network's f may be from the function that is bent like that, beside rounding.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    knots: tuple[float, ...]
    bends: tuple[int, ...]
    steepest: float | Tensor | None
    rising: bool = False
    domains: tuple[tuple[float, float], ...] = ((-math.inf, math.inf),)
    apart: float = 0.0


def _none(v: Tensor) -> Tensor:
    return torch.zeros_like(v)


def _positive(name: str, option: str, value: float) -> None:
    """Raises UnsupportedLayerError for an option that would bend the function another way."""
    if not value > 0:
        raise UnsupportedLayerError(f"{name} has a rule for {option} > 0, not for {value}.")


def piecewise_linear(
    value: Callable[[Tensor], Tensor], *knots: float, steepest: float | Tensor = 1.0, rising: bool = False
) -> Function:
    """A function that is linear between knots."""
    return Function(value, _none, knots, (LINEAR,) * (len(knots) + 1), steepest, rising)


def relu6() -> Function:
    return piecewise_linear(F.relu6, 0.0, 6.0, rising=True)


def absolute() -> Function:
    return piecewise_linear(torch.abs, 0.0)


def leaky_relu(negative_slope: float = 0.01) -> Function:
    steepest = max(1.0, abs(negative_slope))
    return piecewise_linear(
        lambda v: F.leaky_relu(v, negative_slope), 0.0, steepest=steepest, rising=negative_slope >= 0
    )


def prelu(weight: Tensor) -> Function:
    """weight: one slope for negative values, or one for each place of a row, to broadcast."""

    def value(v: Tensor) -> Tensor:
        return torch.where(v > 0, v, weight.to(v) * v)

    return piecewise_linear(value, 0.0, steepest=weight.abs().clamp(min=1))


def clamp(low: float = -math.inf, high: float = math.inf) -> Function:
    knots = [end for end in (low, high) if math.isfinite(end)]
    return piecewise_linear(lambda v: v.clamp(low, high), *knots, rising=True)


def hardsigmoid() -> Function:
    return piecewise_linear(F.hardsigmoid, -3.0, 3.0, rising=True)


def hardswish() -> Function:
    bends = (LINEAR, CONVEX, LINEAR)
    return Function(F.hardswish, lambda v: (2 * v + 3) / 6, (-3.0, 3.0), bends, 1.5)


def sigmoid() -> Function:
    def slope(v: Tensor) -> Tensor:
        return torch.sigmoid(v) * torch.sigmoid(-v)

    return Function(torch.sigmoid, slope, (0.0,), (CONVEX, CONCAVE), 0.25, rising=True)


def tanh() -> Function:
    return Function(torch.tanh, lambda v: 1 / v.cosh() ** 2, (0.0,), (CONVEX, CONCAVE), 1.0, rising=True)


def softsign() -> Function:
    def slope(v: Tensor) -> Tensor:
        return 1 / (1 + v.abs()) ** 2

    return Function(F.softsign, slope, (0.0,), (CONVEX, CONCAVE), 1.0, rising=True)


def softplus(beta: float = 1.0, threshold: float = 20.0) -> Function:
    """torch gives v itself where beta v > threshold: up to exp(-threshold) / beta too low."""
    _positive("softplus", "beta", beta)

    def value(v: Tensor) -> Tensor:
        return F.softplus(v, beta, threshold)

    apart = math.exp(min(-threshold, 700.0)) / beta
    return Function(value, lambda v: torch.sigmoid(beta * v), (), (CONVEX,), 1.0, rising=True, apart=apart)


def log_sigmoid() -> Function:
    return Function(F.logsigmoid, lambda v: torch.sigmoid(-v), (), (CONCAVE,), 1.0, rising=True)


def _exponential_below(
    value: Callable[[Tensor], Tensor], at_zero: float, rate: float, above: float
) -> Function:
    """at_zero rate (exp(v / rate) - 1) below 0, above v from there on."""

    def slope(v: Tensor) -> Tensor:
        return at_zero * (v / rate).clamp(max=0).exp()

    steepest = max(abs(at_zero), above)
    bend = CONVEX if at_zero >= 0 else CONCAVE
    return Function(value, slope, (0.0,), (bend, LINEAR), steepest, rising=at_zero >= 0)


def elu(alpha: float = 1.0) -> Function:
    return _exponential_below(lambda v: F.elu(v, alpha), alpha, 1.0, 1.0)


def celu(alpha: float = 1.0) -> Function:
    _positive("celu", "alpha", alpha)
    return _exponential_below(lambda v: F.celu(v, alpha), 1.0, alpha, 1.0)


def selu() -> Function:
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return _exponential_below(F.selu, scale * alpha, 1.0, scale)


def silu() -> Function:
    def slope(v: Tensor) -> Tensor:
        p = torch.sigmoid(v)
        return p * (1 + v * torch.sigmoid(-v))

    at = 2.39935728052051546783  # where the second derivative is 0
    return Function(F.silu, slope, (-at, at), (CONCAVE, CONVEX, CONCAVE), 1.1)


def gelu(approximate: str = "none") -> Function:
    """v Phi(v), or its approximation by tanh."""
    if approximate == "none":

        def slope(v: Tensor) -> Tensor:
            return torch.special.ndtr(v) + v * torch.exp(-v * v / 2) / math.sqrt(2 * math.pi)

        at = math.sqrt(2)
    else:

        def slope(v: Tensor) -> Tensor:
            inner = math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)
            turn = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * v**2)
            return (1 + inner.tanh()) / 2 + v * turn / (2 * inner.clamp(-300, 300).cosh() ** 2)

        at = 1.41850400879082835553
    bends = (CONCAVE, CONVEX, CONCAVE)
    return Function(lambda v: F.gelu(v, approximate=approximate), slope, (-at, at), bends, 1.13)


def mish() -> Function:
    def slope(v: Tensor) -> Tensor:
        inner = F.softplus(v).tanh()
        return inner + v * torch.sigmoid(v) * (1 - inner**2)

    knots = (-2.25637639636079312, 1.49057117945428546)  # where the second derivative is 0
    return Function(F.mish, slope, knots, (CONCAVE, CONVEX, CONCAVE), 1.1)


def exp() -> Function:
    return Function(torch.exp, torch.exp, (), (CONVEX,), None, rising=True)


def log() -> Function:
    return Function(
        torch.log, torch.reciprocal, (), (CONCAVE,), None, rising=True, domains=((0.0, math.inf),)
    )


def sqrt() -> Function:
    return Function(
        torch.sqrt, lambda v: 0.5 * v.rsqrt(), (), (CONCAVE,), None, True, domains=((0.0, math.inf),)
    )


def rsqrt() -> Function:
    return Function(
        torch.rsqrt, lambda v: -0.5 * v.rsqrt() / v, (), (CONVEX,), None, domains=((0.0, math.inf),)
    )


def reciprocal() -> Function:
    domains = ((-math.inf, 0.0), (0.0, math.inf))
    return Function(torch.reciprocal, lambda v: -1 / v**2, (0.0,), (CONCAVE, CONVEX), None, domains=domains)


def square() -> Function:
    return Function(torch.square, lambda v: 2 * v, (), (CONVEX,), None)


def logit() -> Function:
    def slope(v: Tensor) -> Tensor:
        return 1 / (v * (1 - v))

    domains = ((0.0, 1.0),)
    return Function(torch.logit, slope, (0.5,), (CONCAVE, CONVEX), None, rising=True, domains=domains)


FUNCTIONS: dict[str, Callable[..., Function]] = {
    function.__name__: function
    for function in (
        *(relu6, absolute, leaky_relu, prelu, clamp, hardsigmoid, hardswish),
        *(sigmoid, tanh, softsign, softplus, log_sigmoid, elu, celu, selu, silu, gelu, mish),
        *(exp, log, sqrt, rsqrt, reciprocal, square, logit),
    )
}
"""By name, as graphs are written to files; called with the function's own options."""
