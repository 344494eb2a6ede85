"""Branch and bound on the posterior: the box of mu and logvar is cut into smaller and smaller boxes.

What relaxation loses on a robust model it loses to curvature: log p is concave in the natural parameters
and -KL in mu, and a chord over an interval of width w is off by w^2 times the curvature / 8. In a small
box of posteriors everything is nearly linear. The minimum over the leaves is a bound at any time.

A leaf costs no backward pass per neuron: the root's linear bounds of every decoder unit in terms of mu
and logvar are kept and evaluated over the leaf's box. The image stays tied to the box by multipliers
(`Slopes.tie`), so that a leaf that few images of the ball can reach is not paid for in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.alpha import optimise
from core.bounds.cuts import cut, cut_units, open_units
from core.bounds.interval import Interval, propagate
from core.bounds.rounding import FLOAT64
from core.layers import LayerBounds, latent_bounds
from core.relaxation import Relaxation, Slopes

# Leaves that are split at once, and optimisation steps for their halves.
_LEAVES, _ITERATIONS = 16, 8


@dataclass(frozen=True)
class Form:
    """Linear lower bounds of +unit and -unit of one decoder layer in terms of mu and logvar."""

    units: Tensor
    slope: Tensor
    constant: Tensor

    def over(self, posterior: Interval, root: Relaxation) -> Interval:
        """Bounds on the units over M boxes of posteriors (M, 2k) -> (S * M, U)."""
        rows = self.slope.transpose(0, 1)
        lower = rows.clamp(min=0) @ posterior.lower.T + rows.clamp(max=0) @ posterior.upper.T
        lower = lower + self.constant.T[..., None]
        if root.arithmetic.rounds:
            size = rows.abs() @ posterior.magnitude.T + self.constant.T.abs()[..., None]
            lower = lower - FLOAT64.gamma(2 * rows.shape[-1] + 2) * size
        lower, minus_upper = lower.transpose(1, 2).flatten(0, 1).chunk(2, 1)
        return Interval(lower, -minus_upper).guarded()


@dataclass(frozen=True)
class Leaves:
    """M boxes: their bounds, multipliers, and how much each coordinate's width costs."""

    value: Tensor
    box: Interval
    tie: Tensor
    cost: Tensor

    def take(self, index: Tensor) -> Leaves:
        return Leaves(
            self.value[index], self.box.map(lambda v: v[index]), self.tie[index], self.cost[index]
        )

    def joined(self, more: Leaves) -> Leaves:
        both = [torch.cat(pair) for pair in zip(self._tensors(), more._tensors(), strict=True)]
        return Leaves(both[0], Interval(both[1], both[2]), both[3], both[4])

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.value, self.box.lower, self.box.upper, self.tie, self.cost


