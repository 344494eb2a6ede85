"""Bounds on the layers of a VAE by semidefinite relaxation of its encoder, for a single l_inf ball.

A decoder unit is bounded as a linear function of mu and logvar, which is what the encoder's relaxation
loses most on: the image cannot take all of its units at once to where their chords are farthest off.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from core.bounds.cuts import cut, cut_units, open_units
from core.bounds.forms import pull_forms
from core.bounds.interval import Interval, propagate
from core.bounds.linear import inner, pull, roundoff, unit_rows
from core.bounds.relaxations import chord_share, relu_form
from core.bounds.semidefinite import Bounder, Relaxed, Rows, Units
from core.layers import LayerBounds, latent_bounds
from core.relaxation import Relaxation
from core.slopes import Slopes

# Iterations beyond which nothing is gained, steps of ascent for slopes, units that are searched at once,
# and the most open ReLUs that are worth it.
_ITERATIONS, _SLOPES, _CHUNK, _MOST = 50, 5, 256, 500
# Which share of the gaps below the chords of a decoder layer is looked at.
_SHARE = 0.9


def sharpened(relaxation: Relaxation, bounds: LayerBounds, iterations: int) -> Iterator[LayerBounds]:
    """Ever tighter bounds on mu, logvar and the inputs of the ReLUs that are not stable, the natural
    parameters not yet tightened with them.

    relaxation, bounds  of one ball, B = 1. iterations: as in core.certify; more than 50 change nothing.
    An encoder with too many open ReLUs gets slopes of its own instead, as decoder units do in any case.
    """
    steps = min(iterations, _ITERATIONS)
    if _large(relaxation.vae.encoder, bounds.encoder):
        bounds = relaxation.tighten_encoder(bounds, _SLOPES)
    for sharper in _encoder(relaxation, bounds, 8 * steps // 5):
        bounds = sharper
        yield bounds
    bounds = relaxation.tighten_decoder(bounds, _SLOPES)
    yield bounds
    yield from _decoder(relaxation, bounds, 4 * steps // 5)


def _encoder(relaxation: Relaxation, bounds: LayerBounds, steps: int) -> Iterator[LayerBounds]:
    network, known = relaxation.vae.encoder, [bounds.encoder[0]]
    for index, layer in enumerate([*network, None]):
        if index > 0:
            x = propagate(network[index - 1], known[-1], relaxation.arithmetic)
            known.append(cut(bounds.encoder[index], x))
        relu = isinstance(layer, nn.ReLU)
        if layer is not None and not relu:
            continue
        before = Before(relaxation, [*known, *bounds.encoder[index + 1 :]], index)
        units = open_units(known[-1], relu)
        if not before.helps or len(units) == 0:
            continue
        rows = unit_rows(units, known[-1])
        lower, minus_upper = before.lowest(torch.cat([rows, -rows]), steps).chunk(2)
        known[-1] = cut_units(known[-1], units, Interval(lower[None], -minus_upper[None]).guarded())
        yield LayerBounds([*known, *bounds.encoder[index + 1 :]], bounds.decoder)
    z = cut(bounds.decoder[0], latent_bounds(known[-1], relaxation.noise, relaxation.arithmetic))
    yield LayerBounds(known, [z, *bounds.decoder[1:]])


def _decoder(relaxation: Relaxation, bounds: LayerBounds, steps: int) -> Iterator[LayerBounds]:
    network, known = relaxation.vae.decoder, [bounds.decoder[0]]
    before = Before(relaxation, bounds.encoder, len(relaxation.vae.encoder))
    for index, layer in enumerate(network if before.helps else []):
        if index > 0:
            x = propagate(network[index - 1], known[-1], relaxation.arithmetic)
            known.append(cut(bounds.decoder[index], x))
        if not isinstance(layer, nn.ReLU):
            continue
        now = LayerBounds(bounds.encoder, [*known, *bounds.decoder[index + 1 :]])
        units = open_units(known[-1], True)
        rows, constant = relaxation.units_to_posterior(index, units, now, Slopes())
        low = torch.full_like(constant, -torch.inf)
        for chosen in _widest(known[-1].map(lambda v, units=units: v.flatten(1)[:, units])).split(_CHUNK):
            unit, draw = chosen % len(units), chosen // len(units)
            both = torch.cat([unit, unit + len(units)]), draw.repeat(2)
            low[both] = constant[both] + before.lowest(rows[both][:, None], steps)
            lower, minus_upper = low.T.chunk(2, 1)
            known[-1] = cut_units(known[-1], units, Interval(lower, -minus_upper).guarded())
            yield LayerBounds(bounds.encoder, [*known, *bounds.decoder[index + 1 :]])


def _large(network: nn.Sequential, inputs: list[Interval]) -> bool:
    """Whether more ReLUs are open than are worth it; inputs[i] bounds the input of layer i."""
    relus = [x for layer, x in zip(network, inputs, strict=False) if isinstance(layer, nn.ReLU)]
    return sum(len(open_units(x, True)) for x in relus) > _MOST


def _widest(x: Interval) -> Tensor:
    """Indices into x (S, U) of the ReLUs whose chords leave the largest gaps, the largest first, until
    they make up nearly all of what is left open."""
    gap = torch.where(x.width > 0, -x.lower * x.upper / x.width, 0).clamp(min=0).flatten()
    gap, order = gap.sort(descending=True)
    return order[: int((gap.cumsum(0) < _SHARE * gap.sum()).sum())]


class Before:
    """What lies before the input of encoder layer `count` (or its output), as core.bounds.semidefinite
    sees it. Variables are the pixels, then the errors of all ReLUs but the last layer's, deepest first.

    helps: whether there is something to gain at a cost that is worth it.
    """

    def __init__(self, relaxation: Relaxation, inputs: list[Interval], count: int) -> None:
        self._arithmetic, self._network = relaxation.arithmetic, relaxation.vae.encoder[:count]
        self._inputs = inputs[: count + 1]
        self._middle, self._radius = relaxation.ball.box.centered()
        relus = [i for i, layer in enumerate(self._network) if isinstance(layer, nn.ReLU)]
        self._shares = {i: chord_share(self._inputs[i]) for i in relus}
        # As pull_forms counts its errors: a range of the smallest numbers may leave none.
        radii = {i: relu_form(self._inputs[i], self._shares[i])[1].flatten() for i in relus}
        self._open = {i: (radius > 0).nonzero()[:, 0] for i, radius in radii.items()}
        bent = [i for i in relus if len(self._open[i]) > 0]
        self._last = bent[-1] if bent else 0
        self._errors = sum(len(self._open[i]) for i in bent[:-1])
        self.helps = bool(bent) and not _large(self._network, self._inputs)
        if self.helps:
            self._bounder = Bounder(self._relaxed(bent))

    def lowest(self, rows: Tensor, steps: int) -> Tensor:
        """Lower bounds (R,) on <rows, output>, rows (R, 1, ...)."""
        parts = self._rows(-rows).split(2 * _CHUNK)
        return -torch.cat([self._bounder.highest(part, steps) for part in parts])

    def _relaxed(self, bent: list[int]) -> Relaxed:
        n, end = len(self._middle) + self._errors, len(self._middle) + self._errors
        hidden, gaps = [self._nothing(n)], [self._nothing(n)]
        for index in bent[:-1]:
            units, x = self._open[index], self._flat(index)
            v, (slope, radius) = self._units(index), relu_form(x, self._shares[index].flatten()[units])
            end -= len(units)
            errors = torch.zeros_like(v.slope)
            errors[:, end : end + len(units)] = torch.diag(radius)
            lost = v.lost + self._relu_roundoff(index).flatten()[units]
            error = Units(errors, radius, lost)
            hidden.append(v.scaled(slope).plus(error))
            gaps.append(v.scaled(slope - 1).plus(error))
        return Relaxed(
            self._units(self._last),
            self._flat(self._last),
            hidden[0].joined(*hidden[1:]),
            gaps[0].joined(*gaps[1:]),
        )

    def _flat(self, index: int) -> Interval:
        """Bounds on the open units of a ReLU's input."""
        return self._inputs[index].map(lambda v: v.flatten()[self._open[index]])

    def _units(self, index: int) -> Units:
        """The open units of a ReLU's input as forms of all variables."""
        return self._pulled(index, unit_rows(self._open[index], self._inputs[index]))

    def _pulled(self, index: int, rows: Tensor) -> Units:
        network = self._network[:index]
        f = pull_forms(network, rows, self._inputs[: index + 1], self._shares, self._arithmetic)
        on_pixels, errors = f.slope[:, 0].flatten(1), f.errors[:, 0]
        none = errors.new_zeros(len(rows), self._errors - errors.shape[1])
        slope = torch.cat([on_pixels * self._radius, none, errors], 1)
        return Units(slope, on_pixels @ self._middle + f.constant[:, 0], f.lost[:, 0])

    def _rows(self, rows: Tensor) -> Rows:
        """Pull rows back to the last ReLUs that are open, and their active units on to the variables."""
        constant = lost = rows.new_zeros(len(rows), 1)
        for index in reversed(range(self._last + 1, len(self._network))):
            layer, x = self._network[index], self._inputs[index]
            rounding = roundoff(layer, x, self._arithmetic) if self._arithmetic.rounds else None
            if rounding is not None:
                lost = lost + inner(rows.abs(), rounding)
            rows, more = pull(layer, rows, x, None)
            constant = constant + more
        x, rows = self._inputs[self._last], rows.expand(-1, 1, *self._inputs[self._last].lower.shape[1:])
        lost = lost + inner(rows.abs(), self._relu_roundoff(self._last))
        active = self._pulled(self._last, torch.where(x.lower >= 0, rows, 0))
        size = active.reach + constant[:, 0].abs()
        return Rows(
            rows.flatten(1)[:, self._open[self._last]],
            active.slope,
            active.constant + constant[:, 0],
            active.lost + lost[:, 0],
            size,
        )

    def _relu_roundoff(self, index: int) -> Tensor:
        layer, x = self._network[index], self._inputs[index]
        rounding = roundoff(layer, x, self._arithmetic) if self._arithmetic.rounds else None
        return torch.zeros_like(x.lower) if rounding is None else rounding

    def _nothing(self, n: int) -> Units:
        return Units(*(self._middle.new_zeros(shape) for shape in ((0, n), (0,), (0,))))
