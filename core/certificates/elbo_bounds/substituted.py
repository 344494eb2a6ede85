"""CROWN bounds on the layers of an encoder and a decoder by substitution at unstable ReLUs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from core.bounds.ball import Ball
from core.bounds.forward_forms import ForwardForms
from core.bounds.intersect import cut_units, open_units
from core.bounds.interval import Interval, affine
from core.bounds.linear import highest
from core.bounds.rounding import FLOAT64, Arithmetic
from core.bounds.rule_table import is_relu, is_reshape, is_scale
from core.bounds.substitution import Forms, Substitution, patches_of
from core.certificates.elbo_bounds.layer_bounds import Half
from core.network.graph import Network

if TYPE_CHECKING:
    from core.certificates.elbo_bounds.relaxation import LinearBounds

# Values of one stack of rows: those that go through layers, and those that only meet matrices.
_THROUGH, _VALUES = 500_000, 500_000

# How many times the products of a backward pass substitution may take, in matrices instead of convolutions.
_DEARER = 8
# Values that all forms together may hold, 1.2 GB; what is made of them takes about as much again. Backward
# passes hold rows of a few units at a time.
_MOST = 150_000_000


def can_substitute(network: Network, x: Interval, arithmetic: Arithmetic) -> bool:
    """Whether forms have a rule for a network: a chain of affine layers, scales and ReLUs, in float64.

    What float32 rounding can do is many times larger, and a backward pass, which sees each row at each
    layer, gives up less for it.
    """
    if not isinstance(network, nn.Sequential) or x.lower.dtype != torch.float64:
        return False
    behind_affine = False
    for layer in network:
        if affine(layer) is not None:
            behind_affine = True
        elif is_relu(layer) and behind_affine:
            behind_affine = False
        elif not (is_reshape(layer) or is_scale(layer)):
            return False
    return behind_affine and arithmetic.unit <= FLOAT64.unit


def products(network: Network, known: Sequence[Interval]) -> int:
    """How many products a row of a backward pass from the last of the known values takes."""
    maps = (affine(layer) for layer in [*network][: len(known) - 1])
    sizes = (x.lower[0].numel() for x in known[1:])
    return sum(known.terms * size for known, size in zip(maps, sizes, strict=True) if known is not None)


def held(network: Network, known: Sequence[Interval], units: int) -> int:
    """How many values the forms of the open units of all ReLUs before the last of the known values hold,
    and those of so many units of it."""
    before, found = known[0].lower[0].numel(), 0
    for layer, x in zip(network, known[:-1], strict=False):
        if is_relu(layer):
            opened = len(open_units(x, True))
            found, before = found + opened * before, before + opened
    return len(known[0].lower) * (found + units * before)


class EncoderForms:
    """Forms of the encoder's units in the image, and bounds on them over the balls.

    known  bounds on the first values of the encoder, which may still grow: those of values that were passed
           do not change any more. arithmetic: what the forms cover.
    """

    def __init__(self, linear: LinearBounds, known: list[Interval]) -> None:
        self.known, self.arithmetic = known, linear.relaxation.arithmetic
        self._linear, self._rounds = linear, self.arithmetic.rounds
        ball, x = linear.relaxation.ball, known[0]
        self._order, patches = patches_of(x.lower.shape[1:], x.lower.device)
        self._ball = Ball(ball.center.flatten(1)[:, self._order], ball.eps, ball.norm)
        self._substitution = Substitution(x.map(lambda v: v.flatten(1)[:, self._order]), patches)
        self._bent = 0
        self._found = dict[int, tuple[Tensor, Forms]]()
        self._closed = False

    def cut_last(self, half: Half) -> Interval | None:
        """Cut the last of the known values; None where forms overflow, or are too large."""
        x = self.known[-1]
        units = half.open_units(len(self.known) - 1, x)
        if len(units) == 0:
            return x
        if held(half.network, self.known, len(units)) > _MOST:
            return None
        forms = self._forms(len(self.known) - 1, units)
        if not forms.finite() or self._substitution.products > _DEARER * products(half.network, self.known):
            return None
        size = self._substitution.size(forms)
        parts = [
            [
                self._over_ball(
                    self._substitution.lower(forms.take(part), size[:, part], sign, self._rounds)
                )
                for sign in (1, -1)
            ]
            for part in self._parts(len(units))
        ]
        lower = torch.cat([torch.cat(column, 1) for column in zip(*parts, strict=True)], 1)
        return _cut_open(x, units, lower, half.open_of(len(self.known) - 1, x, 1))

    def of_posterior(self, rows: Tensor) -> Tensor | None:
        """Lower bounds on <rows, (mu, logvar)>, (R, S * B, 2k) -> (R, S * B); None where forms overflow, or
        are too large."""
        images = len(self.known[0].lower)
        if not self._closed:
            x = self.known[-1].lower
            every = torch.arange(x.shape[1], dtype=torch.int64, device=x.device)
            if held(self._linear.encoder.network, self.known, len(every)) > _MOST:
                return None
            heads = self._forms(len(self.known) - 1, every)
            if not heads.finite():
                return None
            self._substitution.close(heads)
            self._closed = True
        a = rows.unflatten(1, (-1, images)).permute(2, 0, 1, 3).flatten(1, 2)
        found = [
            self._over_ball(self._substitution.lower_of_heads(a[:, part], self._rounds))
            for part in self._parts(a.shape[1])
        ]
        return torch.cat(found, 1).unflatten(1, (len(rows), -1)).permute(1, 2, 0).flatten(1)

    def _over_ball(self, lines: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        slope, constant, lost = lines
        return self._ball.lowest(slope.transpose(0, 1), self._rounds).T + (constant - lost)

    def _parts(self, count: int) -> list[slice]:
        width = self.known[0].lower.numel() + len(self.known[0].lower) * self._substitution.substituted
        size = max(1, _VALUES // width)
        return [slice(start, start + size) for start in range(0, count, size)]

    def _forms(self, value: int, units: Tensor) -> Forms:
        """Forms of units of a value."""
        if value in self._found:
            before, forms = self._found[value]
            chosen = torch.isin(before, units).nonzero()[:, 0]
            return forms if len(chosen) == len(before) else forms.take(chosen)
        half = self._linear.encoder
        while self._bent < value:
            if is_relu(half.network[self._bent]):
                x = self.known[self._bent]
                opened = open_units(x, True)
                forms = self._pulled(self._bent, opened)
                self._substitution.bend(forms, _units_of(x, opened))
            self._bent += 1
        self._found[value] = units, self._pulled(value, units)
        return self._found[value][1]

    def _pulled(self, value: int, units: Tensor) -> Forms:
        if value in self._found:
            before, forms = self._found[value]
            return forms.take(torch.isin(before, units).nonzero()[:, 0])
        half = self._linear.encoder
        inputs = [*self.known, *half.inputs[len(self.known) :]]
        backward = self._linear.relaxation.backward(replace(half, inputs=inputs), value)
        widest = max(x.lower.numel() for x in inputs[: value + 1])
        parts = [backward.unit_forms(part) for part in units.split(max(1, _THROUGH // widest))]
        first, *later = (
            torch.cat(block, 1) for block in zip(*(part.slopes for part in parts), strict=True)
        )
        constant, error = (
            torch.cat(v, 1) for v in zip(*((p.constant, p.error) for p in parts), strict=True)
        )
        return Forms([first[..., self._order], *later], constant, error)


class DecoderForms:
    """Forms of the decoder's units in the latent code, and bounds on them over the balls."""

    def __init__(self, linear: LinearBounds, encoder: EncoderForms) -> None:
        self._linear, self._encoder = linear, encoder
        self._z = linear.bounds.decoder[0]
        network = cast(nn.Sequential, linear.decoder.network)
        layers = (*linear.encoder.network, *network)
        self._dear = any(affine(v) is not None and type(v) is not nn.Linear for v in layers)
        self._forward = ForwardForms(network, self._z, linear.relaxation.arithmetic)

    def cut_last(self, half: Half, known: Sequence[Interval]) -> Interval | None:
        """Cut the last of `known`; None where forms overflow, or are too large.

        The outputs are cut with what the box of latent codes shows, too, for bounds from below. Hidden
        units of convolutions that it shows to be stable are left at that: rows through the encoder are
        dear there, and their ReLU is linear. Elsewhere it is left out: with other intervals default slopes
        and planes are others, for a few images worse ones.
        """
        index, x = len(known) - 1, known[-1]
        units = half.open_units(index, x)
        if len(units) == 0:
            return x
        # Of every unit of a value there is a column in what comes before it.
        if held(half.network, known, x.lower[0].numel()) > _MOST:
            return None
        self._forward.advance(known)
        forms, dense = self._forward.units(units), products(half.network, known)
        if not forms.finite() or self._forward.substitution.products > _DEARER * dense:
            return None
        rows, constant = self._of_codes(forms)
        draws, hidden = self._linear.bounds.draws, index < len(half.network)
        if self._dear if hidden else self._linear.relaxation.weight > 0:
            lower = constant - highest(-rows, self._z.map(lambda v: v[:, None]), FLOAT64)
            x = _cut_open(x, units, lower, half.open_of(index, x, draws))
        if self._dear and hidden:
            left = half.open_units(index, x)
            if len(left) == 0:
                return x
            chosen = torch.isin(units, left).nonzero()[:, 0]
            both = torch.cat([chosen, chosen + len(units)])
            units, rows, constant = left, rows[:, both], constant[:, both]
        a, more = self._linear.pull_latent(rows.transpose(0, 1), None)
        lowest = self._encoder.of_posterior(a)
        if lowest is None:
            return None
        return _cut_open(x, units, lowest.T + more.T + constant, half.open_of(index, x, draws))

    def _of_codes(self, forms: Forms) -> tuple[Tensor, Tensor]:
        """Rows on z, (N, 2U, k), and constants, (N, 2U), below the units and below minus each."""
        substitution = self._forward.substitution
        rounds, size = self._linear.relaxation.arithmetic.rounds, substitution.size(forms)
        found = [substitution.lower(forms, size, sign, rounds) for sign in (1, -1)]
        rows = torch.cat([slope for slope, _, _ in found], 1)
        return rows, torch.cat([constant - lost for _, constant, lost in found], 1)


def _units_of(x: Interval, units: Tensor) -> Interval:
    return x.map(lambda v: v.flatten(1)[:, units])


def _cut_open(x: Interval, units: Tensor, lower: Tensor, opened: Tensor) -> Interval:
    """Cut units of x with lower bounds on them and on minus each, (N, 2U), where they are `opened`, (N,
    all): what an image gets does not depend on which others are there."""
    below, minus_above = lower.chunk(2, 1)
    here = opened[:, units]
    below, above = below.masked_fill(~here, -torch.inf), -minus_above.masked_fill(~here, -torch.inf)
    return cut_units(x, units, Interval(below, above).guarded())
