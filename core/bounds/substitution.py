"""Linear bounds by substitution at unstable ReLUs alone: CROWN with what is linear multiplied out once.

At a ReLU that is stable over the box a backward pass of linear bounds (core.bounds.linear) does the same
for every row. So each value is written once as an affine function of the input y and of what the
unstable ReLUs add to their lower lines, d_j = relu(v_j) - s_j v_j with 0 <= d_j <= (u_j - s_j) v_j +
t_j, u_j v + t_j being the chord above. A row then meets those d_j alone, from the last layer to the
first: where its coefficient of one is negative, the line above takes its place, else 0. The bounds are
those of the backward pass; a row of a network with thousands of units meets a few hundred numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from core.bounds.interval import Interval
from core.bounds.relaxations import relu_lower, relu_share, relu_upper
from core.bounds.rounding import ELEMENTARY, FLOAT64

# Side of the patches of an image whose coordinates are kept together, and the largest share of all unstable
# units that may meet a patch for it to be worth a product of its own.
_PATCH, _SPARSE = 8, 0.75
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

    def take(self, index: Tensor | slice) -> Forms:
        """Some of the values."""
        return Forms([v[:, index] for v in self.slopes], self.constant[:, index], self.error[:, index])

    def finite(self) -> bool:
        """Whether all is a number: where something overflows, the rows of a backward pass may still be."""
        return all(bool(v.isfinite().all()) for v in (*self.slopes, self.constant, self.error))


@dataclass(frozen=True)
class _Bend:
    """The unstable units of one ReLU layer, (N, n).

    forms  of what goes in, with their size. rise: slope of the line above d in v; on_constant: its
    intercept and what the slope makes of the form's constant. magnitude: of what goes in.
    """

    forms: Forms
    rise: Tensor
    on_constant: Tensor
    size: Tensor
    magnitude: Tensor

    def lost(self, gamma: float) -> Tensor:
        """What a coefficient of -1 takes for rounding."""
        return self.rise.abs() * (self.forms.error + gamma * self.size) + gamma * self.magnitude


class Substitution:
    """Lower bounds on affine functions of y and d by functions of y alone, over N boxes of y.

    Rounding: let m bound |y| and |d|, so that |value| <= size = <|slopes|, m> + |constant| + error. Each
    coefficient of a row is one sum of products, of the row's own and of those that took the place of
    d's: all together they are off, measured on values, by gamma(terms) times the row's size and the
    sizes of what was put in. Lines at a ReLU are off by a few roundings of its input's magnitude.
    """

    def __init__(self, x: Interval, patches: Sequence[int] = ()) -> None:
        """x  bounds on y. patches: how many of its coordinates, one after the other, are near each
        other, as `patches_of` orders them: few units of convolutions meet them."""
        self._magnitudes = [x.magnitude.flatten(1)]
        self._patches = list(patches)
        self._bends: list[_Bend] = []
        self._heads: Forms | None = None
        self._stacks: dict[tuple[int, bool], Tensor] = {}
        self._meeting: dict[bool, list[tuple[Tensor, Tensor]]] = {}

    @property
    def magnitudes(self) -> list[Tensor]:
        """Bounds on |y|, then on |d| for each ReLU layer, (N, n)."""
        return self._magnitudes

    @property
    def substituted(self) -> int:
        """How many unstable units there are."""
        return sum(bend.rise.shape[1] for bend in self._bends)

    @property
    def products(self) -> int:
        """How many products the substitution in one row takes."""
        before, found = self._magnitudes[0].shape[1], 0
        for bend in self._bends:
            found += bend.rise.shape[1] * before
            before += bend.rise.shape[1]
        return found

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
        self._meeting.clear()

    def close(self, heads: Forms) -> None:
        """Set what `lower_of_heads` asks for: forms of linear functions of the last values."""
        self._heads, self._head_size = heads, self.size(heads)

    def _stack(self, block: int, heads: bool) -> Tensor:
        """The slopes in block `block` of the heads, where rows are functions of these, and of all units of
        later layers, last layer first, (N, units, columns)."""
        if (block, heads) not in self._stacks:
            later = [bend.forms.slopes[block] for bend in reversed(self._bends[block:])]
            if heads:
                assert self._heads is not None
                later.insert(0, self._heads.slopes[block])
            self._stacks[block, heads] = torch.cat(later, 1)
        return self._stacks[block, heads]

    def _product(self, start: Tensor | None, weights: Tensor, block: int, sign: int) -> Tensor:
        """sign * start + weights @ stack, (N, R, columns); patch by patch where few units meet each."""
        heads = start is None
        if block > 0 or len(self._patches) <= 1:
            stack = self._stack(block, heads)
            return weights @ stack if start is None else torch.baddbmm(start, weights, stack, beta=sign)
        if heads not in self._meeting:
            self._meeting[heads] = list(self._units_by_patch(self._stack(0, heads)))
        if all(len(units) == weights.shape[2] for units, _ in self._meeting[heads]):
            stack = self._stack(0, heads)
            return weights @ stack if start is None else torch.baddbmm(start, weights, stack, beta=sign)
        shape = *weights.shape[:2], sum(self._patches)
        found = weights.new_empty(shape) if start is None else sign * start
        at = 0
        for units, stack in self._meeting[heads]:
            for n in range(len(found)):
                part = weights[n] if len(units) == weights.shape[2] else weights[n].index_select(1, units)
                torch.addmm(
                    found[n, :, at : at + stack.shape[2]],
                    part,
                    stack[n],
                    beta=int(start is not None),
                    out=found[n, :, at : at + stack.shape[2]],
                )
            at += stack.shape[2]
        return found

    def _units_by_patch(self, stack: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The units that meet each patch, and their slopes in it: all of them where these are most."""
        for part in stack.split(self._patches, 2):
            units = (part != 0).any(2).any(0).nonzero()[:, 0]
            if len(units) > _SPARSE * stack.shape[1]:
                units = torch.arange(stack.shape[1], dtype=torch.int64, device=stack.device)
            yield units, part[:, units].contiguous()

    def lower(self, forms: Forms, size: Tensor, sign: int, rounds: bool) -> tuple[Tensor, Tensor, Tensor]:
        """sign * value >= <slope, y> + constant - lost: (N, R, inputs), (N, R) twice. size: of the
        forms."""
        count, rows = forms.constant.shape
        weights = forms.constant.new_empty(count, rows, self.substituted)
        start = sign * forms.constant, forms.error, size
        return self._lower(forms.slopes, weights, 0, start, sign, rounds)

    def lower_of_heads(self, rows: Tensor, rounds: bool) -> tuple[Tensor, Tensor, Tensor]:
        """The same for <rows, heads>, rows (N, R, heads)."""
        heads, size, count = self._heads, self._head_size, rows.shape[2]
        assert heads is not None
        weights = rows.new_empty(*rows.shape[:2], count + self.substituted)
        weights[..., :count] = rows
        measures = torch.stack([heads.error, size], 2)
        error, size = (rows.abs() @ measures).unbind(2)
        start = (rows @ heads.constant[..., None])[..., 0], error, size
        return self._lower(None, weights, count, start, 1, rounds)

    def _lower(
        self,
        start: Sequence[Tensor] | None,
        weights: Tensor,
        done: int,
        known: tuple[Tensor, Tensor, Tensor],
        sign: int,
        rounds: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Substitute, layer by layer.

        start    slopes of the rows; None where they are functions of the heads.
        weights  (N, R, so many): what stands before each of a stack, the first `done` filled.
        known    constants, errors and sizes of the rows, (N, R).
        """
        constant, lost, size = known
        slope = weights
        gamma = FLOAT64.gamma(4 * (weights.shape[2] + 2 * ELEMENTARY)) if rounds else 0.0
        for block in range(len(self._bends), -1, -1):
            mine = None if start is None else start[block]
            if done > 0 or mine is None:
                slope = self._product(mine, weights[..., :done], block, sign)
            else:
                slope = sign * mine
            if block == 0:
                break
            bend = self._bends[block - 1]
            units = bend.rise.shape[1]
            if units == 0:
                continue
            negative = slope.clamp_(max=0)
            torch.mul(negative, bend.rise[:, None], out=weights[..., done : done + units])
            done += units
            if rounds:
                adds = negative @ torch.stack([bend.on_constant, bend.lost(gamma)], 2)
                constant, lost = constant + adds[..., 0], lost - adds[..., 1]
            else:
                constant = constant + (negative @ bend.on_constant[..., None])[..., 0]
        if rounds:
            lost = (lost + gamma * (size + constant.abs())) * ROOM
        return slope, constant, lost


def patches_of(shape: Sequence[int], device: torch.device) -> tuple[Tensor, list[int]]:
    """An order of the coordinates of images (C, H, W), or of what has another shape, in which those of one
    patch come one after the other, and how many each patch has."""
    order = torch.arange(prod(shape), dtype=torch.int64, device=device)
    if len(shape) != 3 or max(shape[1:]) <= 2 * _PATCH:
        return order, [len(order)]
    bands = order.view(*shape).split(_PATCH, 1)
    patches = [patch.flatten() for band in bands for patch in band.split(_PATCH, 2)]
    return torch.cat(patches), [len(patch) for patch in patches]
