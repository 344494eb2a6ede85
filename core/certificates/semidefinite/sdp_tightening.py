"""Bounds on the layers of a VAE by semidefinite relaxation, for a single l_inf ball.

What linear bounds lose on hidden units are the chords of the ReLUs before them: the image cannot take all
of these to where their chords are farthest off at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.bounds.intersect import cut, cut_units, open_units
from core.bounds.interval import Interval
from core.bounds.linear import unit_rows
from core.certificates.elbo_bounds.layer_bounds import LayerBounds, latent_bounds
from core.certificates.elbo_bounds.relaxation import DecoderUnits, LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.semidefinite.layer_forms import (
    LayerForms,
    PrefixBounder,
    decoder_forms,
    encoder_forms,
    posterior_forms,
)
from core.certificates.semidefinite.layer_relaxation import Multipliers

# Iterations beyond which nothing is gained, steps of ascent for slopes, units that are searched at once.
_ITERATIONS, _SLOPES, _CHUNK = 50, 5, 256
# The most open ReLUs that are worth it, of an encoder and of all that lies before a decoder unit.
_MOST, _WHOLE = 500, 700
# Which share of the gaps below the chords of a decoder layer is looked at.
_SHARE = 0.9


def sharpened(relaxation: Relaxation, bounds: LayerBounds, iterations: int) -> Iterator[LayerBounds]:
    """Tighten bounds on mu, logvar and the inputs of unstable ReLUs, step by step; the natural parameters
    are not yet tightened with them.

    relaxation, bounds  of one ball, B = 1. iterations: as in core.certify; more than 50 change nothing.
    An encoder with too many open ReLUs gets slopes of its own instead, as decoder units do in any case.
    """
    steps = min(iterations, _ITERATIONS)
    whole = encoder_forms(relaxation, bounds.encoder)
    if whole.count(len(whole.network)) > _MOST:
        bounds = relaxation.tighten_encoder(bounds, _SLOPES)
    for sharper in _encoder(relaxation, bounds, 8 * steps // 5):
        bounds = sharper
        yield bounds
    bounds = relaxation.tighten_decoder(bounds, _SLOPES)
    yield bounds
    yield from _decoder(relaxation, bounds, 4 * steps // 5)


def _encoder(relaxation: Relaxation, bounds: LayerBounds, steps: int) -> Iterator[LayerBounds]:
    half, known = bounds.halves(relaxation.vae)[0], [bounds.encoder[0]]
    for index in half.walk(known, relaxation.arithmetic):
        units = open_units(known[-1], index < len(half.network))
        layers = encoder_forms(relaxation, known)
        if not 0 < layers.count(index) <= _MOST or len(units) == 0:
            continue
        before = PrefixBounder(layers, index)
        for chosen in units.split(_CHUNK):
            lower, minus_upper = before.lowest(_both(chosen, known[-1]), steps)[0].chunk(2)
            found = Interval(lower[None], -minus_upper[None]).guarded()
            known[-1] = cut_units(known[-1], chosen, found)
            yield LayerBounds([*known, *bounds.encoder[index + 1 :]], bounds.decoder)
    z = cut(bounds.decoder[0], latent_bounds(known[-1], relaxation.noise, relaxation.arithmetic))
    yield LayerBounds(known, [z, *bounds.decoder[1:]])


def _decoder(relaxation: Relaxation, bounds: LayerBounds, steps: int) -> Iterator[LayerBounds]:
    half, known = bounds.halves(relaxation.vae)[1], [bounds.decoder[0]]
    for index in half.walk(known, relaxation.arithmetic):
        if index == len(half.network):
            return  # the natural parameters get linear bounds only
        now = LayerBounds(bounds.encoder, [*known, *bounds.decoder[index + 1 :]])
        widest = _widest(known[-1])
        if len(widest) == 0:
            continue
        views = Views(relaxation, now, index)
        for units in widest.split(_CHUNK):
            found: Multipliers | None = None
            for draw in range(len(relaxation.noise)):
                before = views.before(draw)
                if before is None:
                    continue
                rows, constant = views.rows(units, draw)
                values, found = before.lowest(rows, steps, found)
                lower = torch.full_like(values.expand(len(relaxation.noise), -1), -torch.inf)
                lower[draw] = values + constant
                lower, minus_upper = lower.chunk(2, 1)
                known[-1] = cut_units(known[-1], units, Interval(lower, -minus_upper).guarded())
                yield LayerBounds(bounds.encoder, [*known, *bounds.decoder[index + 1 :]])


class Views:
    """Bounds units of a ReLU of the decoder, draw by draw, by what lies before them.

    Where no ReLU of the decoder is open before it, its units are linear bounds in mu and logvar, and the
    encoder is what lies before them.
    """

    def __init__(self, relaxation: Relaxation, bounds: LayerBounds, index: int) -> None:
        self._bounds, self._index = bounds, index
        encoder = encoder_forms(relaxation, bounds.encoder)
        end = len(encoder.network)
        linear = LinearBounds(relaxation, bounds)
        before = [bounds.decoder[i] for i in linear.decoder.relus if i < index]
        deep = any(len(open_units(x, True)) > 0 for x in before)
        self._linear = None if deep else DecoderUnits(linear, linear.decoder, index)
        self._open, self._shared = encoder.count(end), None
        self._decoders: list[LayerForms] = []
        if deep and self._open < _WHOLE:
            posterior, self._known = posterior_forms(encoder), encoder.products(end)
            draws = range(len(relaxation.noise))
            self._decoders = [decoder_forms(relaxation, bounds, posterior, draw) for draw in draws]
        if not deep and 0 < self._open <= _MOST:
            self._shared = PrefixBounder(encoder, end)

    def before(self, draw: int) -> PrefixBounder | None:
        """What bounds the rows of a draw; None where nothing is to be gained at a cost that is worth it."""
        if not self._decoders:
            return self._shared
        count = self._decoders[draw].count(self._index)
        if count == 0 or self._open + count > _WHOLE:
            return None
        return PrefixBounder(self._decoders[draw], self._index, self._known)

    def rows(self, units: Tensor, draw: int) -> tuple[Tensor, Tensor]:
        """Units of the layer's input and minus each of them, as rows for `before`; constants."""
        if self._linear is None:
            rows = _both(units, self._bounds.decoder[self._index])
            return rows, rows.new_zeros(len(rows))
        found = self._linear.to_posterior(units, Slopes())
        return found[0][:, draw, None], found[1][:, draw]


def _both(units: Tensor, x: Interval) -> Tensor:
    rows = unit_rows(units, x)
    return torch.cat([rows, -rows])


def _widest(x: Interval) -> Tensor:
    """The ReLUs with inputs x (S, ...) whose chords leave the largest gaps in the mean over the draws, the
    largest first, until they make up nearly all of what is left open."""
    gap = torch.where(x.width > 0, -x.lower * x.upper / x.width, 0).clamp(min=0).flatten(1).mean(0)
    gap, order = gap.sort(descending=True)
    return order[: int((gap.cumsum(0) < _SHARE * gap.sum()).sum())]
