"""What lies before a layer of a VAE, as affine forms of bounded variables: for `layer_relaxation`.

The variables, |y_i| <= 1 each, come in the order of the forward pass of a single draw: pixels, the errors
of each ReLU of the encoder, those of exp(logvar / 2), those of each ReLU of the decoder. A form of an
early value has no columns for later variables.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.bounds.interval import Interval
from core.bounds.linear import roundoff, rows_roundoff, unit_rows
from core.bounds.relaxations import chord_share, half_exp_form, relu_form
from core.bounds.rounding import ELEMENTARY, FLOAT64, Arithmetic
from core.bounds.rule_table import is_relu
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import Relaxation
from core.certificates.semidefinite.layer_relaxation import (
    AffineForms,
    Bounder,
    Multipliers,
    ReluLayer,
    Rows,
)
from core.certificates.semidefinite.zonotope import exact_pull, pull_zonotope
from core.errors import UnsupportedLayerError
from core.network.graph import Network


class LayerForms:
    """An encoder or a decoder as affine forms of its input and of its ReLUs' errors.

    inputs  inputs[i] bounds the input of layer i, of one ball and draw, (1, ...).
    start   forms of the network's input, flattened.
    unstable  for each ReLU, which of its units could be negative or positive.
    """

    def __init__(
        self, network: Network, inputs: list[Interval], start: AffineForms, arithmetic: Arithmetic
    ) -> None:
        if not isinstance(network, nn.Sequential):
            raise UnsupportedLayerError("Affine forms are of networks whose layers are a chain.")
        self.network, self.inputs, self._start, self.arithmetic = network, inputs, start, arithmetic
        relus = [i for i, (layer, _) in enumerate(zip(network, inputs, strict=False)) if is_relu(layer)]
        self._shares = {i: chord_share(inputs[i]) for i in relus}
        # As pull_zonotope counts its errors: a range of the smallest numbers may leave none.
        radii = {i: relu_form(inputs[i], self._shares[i])[1].flatten() for i in relus}
        self.unstable = {i: (radius > 0).nonzero()[:, 0] for i, radius in radii.items()}

    def unstable_relus(self, count: int) -> list[int]:
        """The ReLUs among the first layers that are not stable."""
        return [i for i, units in self.unstable.items() if i < count and len(units) > 0]

    def count(self, layers: int) -> int:
        """How many units of the first layers are not stable."""
        return sum(len(self.unstable[i]) for i in self.unstable_relus(layers))

    def forms(self, index: int, rows: Tensor) -> AffineForms:
        """R affine forms of rows (R, 1, ...) of the input of a layer, or of the network's output."""
        network, start = self.network[:index], self._start
        f = pull_zonotope(network, rows, self.inputs[: index + 1], self._shares, self.arithmetic)
        on_start = f.slope[:, 0].flatten(1)
        # pull_zonotope has the deepest ReLU's errors first.
        counts = [len(units) for i, units in self.unstable.items() if i < index]
        errors = f.errors[:, 0].split(counts[::-1] or [0], 1)[::-1]
        size = on_start.abs() @ start.reach
        own = FLOAT64.gamma(4 * len(start.rounding)) * size
        rounding = f.rounding[:, 0] + on_start.abs() @ start.rounding + own
        slope = torch.cat([on_start @ start.slope, *errors], 1)
        return AffineForms(slope, on_start @ start.constant + f.constant[:, 0], rounding)

    def units(self, index: int) -> AffineForms:
        """The unstable units of a ReLU's input."""
        return self.forms(index, unit_rows(self.unstable[index], self.inputs[index]))

    def bounds(self, index: int) -> Interval:
        """Bounds on the unstable units of a ReLU's input, (M,)."""
        return self.inputs[index].map(lambda v: v.flatten()[self.unstable[index]])

    def products(self, count: int) -> tuple[AffineForms, AffineForms]:
        """Values h of the H unstable ReLUs among the first layers, and h - v for each: H forms each."""
        hidden, gaps = self._start.none(), self._start.none()
        for index in self.unstable_relus(count):
            v, units = self.units(index), self.unstable[index]
            slope, radius = relu_form(self.bounds(index), self._shares[index].flatten()[units])
            errors = torch.cat([torch.zeros_like(v.slope), torch.diag(radius)], 1)
            error = AffineForms(errors, radius, v.rounding + self._relu_roundoff(index)[units])
            hidden = hidden.joined(v.scaled(slope).plus(error))
            gaps = gaps.joined(v.scaled(slope - 1).plus(error))
        return hidden, gaps

    def _relu_roundoff(self, index: int) -> Tensor:
        """How far rounding can move each output of a ReLU, flat."""
        layer, x = self.network[index], self.inputs[index]
        moved = roundoff(layer, x, self.arithmetic) if self.arithmetic.rounds else None
        return torch.zeros_like(x.lower).flatten() if moved is None else moved.flatten()


