"""Linear bounds by substitution at unstable ReLUs alone: CROWN with what is linear multiplied out once.

At a ReLU that is stable over the box a backward pass of linear bounds (core.bounds.linear) does the same for
every row. So each value is written once as an affine function of the input y and of what the unstable ReLUs
add to their lower lines, d_j = relu(v_j) - s_j v_j with 0 <= d_j <= (u_j - s_j) v_j + t_j, u_j v + t_j being
the chord above. A row then meets those d_j alone, from the last layer to the first: where its coefficient of
one is negative, the line above takes its place, else 0. The bounds are those of the backward pass; a row of a
network with thousands of units meets a few hundred numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.relaxations import relu_lower, relu_share, relu_upper
from core.bounds.rounding import ELEMENTARY, FLOAT64

# Sums of numbers that are not negative are rounded by less than this, relatively.
ROOM = 1 + 1e-6


@dataclass(frozen=True)
class Forms:
    """R values as affine functions of y and d, for N boxes: <slopes, (y, d)> + constant, off by `error`.

    slopes  (N, R, inputs), then (N, R, units) for each ReLU layer before them, in order.
    constant, error  (N, R); the error holds all rounding, of the network's forward pass and of the slopes.
    """

    slopes: Sequence[Tensor]
    constant: Tensor
    error: Tensor

    def take(self, index: Tensor) -> Forms:
        """Some of the values."""
        return Forms([v[:, index] for v in self.slopes], self.constant[:, index], self.error[:, index])

    def finite(self) -> bool:
        """Whether all is a number: where something overflows, the rows of a backward pass may still be."""
        return all(bool(v.isfinite().all()) for v in (*self.slopes, self.constant, self.error))


@dataclass(frozen=True)
class _Bend:
    """The unstable units of one ReLU layer, (N, n).

    forms  of what goes in. rise: slope of the line above d in v. on_constant, on_lost: what a coefficient
    below 0 adds to a row's constant, and takes from it for rounding.
    """

    forms: Forms
    rise: Tensor
    on_constant: Tensor
    size: Tensor
    magnitude: Tensor

    def lost(self, gamma: float) -> Tensor:
        return self.rise.abs() * (self.forms.error + gamma * self.size) + gamma * self.magnitude


class Substitution:
    """Lower bounds on affine functions of y and d by functions of y alone, over N boxes of y.

    Rounding: let m bound |y| and |d|, so that |value| <= size = <|slopes|, m> + |constant| + error. Each
    coefficient of a row is one sum of products, of the row's own and of those that took the place of d's: all
    together they are off, measured on values, by gamma(terms) times the row's size and the sizes of what was
    put in. Lines at a ReLU are off by a few roundings of its input's magnitude.
    """

    def __init__(self, x: Interval) -> None:
        self._magnitudes = [x.magnitude.flatten(1)]
        self._bends: list[_Bend] = []
        self._stacks: dict[int, Tensor] = {}

    @property
    def magnitudes(self) -> list[Tensor]:
        """Bounds on |y|, then on |d| for each ReLU layer, (N, n)."""
        return self._magnitudes

    @property
    def substituted(self) -> int:
        """How many unstable units there are."""
        return sum(bend.rise.shape[1] for bend in self._bends)

    def size(self, forms: Forms) -> Tensor:
        """No value of these forms, nor a partial sum of one, is larger in size, (N, R)."""
        found = forms.constant.abs() + forms.error
        for slopes, magnitude in zip(forms.slopes, self._magnitudes, strict=True):
            found = found + (slopes.abs() @ magnitude[..., None])[..., 0]
        return found

    def bend(self, forms: Forms, x: Interval) -> None:
        """Add the unstable units of the next ReLU layer: forms of their inputs, and bounds on these."""
        above, intercept = relu_upper(x)
        rise = above - relu_lower(x, relu_share(x))
        on_constant = intercept + rise * forms.constant
        self._bends.append(_Bend(forms, rise, on_constant, self.size(forms), x.magnitude))
        self._magnitudes.append(x.magnitude)
        self._stacks.clear()

    def _stack(self, block: int) -> Tensor:
        """The slopes in block `block` of all units of later layers, last layer first, (N, units, columns)."""
        if block not in self._stacks:
            later = [bend.forms.slopes[block] for bend in reversed(self._bends[block:])]
            self._stacks[block] = torch.cat(later, 1) if len(later) != 1 else later[0]
        return self._stacks[block]

    def lower(
        self, forms: Forms, size: Tensor, sign: int, terms: int, rounds: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """sign * value >= <slope, y> + constant - lost: (N, R, inputs), (N, R), (N, R).

        size, terms  of the forms: see `size`; of how many products a slope of theirs is a sum, if they were
        not taken as they are.
        """
        start = forms.slopes
        constant, lost = sign * forms.constant, forms.error
        gamma = FLOAT64.gamma(4 * (self.substituted + terms + 2 * ELEMENTARY)) if rounds else 0.0
        weights, done = start[0].new_empty(*start[0].shape[:2], self.substituted), 0
        for block in range(len(self._bends), -1, -1):
            slope = start[block]
            if done > 0:
                slope = torch.baddbmm(slope, weights[..., :done], self._stack(block), beta=sign)
            elif sign < 0:
                slope = -slope
            if block == 0:
                break
            bend = self._bends[block - 1]
            units = bend.rise.shape[1]
            if units == 0:
                continue
            negative = slope.clamp_(max=0) if slope is not start[block] else slope.clamp(max=0)
            torch.mul(negative, bend.rise[:, None], out=weights[..., done : done + units])
            done += units
            constant = constant + (negative @ bend.on_constant[..., None])[..., 0]
            if rounds:
                lost = lost - (negative @ bend.lost(gamma)[..., None])[..., 0]
        if rounds:
            lost = (lost + gamma * (size + constant.abs())) * ROOM
        return slope, constant, lost
