"""The ELBO over a ball as one scalar graph, relaxed to a linear function of the input.

x' feeds the encoder and, for target "likelihood", the scored image too. Pulling one linear bound on the
whole ELBO back to x' lets errors cancel that term-by-term bounds add up.

    planes below weight * log p(t | a), per draw  ->  decoder  ->  z = mu + exp(logvar / 2) noise
    ->  sum over draws, joined with the KL's parabola and exponential  ->  encoder  ->  x'

`weight` +1 bounds the ELBO from below, -1 bounds -ELBO from below, which is the ELBO from above.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.bounds.backward import Passage
from core.bounds.ball import Ball
from core.bounds.intersect import cut, cut_units, open_units
from core.bounds.interval import Interval, affine, propagate
from core.bounds.linear import highest, inner
from core.bounds.relaxations import (
    half_exp_lower,
    half_exp_upper,
    logvar_intercept,
    logvar_slope,
    square_intercept,
    unit,
)
from core.bounds.rounding import ELEMENTARY, EXACT, FLOAT64, UNDERFLOW, Arithmetic
from core.bounds.rule_table import is_relu
from core.certificates.elbo_bounds.ascent import ascend
from core.certificates.elbo_bounds.layer_bounds import LayerBounds, interval_bounds, latent_bounds
from core.certificates.elbo_bounds.relaxation_parameters import Slopes, row_slopes
from core.vae.elbo import in_dtype
from core.vae.latent import kl_roundoff
from core.vae.likelihood import score_roundoff
from core.vae.model import VAE

# Values that one stack of pulled-back rows may hold: bounds the memory.
_VALUES = 500_000
# First step of the ascent for a layer's slopes, and what is left of it at the last one.
_STEP, _LAST = 0.3, 0.5


class Relaxation:
    """Linear bounds on the ELBO of B balls over S draws, computed in float64.

    vae    a float64 model. ball  what x' can be: float64, already covering (`Ball.cover`).
    noise  (S, 1, k), shared by all images.
    t      clean images (B, C, H, W) for target "reconstruction", None for t = x'.
    weight +1 or -1, see above. arithmetic  what the bounds have to cover.
    """

    def __init__(
        self, vae: VAE, ball: Ball, noise: Tensor, t: Tensor | None, weight: int, arithmetic: Arithmetic
    ) -> None:
        self.vae, self.ball, self.noise, self.weight = vae, ball, noise, weight
        self.arithmetic, self._t = arithmetic, t
        self._passages: dict[str, Passage] = {}

    @property
    def scored(self) -> Interval:
        """Bounds on the scored image t, (B, C, H, W)."""
        return self.ball.box if self._t is None else Interval(self._t, self._t)

    @property
    def moves(self) -> bool:
        """Whether the scored image is x' itself."""
        return self._t is None

    def exact(self) -> Relaxation:
        """The same without rounding margins: cheaper, for optimisers."""
        return Relaxation(self.vae, self.ball, self.noise, self._t, self.weight, EXACT)

    def single(self) -> Relaxation:
        """The same in float32, without rounding margins: for optimisers only."""
        dtype = torch.float32
        ball = Ball(self.ball.center.to(dtype), self.ball.eps.to(dtype), self.ball.norm)
        t = None if self._t is None else self._t.to(dtype)
        return Relaxation(in_dtype(self.vae, dtype), ball, self.noise.to(dtype), t, self.weight, EXACT)

    def copies(self, count: int) -> Relaxation:
        """The same single ball `count` times."""

        def copy(v: Tensor) -> Tensor:
            return v.expand(count, *v.shape[1:])

        ball = Ball(copy(self.ball.center), copy(self.ball.eps), self.ball.norm)
        t = None if self._t is None else copy(self._t)
        return Relaxation(self.vae, ball, self.noise, t, self.weight, self.arithmetic)

    def interval_bounds(self) -> LayerBounds:
        return interval_bounds(self.vae, self.ball.box, self.noise, self.arithmetic)

    def tighten(self, bounds: LayerBounds, steps: int = 0) -> LayerBounds:
        """Bounds from linear relaxation for ReLUs that are not yet stable, mu, logvar and the natural
        parameters, each cut with `bounds`; the layers between follow by interval propagation.

        steps  of ascent for the slopes of each unit, but for the natural parameters: they are many,
               and what they gain is less than what the layers before them do.
        """
        return self.tighten_decoder(self.tighten_encoder(bounds, steps), steps)

    def tighten_encoder(self, bounds: LayerBounds, steps: int = 0) -> LayerBounds:
        """The same up to mu and logvar, and for z what follows from them."""
        encoder = self._tighten_part("encoder", bounds, bounds.encoder, steps)
        z = cut(bounds.decoder[0], latent_bounds(encoder[-1], self.noise, self.arithmetic))
        return LayerBounds(encoder, [z, *bounds.decoder[1:]])

    def tighten_decoder(self, bounds: LayerBounds, steps: int = 0) -> LayerBounds:
        """The same from z on."""
        decoder = self._tighten_part("decoder", bounds, bounds.decoder, steps)
        return LayerBounds(bounds.encoder, decoder)

    def _tighten_part(
        self, part: str, bounds: LayerBounds, before: list[Interval], steps: int
    ) -> list[Interval]:
        network = self.vae.encoder if part == "encoder" else self.vae.decoder
        known = [before[0]]
        for index, layer in enumerate([*network, None]):
            if index > 0:
                known.append(cut(before[index], propagate(network[index - 1], known[-1], self.arithmetic)))
            if layer is not None and not is_relu(layer):
                continue
            if part == "encoder" and self.ball.norm == "linf" and _affine_layers(network, index) < 2:
                continue  # one affine map of a box: interval propagation is exact
            seen = [*known, *before[index + 1 :]]
            now = (
                LayerBounds(seen, bounds.decoder)
                if part == "encoder"
                else LayerBounds(bounds.encoder, seen)
            )
            known[-1] = self._tighten_layer(part, index, now, steps)
        return known

    def _tighten_layer(self, part: str, index: int, bounds: LayerBounds, steps: int) -> Interval:
        network, inputs = (
            (self.vae.encoder, bounds.encoder) if part == "encoder" else (self.vae.decoder, bounds.decoder)
        )
        units = open_units(inputs[index], index < len(network))
        if len(units) == 0:
            return inputs[index]
        hidden = part == "encoder" or index < len(network)
        widest = max(x.lower[0].numel() for x in [*bounds.encoder, *bounds.decoder])
        size = max(1, _VALUES // (2 * widest * len(bounds.decoder[0].lower)))
        parts = []
        for chosen in units.split(size):
            slopes = self._search(part, index, chosen, bounds, steps if hidden else 0)
            low = self._lowest_units(part, index, chosen, bounds, slopes)
            parts.append(low.T.unflatten(1, (2, -1)))
        lower, minus_upper = torch.cat(parts, 2).unbind(1)
        found = Interval(lower, -minus_upper).guarded()
        return cut_units(inputs[index], units, found)

    def _search(self, part: str, index: int, units: Tensor, bounds: LayerBounds, steps: int) -> Slopes:
        """Slopes for each unit and for minus it, improved by `steps` of ascent; 0: the defaults."""
        if steps == 0:
            return Slopes()
        exact, slopes = self.exact(), row_slopes(self.vae, part, index, 2 * len(units), bounds)

        def repair() -> None:
            for share in slopes.shares():
                share.clamp_(0, 1)

        def bound() -> Tensor:
            return exact._lowest_units(part, index, units, bounds, slopes)

        for _ in ascend(bound, [(slopes.tensors(), _STEP)], steps, _LAST, repair):
            pass
        return slopes

    def _passage(self, part: str, index: int, bounds: LayerBounds) -> Passage:
        """From the input of a layer back to the input of its network; the last ones are kept."""
        network, inputs = (
            (self.vae.encoder, bounds.encoder) if part == "encoder" else (self.vae.decoder, bounds.decoder)
        )
        known = self._passages.get(part)
        if known is None or not known.leads_through(inputs, index):
            known = self._passages[part] = Passage([*network], inputs, index, self.arithmetic)
        return known

    def _lowest_units(
        self, part: str, index: int, units: Tensor, bounds: LayerBounds, slopes: Slopes
    ) -> Tensor:
        """Lower bounds on units of a layer's input and on minus them -> (2U, B) or (2U, S * B)."""
        if part == "encoder":
            a, constant, lost = self._passage(part, index, bounds).pull_units(units, slopes.encoder)
            return self._lowest(a) + (constant - lost)
        a, constant = self.units_to_posterior(index, units, bounds, slopes)
        # Encoder bounds do not depend on the draw: draws become rows.
        draws = self.noise.shape[0]
        a = a.unflatten(1, (draws, -1)).flatten(0, 1)
        a, more, lost = self._to_input(a, bounds, slopes)
        lowest = self._lowest(a) + (more - lost)
        return lowest.unflatten(0, (-1, draws)).flatten(1) + constant

    def _lowest(self, a: Tensor) -> Tensor:
        """Lower bounds on <a, x'> over the balls, rows (R, B, ...) -> (R, B)."""
        return self.ball.lowest(a.flatten(2), self.arithmetic.rounds)

    def _to_input(self, a: Tensor, bounds: LayerBounds, slopes: Slopes) -> tuple[Tensor, Tensor, Tensor]:
        """Rows (R, B, 2k) on mu and logvar -> (R, B, C, H, W), constants and rounding (R, B)."""
        return self._passage("encoder", len(self.vae.encoder), bounds).pull(a, slopes.encoder)

    def units_to_posterior(
        self, index: int, units: Tensor, bounds: LayerBounds, slopes: Slopes
    ) -> tuple[Tensor, Tensor]:
        """Units of a decoder layer's input, and minus each of them -> slopes on mu, logvar
        (2U, S * B, 2k), constants (2U, S * B)."""
        a, constant, lost = self._passage("decoder", index, bounds).pull_units(units, slopes.decoder)
        a, more = self._pull_latent(a, bounds, slopes.sigma)
        return a, constant - lost + more

    def _pull_latent(self, a: Tensor, bounds: LayerBounds, share: Tensor | None) -> tuple[Tensor, Tensor]:
        """From z (R, N, k) to mu and logvar (R, N, 2k)."""
        noise, logvar = self._noise_rows(bounds), bounds.posterior[1]
        logvar = logvar.map(lambda v: v.repeat(len(self.noise), 1))
        scale = a * noise
        low, low_constant = half_exp_lower(logvar, torch.full_like(noise, 0.5) if share is None else share)
        high, high_constant = half_exp_upper(logvar)
        positive, negative = scale.clamp(min=0), scale.clamp(max=0)
        constant = (positive * low_constant).sum(2) + inner(negative, high_constant)
        constant = constant - self.latent_roundoff(a, bounds)
        back = positive * low + negative * high
        return torch.cat([a.expand_as(back), back], -1), constant

    def _noise_rows(self, bounds: LayerBounds) -> Tensor:
        """(S * B, k)."""
        batch = len(bounds.encoder[0].lower)
        return self.noise.expand(-1, batch, -1).flatten(0, 1)

    def latent_roundoff(self, a: Tensor, bounds: LayerBounds) -> Tensor:
        """What rounding in z = mu + exp(logvar / 2) noise, and in its relaxation, can take away; rows a on
        z (R, N, k) -> (R, N)."""
        if not self.arithmetic.rounds:
            return a.new_zeros(())
        mu, logvar = (x.map(lambda v: v.repeat(len(self.noise), 1)) for x in bounds.posterior)
        noise, sigma = self._noise_rows(bounds).abs(), (logvar.upper / 2).exp()
        size = mu.magnitude + sigma * noise
        forward = self.arithmetic.gamma(ELEMENTARY + 3) * size + UNDERFLOW * (1 + noise + sigma)
        forward = self.arithmetic.unless_overflow(forward, torch.maximum(size, sigma))
        # Products of rows, lines and values, and their sums over the dimensions and over the draws.
        own = FLOAT64.gamma(4 * (a.shape[-1] + ELEMENTARY) + len(self.noise))
        return inner(a.abs(), forward + own * (size + sigma * noise * logvar.magnitude))

    def plane(self, bounds: LayerBounds, slopes: Slopes) -> tuple[Tensor, Tensor]:
        """Slope (B, d) and constant (B,): weight * ELBO(x') >= <slope, x'> + constant in the ball."""
        mix = torch.full_like(bounds.decoder[-1].lower, 0.5) if slopes.mix is None else unit(slopes.mix)
        slope, constant, lost = self.planes(bounds, slopes, mix[None])
        return slope[0], (constant - lost)[0]

    def planes(self, bounds: LayerBounds, slopes: Slopes, mixes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """R such planes at once, one for each of mixes (R, S * B or 1, C, H, W) in place of slopes.mix:
        (R, B, d), (R, B), and what each constant has to give up for rounding, (R, B)."""
        draws, likelihood = len(self.noise), self.vae.likelihood
        a, t = bounds.decoder[-1], self.scored.map(lambda v: v.repeat(draws, 1, 1, 1))
        on_a, on_t, constant = (v / draws for v in likelihood.plane(t, a, mixes, self.weight))
        passage = self._passage("decoder", len(self.vae.decoder), bounds)
        rows, more, lost = passage.pull(on_a, slopes.decoder)
        constant = constant.flatten(2).sum(2) + more
        lost = lost + self.latent_roundoff(rows, bounds) + self.scoring_roundoff(t, a) / draws
        on_t = on_t.unflatten(1, (draws, -1)).flatten(3)
        rows, constant, lost = (v.unflatten(1, (draws, -1)) for v in (rows, constant, lost))
        on_mu, scale = rows.sum(1), (rows * self.noise).sum(1)
        on_posterior, from_posterior, lost_posterior = self.pull_posterior(on_mu, scale, bounds, slopes)
        on_x, more, lost_encoder = self._to_input(on_posterior, bounds, slopes)
        on_x = on_x.flatten(2)
        if self.arithmetic.rounds:
            # Sums over the draws, of constants, of pixels that lie in [0, 1], and the two of the caller.
            size = on_x.abs().sum(2) + on_t.abs().sum((1, 3)) + constant.abs().sum(1)
            size = size + from_posterior.abs() + more.abs() + lost.sum(1)
            lost_sums = FLOAT64.gamma(4 * on_x.shape[2] + draws + ELEMENTARY) * size
            lost = lost.sum(1) + lost_posterior + lost_encoder + lost_sums
        else:
            lost = lost.sum(1)
        constant, on_t = constant.sum(1) + from_posterior + more, on_t.sum(1)
        if self._t is None:
            return on_x + on_t, constant, lost
        # The scored image stands still: what the plane has for it is a number.
        return on_x, constant + (on_t * self._t.flatten(1)).sum(2), lost

    def scoring_roundoff(self, t: Interval, a: Interval) -> Tensor | float:
        """What rounding can do to log p and to the plane below it, (N,)."""
        if not self.arithmetic.rounds:
            return 0.0
        likelihood, terms = self.vae.likelihood, a.lower[0].numel() + 2 * ELEMENTARY
        forward = score_roundoff(likelihood, t, a, len(self.noise), self.arithmetic)
        own = likelihood.magnitude(t, a) + a.magnitude.flatten(1).sum(1)
        return forward + 8 * FLOAT64.gamma(terms) * own

    def pull_posterior(
        self, on_mu: Tensor, scale: Tensor, bounds: LayerBounds, slopes: Slopes
    ) -> tuple[Tensor, Tensor, Tensor]:
        """<on_mu, mu> + <scale, exp(logvar / 2)> - weight KL >= <(R, B, 2k), posterior> + (R, B) - (R, B).

        Separable in the 2k coordinates, so that each has its exact intercept; the last is for rounding.
        """
        mu, logvar = bounds.posterior
        on_square = -self.weight * mu.center
        if slopes.mu is not None:
            on_square = on_square + slopes.mu
        on_logvar = logvar_slope(logvar, scale, self.weight)
        if slopes.logvar is not None:
            on_logvar = on_logvar + slopes.logvar
        constant = square_intercept(mu, on_square, self.weight).sum(-1)
        constant = constant + logvar_intercept(logvar, scale, on_logvar, self.weight).sum(-1)
        lost = torch.zeros_like(constant)
        if self.arithmetic.rounds:
            size = mu.magnitude * (mu.magnitude + on_square.abs())
            size = size + (1 + logvar.magnitude) * (
                logvar.upper.exp() + 1 + scale.abs() * (logvar.upper / 2).exp() + on_logvar.abs()
            )
            own = FLOAT64.gamma(mu.lower.shape[1] + 2 * ELEMENTARY)
            lost = kl_roundoff(mu, logvar, self.arithmetic) + own * size.sum(-1)
        rows = torch.cat([on_mu + on_square, on_logvar], -1)
        if slopes.tie is not None:
            rows = rows + slopes.tie
            constant = constant - highest(slopes.tie, bounds.encoder[-1], self.arithmetic)
        return rows, constant, lost

    def bound(self, bounds: LayerBounds, slopes: Slopes) -> Tensor:
        """Lower bound on weight * ELBO over the ball, (B,)."""
        slope, constant = self.plane(bounds, slopes)
        return self._lowest(slope[None])[0] + constant


def _affine_layers(network: nn.Sequential, count: int) -> int:
    return sum(affine(layer) is not None for layer in network[:count])
