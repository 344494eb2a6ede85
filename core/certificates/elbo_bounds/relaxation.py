"""The ELBO over a ball as one scalar graph, relaxed to a linear function of the input.

x' feeds the encoder and, for target "likelihood", the scored image too. Pulling one linear bound on the
whole ELBO back to x' lets errors cancel that term-by-term bounds add up.

    planes below weight * log p(t | a), per draw  ->  decoder  ->  z = mu + exp(logvar / 2) noise
    ->  sum over draws, joined with the KL's parabola and exponential  ->  encoder  ->  x'

`weight` +1 bounds the ELBO from below, -1 bounds -ELBO from below, which is the ELBO from above.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from core.bounds.backward import BackwardPass
from core.bounds.ball import Ball
from core.bounds.intersect import cut, cut_units
from core.bounds.interval import Interval, affine
from core.bounds.linear import highest, inner
from core.bounds.relaxations import half_exp_lower, half_exp_upper, logvar_slope, unit
from core.bounds.rounding import ELEMENTARY, EXACT, FLOAT64, UNDERFLOW, Arithmetic
from core.bounds.rule_table import is_relu, is_reshape, is_scale
from core.certificates.elbo_bounds.ascent import ascend
from core.certificates.elbo_bounds.layer_bounds import (
    Half,
    LayerBounds,
    interval_bounds,
    latent_bounds,
)
from core.certificates.elbo_bounds.relaxation_parameters import Slopes, for_rows
from core.certificates.elbo_bounds.substituted import DecoderForms, EncoderForms, can_substitute
from core.network.graph import Graph, Network
from core.vae.elbo import in_dtype
from core.vae.latent import kl_line
from core.vae.likelihood import score_roundoff
from core.vae.model import VAE

_Asked = tuple[int, Arithmetic, list[Interval]]
# Values that one stack of pulled-back rows may hold: bounds the memory.
_VALUES = 500_000
# Images that are tightened together at most, values of their widest layer, and open units of each image.
_IMAGES, _SMALL, _OPEN = 4, 16_000, 1_200
# First step of the ascent for a layer's slopes, and what is left of it at the last one.
_STEP, _LAST = 0.3, 0.5


@dataclass(frozen=True)
class Relaxation:
    """The ELBO of B balls over S draws as a graph to relax, in float64: what linear bounds are of.

    vae    a float64 model. ball  what x' can be: float64, already covering (`Ball.cover`).
    noise  (S, 1, k), shared by all images.
    t      clean images (B, C, H, W) for target "reconstruction", None for t = x'.
    weight +1 or -1, see above. arithmetic  what the bounds have to cover.
    passes  the last backward pass of each part, see `backward`. forms: the last ones of the encoder.
    """

    vae: VAE
    ball: Ball
    noise: Tensor
    t: Tensor | None
    weight: int
    arithmetic: Arithmetic
    passes: dict[str, tuple[_Asked, BackwardPass]] = field(default_factory=dict, repr=False, compare=False)
    forms: dict[str, EncoderForms] = field(default_factory=dict, repr=False, compare=False)

    def backward(self, half: Half, index: int) -> BackwardPass:
        """The backward pass from value `index` of a half to its input. The last one is kept: a bound on the
        ELBO goes the same way as the one on the decoder's outputs before it."""
        asked, known = (index, self.arithmetic, half.inputs[:index]), self.passes.get(half.part)
        if known is None or not _same(known[0], asked):
            made = BackwardPass(half.network, half.inputs, index, self.arithmetic, half.memory)
            self.passes[half.part] = known = asked, made
        return known[1]

    @property
    def scored(self) -> Interval:
        """Bounds on the scored image t, (B, C, H, W)."""
        return self.ball.box if self.t is None else Interval(self.t, self.t)

    @property
    def moves(self) -> bool:
        """Whether the scored image is x' itself."""
        return self.t is None

    def exact(self) -> Relaxation:
        """The same without rounding margins: cheaper, for optimisers."""
        return replace(self, arithmetic=EXACT)

    def single(self) -> Relaxation:
        """The same in float32, without rounding margins: for optimisers only."""
        dtype = torch.float32
        ball = Ball(self.ball.center.to(dtype), self.ball.eps.to(dtype), self.ball.norm)
        t = None if self.t is None else self.t.to(dtype)
        return Relaxation(in_dtype(self.vae, dtype), ball, self.noise.to(dtype), t, self.weight, EXACT)

    def copies(self, count: int) -> Relaxation:
        """The same single ball `count` times."""

        def copy(v: Tensor) -> Tensor:
            return v.expand(count, *v.shape[1:])

        ball = Ball(copy(self.ball.center), copy(self.ball.eps), self.ball.norm)
        return replace(self, ball=ball, t=None if self.t is None else copy(self.t))

    def take(self, images: slice) -> Relaxation:
        """The same for some of the balls."""
        ball = Ball(self.ball.center[images], self.ball.eps[images], self.ball.norm)
        t = None if self.t is None else self.t[images]
        return replace(self, ball=ball, t=t, passes={}, forms={})

    def interval_bounds(self) -> LayerBounds:
        return interval_bounds(self.vae, self.ball.box, self.noise, self.arithmetic)

    def tighten(self, bounds: LayerBounds, steps: int = 0) -> LayerBounds:
        """Cut `bounds` with linear bounds on the inputs of unstable ReLUs, on mu and logvar and on the
        natural parameters; the layers between follow by interval propagation.

        steps  of ascent for the slopes of each unit, but for the natural parameters: they are many,
               and what they gain is less than what the layers before them do.
        """
        return self.tighten_decoder(self.tighten_encoder(bounds, steps), steps)

    def together(self, bounds: LayerBounds) -> list[slice]:
        """Which images to tighten at once: a few, where the network is so small, and so few of its units
        are open, that calls cost more than what they compute."""
        widest = max(x.lower[0].numel() for x in [*bounds.encoder, *bounds.decoder])
        relus = [half.input_of(index) for half in bounds.halves(self.vae) for index in half.relus]
        opened = sum(((x.lower < 0) & (x.upper > 0)).sum().item() / len(x.lower) for x in relus)
        count = max(1, min(_IMAGES, _SMALL // (widest * bounds.draws))) if opened < _OPEN else 1
        return [slice(start, start + count) for start in range(0, len(self.ball.eps), count)]

    def tighten_encoder(self, bounds: LayerBounds, steps: int = 0) -> LayerBounds:
        """Tighten the encoder's layers, mu and logvar, and z by what follows from them; as in `tighten`."""
        linear, known = LinearBounds(self, bounds), [bounds.encoder[0]]
        forms = None if steps > 0 else self.encoder_forms(linear, known)
        for index in linear.encoder.walk(known, self.arithmetic):
            # One affine map of a box: interval propagation is exact.
            if self.ball.norm != "linf" or not _one_affine_map(self.vae.encoder, index):
                cut_by_forms = None if forms is None else forms.cut_last(linear.encoder)
                forms = None if cut_by_forms is None else forms
                known[-1] = cut_by_forms or linear.cut_last(EncoderUnits, linear.encoder, known, steps)
        z = cut(bounds.decoder[0], latent_bounds(known[-1], self.noise, self.arithmetic))
        return LayerBounds(known, [z, *bounds.decoder[1:]])

    def tighten_decoder(self, bounds: LayerBounds, steps: int = 0) -> LayerBounds:
        """Tighten the decoder's layers and the natural parameters; as in `tighten`."""
        linear, known = LinearBounds(self, bounds), [bounds.decoder[0]]
        forms = None if steps > 0 else self.decoder_forms(linear)
        for index in linear.decoder.walk(known, self.arithmetic):
            hidden = index < len(self.vae.decoder)
            cut_by_forms = None if forms is None else forms.cut_last(linear.decoder, known)
            forms = None if cut_by_forms is None else forms
            more = steps if hidden else 0
            known[-1] = cut_by_forms or linear.cut_last(DecoderUnits, linear.decoder, known, more)
        return LayerBounds(bounds.encoder, known)

    def encoder_forms(self, linear: LinearBounds, known: list[Interval]) -> EncoderForms | None:
        """Forms of the encoder's units over these bounds; the last ones are kept. None: it has none."""
        if not can_substitute(self.vae.encoder, known[0], self.arithmetic):
            return None
        kept = self.forms.get("encoder")
        if kept is None or kept.arithmetic != self.arithmetic or not _same_bounds(kept.known, known):
            self.forms["encoder"] = kept = EncoderForms(linear, known)
        return kept

    def decoder_forms(self, linear: LinearBounds) -> DecoderForms | None:
        """Forms of the decoder's units; None: it has none, or the encoder has not."""
        if not can_substitute(self.vae.decoder, linear.bounds.decoder[0], self.arithmetic):
            return None
        encoder = self.encoder_forms(linear, linear.bounds.encoder)
        return None if encoder is None else DecoderForms(linear, encoder)

    def noise_rows(self) -> Tensor:
        """The noise of each draw and image, (S * B, k)."""
        batch = len(self.ball.center)
        return self.noise.expand(-1, batch, -1).flatten(0, 1)

    def latent_roundoff(self, a: Tensor, bounds: LayerBounds) -> Tensor:
        """Bound what rounding in z = mu + exp(logvar / 2) noise, and in its relaxation, takes from rows a
        on z, (R, N, k) -> (R, N)."""
        if not self.arithmetic.rounds:
            return a.new_zeros(())
        mu, logvar = (x.map(lambda v: v.repeat(len(self.noise), 1)) for x in bounds.posterior)
        noise, sigma = self.noise_rows().abs(), (logvar.upper / 2).exp()
        size = mu.magnitude + sigma * noise
        forward = self.arithmetic.gamma(ELEMENTARY + 3) * size + UNDERFLOW * (1 + noise + sigma)
        forward = self.arithmetic.unless_overflow(forward, torch.maximum(size, sigma))
        # Products of rows, lines and values, and their sums over the dimensions and over the draws.
        own = FLOAT64.gamma(4 * (a.shape[-1] + ELEMENTARY) + len(self.noise))
        return inner(a.abs(), forward + own * (size + sigma * noise * logvar.magnitude))

    def scoring_roundoff(self, t: Interval, a: Interval) -> Tensor | float:
        """Bound what rounding does to log p and to the plane below it, (N,)."""
        if not self.arithmetic.rounds:
            return 0.0
        likelihood, terms = self.vae.likelihood, a.lower[0].numel() + 2 * ELEMENTARY
        forward = score_roundoff(likelihood, t, a, len(self.noise), self.arithmetic)
        return forward + 8 * FLOAT64.gamma(terms) * likelihood.plane_size(t, a)


class LinearBounds:
    """Linear bounds on weight * ELBO(x') and on units of the layers, given bounds on every layer.

    What does not depend on slopes is prepared once, when it is first needed.
    """

    def __init__(self, relaxation: Relaxation, bounds: LayerBounds) -> None:
        self.relaxation, self.bounds = relaxation, bounds
        self.encoder, self.decoder = bounds.halves(relaxation.vae)

    @cached_property
    def exact(self) -> LinearBounds:
        """The same without rounding margins."""
        return LinearBounds(self.relaxation.exact(), self.bounds)

    @cached_property
    def to_input(self) -> BackwardPass:
        """The backward pass from mu and logvar to x'."""
        return self.relaxation.backward(self.encoder, len(self.encoder.network))

    @cached_property
    def _to_latent(self) -> BackwardPass:
        """The backward pass from the natural parameters to z."""
        return self.relaxation.backward(self.decoder, len(self.decoder.network))

    def cut_last(
        self, kind: type[EncoderUnits | DecoderUnits], half: Half, known: list[Interval], steps: int
    ) -> Interval:
        """Cut the last of `known`, better bounds on the first values of a half, with linear bounds on the
        units that are unstable, or all of the output; `steps` of ascent for the slopes of each."""
        index, x = len(known) - 1, known[-1]
        units = half.open_units(index, x)
        if len(units) == 0:
            return x
        half = replace(half, inputs=[*known, *half.inputs[len(known) :]])
        widest = max(x.lower[0].numel() for x in [*self.bounds.encoder, *self.bounds.decoder])
        size = max(1, _VALUES // (2 * widest * len(self.bounds.decoder[0].lower)))
        linear, exact = kind(self, half, index), kind(self.exact, half, index) if steps > 0 else None
        parts = []
        for chosen in units.split(size):
            slopes = Slopes() if exact is None else _optimised(exact, chosen, steps)
            parts.append(linear.lowest(chosen, slopes).T.unflatten(1, (2, -1)))
        lower, minus_upper = torch.cat(parts, 2).unbind(1)
        return cut_units(x, units, Interval(lower, -minus_upper).guarded())

    def lowest(self, a: Tensor) -> Tensor:
        """Lower bounds on <a, x'> over the balls, rows (R, B, ...) -> (R, B)."""
        return self.relaxation.ball.lowest(a.flatten(2), self.relaxation.arithmetic.rounds)

    def pull_latent(self, a: Tensor, share: Tensor | None) -> tuple[Tensor, Tensor]:
        """Pull rows (R, N, k) on z back to mu and logvar: (R, N, 2k) and constants (R, N)."""
        noise, logvar = self.relaxation.noise_rows(), self.bounds.posterior[1]
        logvar = logvar.map(lambda v: v.repeat(self.bounds.draws, 1))
        scale = a * noise
        low, low_constant = half_exp_lower(logvar, torch.full_like(noise, 0.5) if share is None else share)
        high, high_constant = half_exp_upper(logvar)
        positive, negative = scale.clamp(min=0), scale.clamp(max=0)
        constant = (positive * low_constant).sum(2) + inner(negative, high_constant)
        constant = constant - self.relaxation.latent_roundoff(a, self.bounds)
        back = positive * low + negative * high
        return torch.cat([a.expand_as(back), back], -1), constant

    def planes(self, slopes: Slopes, mixes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """R linear bounds, weight * ELBO(x') >= <slope, x'> + constant - rounding in the ball: (R, B, d),
        (R, B), (R, B). One for each of mixes (R, S * B or 1, C, H, W) in place of slopes.mix."""
        r, draws = self.relaxation, len(self.relaxation.noise)
        a, t = self.bounds.decoder[-1], r.scored.map(lambda v: v.repeat(draws, 1, 1, 1))
        on_a, on_t, constant = (v / draws for v in r.vae.likelihood.plane(t, a, mixes, r.weight))
        on_x, on_t, constant, lost = self.to_image(on_a, on_t, constant, slopes)
        if r.t is None:
            return on_x + on_t, constant, lost
        # The scored image stands still: what the plane has for it is a number.
        return on_x, constant + (on_t * r.t.flatten(1)).sum(2), lost

    def to_image(
        self, on_a: Tensor, on_t: Tensor, constant: Tensor, slopes: Slopes
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pull R planes below weight * log p / S, (R, S * B, ...), back to the image: what falls to x' and
        to the scored image, (R, B, d) twice, constants and what rounding takes, (R, B) twice."""
        r, draws = self.relaxation, len(self.relaxation.noise)
        a, t = self.bounds.decoder[-1], r.scored.map(lambda v: v.repeat(draws, 1, 1, 1))
        rows, more, lost = self._to_latent.pull(on_a, slopes.decoder)
        constant = constant.flatten(2).sum(2) + more
        lost = lost + r.latent_roundoff(rows, self.bounds) + r.scoring_roundoff(t, a) / draws
        on_t = on_t.unflatten(1, (draws, -1)).flatten(3)
        rows, constant, lost = (v.unflatten(1, (draws, -1)) for v in (rows, constant, lost))
        on_mu, scale = rows.sum(1), (rows * r.noise).sum(1)
        on_posterior, from_posterior, lost_posterior = self.pull_posterior(on_mu, scale, slopes)
        on_x, more, lost_encoder = self.to_input.pull(on_posterior, slopes.encoder)
        on_x = on_x.flatten(2)
        if r.arithmetic.rounds:
            # Sums over the draws, of constants, of pixels that lie in [0, 1], and the two of the caller.
            size = on_x.abs().sum(2) + on_t.abs().sum((1, 3)) + constant.abs().sum(1)
            size = size + from_posterior.abs() + more.abs() + lost.sum(1)
            lost_sums = FLOAT64.gamma(4 * on_x.shape[2] + draws + ELEMENTARY) * size
            lost = lost.sum(1) + lost_posterior + lost_encoder + lost_sums
        else:
            lost = lost.sum(1)
        return on_x, on_t.sum(1), constant.sum(1) + from_posterior + more, lost

    def pull_posterior(self, on_mu: Tensor, scale: Tensor, slopes: Slopes) -> tuple[Tensor, Tensor, Tensor]:
        """<on_mu, mu> + <scale, exp(logvar / 2)> - weight KL >= <(R, B, 2k), posterior> + (R, B) - (R, B).

        Separable in the 2k coordinates, so that each has its exact intercept; the last is for rounding.
        """
        (mu, logvar), r = self.bounds.posterior, self.relaxation
        on_square, on_logvar = self.posterior_slopes(scale, slopes)
        constant, lost = kl_line(mu, logvar, scale, on_square, on_logvar, r.weight, r.arithmetic)
        rows = torch.cat([on_mu + on_square, on_logvar], -1)
        if slopes.box_multipliers is not None:
            rows = rows + slopes.box_multipliers
            constant = constant - highest(slopes.box_multipliers, self.bounds.encoder[-1], r.arithmetic)
        return rows, constant, lost

    def posterior_slopes(self, scale: Tensor, slopes: Slopes) -> tuple[Tensor, Tensor]:
        """Slopes of the lines below -weight mu^2 / 2 and below `logvar_term`, in mu and logvar."""
        (mu, logvar), weight = self.bounds.posterior, self.relaxation.weight
        on_square = (-weight * mu.center).expand_as(scale)
        if slopes.mu is not None:
            on_square = on_square + slopes.mu
        on_logvar = logvar_slope(logvar, scale, weight)
        if slopes.logvar is not None:
            on_logvar = on_logvar + slopes.logvar
        return on_square, on_logvar

    def bound(self, slopes: Slopes) -> Tensor:
        """Lower bound on weight * ELBO over the ball, (B,)."""
        middle = torch.full_like(self.bounds.decoder[-1].lower, 0.5)
        mix = middle if slopes.mix is None else unit(slopes.mix)
        slope, constant, lost = self.planes(slopes, mix[None])
        return self.lowest(slope)[0] + (constant - lost)[0]


class EncoderUnits:
    """Linear bounds on units of the input of encoder layer `index`, or of mu and logvar."""

    def __init__(self, linear: LinearBounds, encoder: Half, index: int) -> None:
        self._linear, self._encoder, self._index = linear, encoder, index
        self._backward = linear.relaxation.backward(encoder, index)

    def slopes(self, rows: int) -> Slopes:
        """Default slopes, each row with its own."""
        return Slopes(for_rows(self._encoder.relu_slopes(self._index), rows))

    def lowest(self, units: Tensor, slopes: Slopes) -> Tensor:
        """Lower bounds on each unit, then on minus each, (2U, B)."""
        a, constant, lost = self._backward.pull_units(units, slopes.encoder)
        return self._linear.lowest(a) + (constant - lost)


class DecoderUnits:
    """Linear bounds on units of the input of decoder layer `index`, or of the natural parameters."""

    def __init__(self, linear: LinearBounds, decoder: Half, index: int) -> None:
        self._linear, self._decoder, self._index = linear, decoder, index
        self._backward = linear.relaxation.backward(decoder, index)

    def slopes(self, rows: int) -> Slopes:
        """Default slopes, each row with its own."""
        linear = self._linear
        # Encoder bounds do not depend on the draw: there, draws become rows.
        encoder = for_rows(linear.encoder.relu_slopes(), rows * linear.bounds.draws)
        decoder = for_rows(self._decoder.relu_slopes(self._index), rows)
        sigma = torch.full_like(self._decoder.inputs[0].lower, 0.5).expand(rows, -1, -1).clone()
        return Slopes(encoder, decoder, sigma)

    def lowest(self, units: Tensor, slopes: Slopes) -> Tensor:
        """Lower bounds on each unit, then on minus each, (2U, S * B)."""
        linear, draws = self._linear, self._linear.bounds.draws
        a, constant = self.to_posterior(units, slopes)
        a = a.unflatten(1, (draws, -1)).flatten(0, 1)
        a, more, lost = linear.to_input.pull(a, slopes.encoder)
        lowest = linear.lowest(a) + (more - lost)
        return lowest.unflatten(0, (-1, draws)).flatten(1) + constant

    def to_posterior(self, units: Tensor, slopes: Slopes) -> tuple[Tensor, Tensor]:
        """Linear bounds on each unit and on minus each in mu and logvar: slopes (2U, S * B, 2k), constants
        (2U, S * B)."""
        a, constant, lost = self._backward.pull_units(units, slopes.decoder)
        a, more = self._linear.pull_latent(a, slopes.sigma)
        return a, constant - lost + more


def _optimised(exact: EncoderUnits | DecoderUnits, units: Tensor, steps: int) -> Slopes:
    """Slopes for each unit and for minus it, improved by `steps` of ascent."""
    slopes = exact.slopes(2 * len(units))
    bound = partial(exact.lowest, units, slopes)
    for _ in ascend(bound, [(slopes.tensors(), _STEP)], steps, _LAST, slopes.repair):
        pass
    return slopes


def _same(one: _Asked, other: _Asked) -> bool:
    """Whether two passes go from the same value, in the same arithmetic, over the very same bounds."""
    return one[:2] == other[:2] and _same_bounds(one[2], other[2])


def _same_bounds(one: list[Interval], other: list[Interval]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _one_affine_map(network: Network, count: int) -> bool:
    """Whether value `count` of a chain is one affine map of the input, but for ReLUs: interval propagation
    is exact for an l_inf box."""
    layers = [*network][:count]
    affine_layers = sum(affine(layer) is not None for layer in layers)
    others = sum(not (is_relu(v) or is_reshape(v) or is_scale(v)) for v in layers) - affine_layers
    return not isinstance(network, Graph) and affine_layers <= 1 and others == 0