class Branching:
    """Splitting for one ball: a relaxation with B = 1, its tightened bounds and optimised slopes."""

    def __init__(self, relaxation: Relaxation, bounds: LayerBounds, slopes: Slopes) -> None:
        self._root, self._bounds, self._slopes = relaxation, bounds, slopes
        self._forms = self._linear_forms()

    def run(self, rounds: int) -> Iterator[Tensor]:
        """Yields the bound (1,) after each round of splits, never lower than before."""
        posterior = self._bounds.encoder[-1]
        floor = self._root.bound(self._bounds, self._slopes)
        tie = torch.zeros_like(posterior.lower)
        leaves = self._evaluate(posterior, tie, floor)
        for _ in range(rounds):
            order = leaves.value.argsort()
            worst, rest = leaves.take(order[:_LEAVES]), leaves.take(order[_LEAVES:])
            split = worst.cost.argmax(1)
            halves = _halve(worst.box, split)
            new = self._evaluate(halves, worst.tie.repeat(2, 1), worst.value.repeat(2))
            leaves = rest.joined(new)
            yield leaves.value.min()[None]

    def _linear_forms(self) -> dict[int, Form]:
        network, forms = self._root.vae.decoder, {}
        for index, layer in enumerate([*network, None]):
            if layer is not None and not isinstance(layer, nn.ReLU):
                continue
            x = self._bounds.decoder[index]
            units = open_units(x, layer is not None)
            if len(units) > 0:
                rows = self._root.units_to_posterior(index, units, self._bounds, Slopes())
                forms[index] = Form(units, *rows)
        return forms

    def _leaf_bounds(self, posterior: Interval) -> LayerBounds:
        """Bounds on every layer for M boxes of posteriors."""
        root, count = self._root, len(posterior.lower)
        encoder = [x.map(lambda v: v.expand(count, *v.shape[1:])) for x in self._bounds.encoder[:-1]]
        known = [x.map(lambda v: self._per_draw(v, count)) for x in self._bounds.decoder]
        decoder = [cut(known[0], latent_bounds(posterior, root.noise, root.arithmetic))]
        for index, layer in enumerate(root.vae.decoder, 1):
            x = cut(known[index], propagate(layer, decoder[-1], root.arithmetic))
            if index in self._forms:
                form = self._forms[index]
                x = cut_units(x, form.units, form.over(posterior, root))
            decoder.append(x)
        return LayerBounds([*encoder, posterior], decoder)

    def _per_draw(self, v: Tensor, count: int) -> Tensor:
        """(S, ...) -> (S * M, ...)."""
        return v[:, None].expand(-1, count, *v.shape[1:]).flatten(0, 1)

    def _evaluate(self, box: Interval, tie: Tensor, floor: Tensor) -> Leaves:
        count = len(tie)
        bounds, slopes = self._leaf_bounds(box), self._copies(count, tie)
        relaxation = self._root.copies(count)
        for _ in optimise(relaxation.exact(), bounds, slopes, _ITERATIONS):
            pass
        value = relaxation.bound(bounds, slopes).nan_to_num(-torch.inf)
        assert slopes.tie is not None
        return Leaves(torch.maximum(value, floor), box, slopes.tie, self._cost(bounds, box))

    def _copies(self, count: int, tie: Tensor) -> Slopes:
        root = self._slopes

        def per_image(v: Tensor | None) -> Tensor | None:
            return None if v is None else v.expand(count, *v.shape[1:]).clone()

        return Slopes(
            encoder={i: v.expand(count, *v.shape[1:]).clone() for i, v in root.encoder.items()},
            decoder={i: self._per_draw(v, count).clone() for i, v in root.decoder.items()},
            mix=None if root.mix is None else self._per_draw(root.mix, count).clone(),
            mu=per_image(root.mu),
            logvar=per_image(root.logvar),
            tie=tie.clone(),
        )

    def _cost(self, bounds: LayerBounds, box: Interval) -> Tensor:
        """Which coordinate to halve, (M, 2k): the chords' losses, shared out by what makes them wide."""
        form, natural = self._forms[len(self._root.vae.decoder)], bounds.decoder[-1]
        draws, width = bounds.draws, natural.width.flatten(1)
        loss = self._root.vae.likelihood.curvature(natural).flatten(1) * width**2 / 8 / draws
        per_width = (loss / torch.where(width > 0, width, 1)).unflatten(0, (draws, -1))
        slope = form.slope[: len(form.units)].abs()
        cost = torch.einsum("smu,usk->mk", per_width, slope) * box.width
        mu = box.width.chunk(2, 1)[0]
        return cost + torch.cat([mu**2 / 8, torch.zeros_like(mu)], 1)


def _halve(box: Interval, split: Tensor) -> Interval:
    """Both halves of M boxes, each along its own coordinate, (2M, d)."""
    here = torch.zeros_like(box.lower, dtype=torch.bool).scatter(1, split[:, None], True)
    lower = torch.cat([box.lower, torch.where(here, box.center, box.lower)])
    upper = torch.cat([torch.where(here, box.center, box.upper), box.upper])
    return Interval(lower, upper)