def encoder_forms(relaxation: Relaxation, inputs: list[Interval]) -> LayerForms:
    """The encoder as affine forms of the pixels; inputs[i] bounds the input of layer i, up to any layer."""
    middle, radius = relaxation.ball.box.centered()
    pixels = AffineForms(torch.diag(radius), middle, torch.zeros_like(middle))
    return LayerForms(relaxation.vae.encoder, inputs, pixels, relaxation.arithmetic)


def decoder_forms(
    relaxation: Relaxation, bounds: LayerBounds, posterior: AffineForms, draw: int
) -> LayerForms:
    """The decoder as affine forms for one draw; posterior: forms of mu and logvar."""
    z = latent_forms(relaxation, bounds, posterior, draw)
    inputs = [x.map(lambda v: v[draw : draw + 1]) for x in bounds.decoder]
    return LayerForms(relaxation.vae.decoder, inputs, z, relaxation.arithmetic)


def posterior_forms(layers: LayerForms) -> AffineForms:
    """mu and logvar as 2k affine forms, from those of an encoder."""
    output = layers.inputs[-1].lower
    rows = torch.eye(output.shape[1], dtype=output.dtype, device=output.device)
    return layers.forms(len(layers.network), rows[:, None])


def latent_forms(
    relaxation: Relaxation, bounds: LayerBounds, posterior: AffineForms, draw: int
) -> AffineForms:
    """z = mu + exp(logvar / 2) noise of one draw as k affine forms: a variable more for each dimension."""
    noise, (_, logvar) = relaxation.noise[draw, 0], bounds.posterior
    k, draws = len(noise), len(relaxation.noise)
    slope, middle, radius = (v[0] for v in half_exp_form(logvar, torch.full_like(noise, 0.5)))
    mu, log = posterior.chosen(slice(0, k)), posterior.chosen(slice(k, 2 * k))
    errors = torch.cat([torch.zeros_like(mu.slope), torch.diag(noise * radius)], 1)
    moved = AffineForms(errors, noise * middle, torch.zeros_like(noise))
    z = mu.plus(log.scaled(noise * slope)).plus(moved)
    rows = torch.eye(k, dtype=noise.dtype, device=noise.device)[:, None].expand(-1, draws, -1)
    rounding = relaxation.latent_roundoff(rows, bounds)
    if relaxation.arithmetic.rounds:
        rounding = rounding[:, draw] + FLOAT64.gamma(4 * ELEMENTARY) * z.reach
    return AffineForms(z.slope, z.constant, z.rounding + rounding)


class PrefixBounder:
    """Bounds on linear functions of the input of layer `count` of an encoder or decoder, or of its output.

    The last unstable ReLUs get a parabola each, those before them multipliers; known: values
    and gaps of the encoder's ReLUs, for a decoder.
    """

    def __init__(
        self, layers: LayerForms, count: int, known: tuple[AffineForms, AffineForms] | None = None
    ) -> None:
        self._layers, self._count = layers, count
        self._last = layers.unstable_relus(count)[-1]
        v, bounds = layers.units(self._last), layers.bounds(self._last)
        hidden, gaps = layers.products(self._last)
        if known is not None:
            hidden, gaps = known[0].joined(hidden), known[1].joined(gaps)
        columns = v.slope.shape[1]
        self._bounder = Bounder(ReluLayer(v, bounds, hidden.padded(columns), gaps.padded(columns)))

    def lowest(
        self, rows: Tensor, steps: int, like: Multipliers | None = None
    ) -> tuple[Tensor, Multipliers]:
        """Lower bounds (R,) on <rows, input>, rows (R, 1, ...), and the multipliers that gave them.

        like  multipliers of the same rows in another draw: half of the steps will do.
        """
        size, start = self._layers.inputs[self._last].lower.numel(), None
        if like is not None and like.bend.shape[1] == size and self._bounder.fits(like):
            start, steps = like.on(self._unstable), steps // 2
        values, found = self._bounder.highest(self._rows(-rows), steps, start)
        return -values, found.spread(self._unstable, size)

    @property
    def _unstable(self) -> Tensor:
        return self._layers.unstable[self._last]

    def _rows(self, rows: Tensor) -> Rows:
        """Pull rows back to the last unstable ReLUs, and their active units on to the variables."""
        layers, last = self._layers, self._last
        constant = rounding = rows.new_zeros(len(rows), 1)
        for index in reversed(range(last + 1, self._count)):
            layer, x = layers.network[index], layers.inputs[index]
            rounding = rounding + rows_roundoff(layer, rows, x, layers.arithmetic)
            rows, more = exact_pull(layer, rows, x)
            constant = constant + more
        x, rows = layers.inputs[last], rows.expand(-1, 1, *layers.inputs[last].lower.shape[1:])
        rounding = rounding + rows_roundoff(layers.network[last], rows, x, layers.arithmetic)
        active = layers.forms(last, torch.where(x.lower >= 0, rows, 0))
        size = active.reach + constant[:, 0].abs()
        return Rows(
            rows.flatten(1)[:, self._unstable],
            active.slope,
            active.constant + constant[:, 0],
            active.rounding + rounding[:, 0],
            size,
        )
