"""The units in which the explorer shows ELBOs. Everything is kept, proved and written to files in nats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.evaluation.curve import Curve
from dashboard.shared.text import bare, safe, signed

_NEAR = 9
"""Decimals of a level that is as near as it gets."""


@dataclass(frozen=True)
class Unit:
    """nats  how many make one. short: behind a number. axis: of a chart. digits: decimals of a value."""

    nats: float
    short: str
    axis: str
    digits: int

    def shown(self, value: float, digits: int) -> str:
        """A number of nats in this unit, to the nearest."""
        return f"{bare(value / self.nats, digits)} {self.short}"

    def change(self, value: float) -> str:
        """The same with its sign, without the unit."""
        return signed(value / self.nats, self.digits)

    def proved(self, bound: float, digits: int, side: str) -> str:
        """A bound in nats, rounded to the safe side."""
        return f"{bare(self._safe(bound, digits, side), digits)} {self.short}"

    def _safe(self, bound: float, digits: int, side: str) -> float:
        shown, step = safe(bound / self.nats, digits, side), 10.0**-digits
        # The quotient is rounded: what is printed may be beyond the bound.
        if side == "lower":
            return shown if shown * self.nats <= bound else shown - step
        return shown if shown * self.nats >= bound else shown + step

    def level(self, threshold: float, curves: Sequence[Curve]) -> str:
        """A threshold with so many decimals that what curves prove and break of it holds of what is
        printed."""
        if self.nats == 1:
            return f"{threshold:.12g} nats"
        side = curves[0].side
        for digits in range(self.digits, _NEAR):
            said = self._safe(threshold, digits, side)
            if all(_judged(c, said * self.nats) == _judged(c, threshold) for c in curves):
                return f"{bare(said, digits)} {self.short}"
        return f"{bare(threshold / self.nats, _NEAR)} {self.short}"


def _judged(curve: Curve, threshold: float) -> tuple[float | None, float | None]:
    verdict = curve.verdict(threshold)
    return verdict.certified, verdict.broken


NATS = Unit(1, "nats", "ELBO (nats)", 0)


def unit(name: str, shape: Sequence[int]) -> Unit:
    """The unit by its name in the address, for images of a shape (C, H, W)."""
    if name == "nats":
        return NATS
    return Unit(math.prod(shape) * math.log(2), "bpd", "ELBO (bits per dimension, bpd)", 3)
