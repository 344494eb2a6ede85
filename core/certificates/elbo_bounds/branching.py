"""Branch and bound on the posterior: the box of mu and logvar is cut into smaller and smaller boxes.

What relaxation loses on a robust model it loses to curvature: log p is concave in the natural parameters
and -KL in mu, and a chord over an interval of width w is off by w^2 times the curvature / 8. In a small
box of posteriors everything is nearly linear. The minimum over the leaves is a bound at any time.

A leaf costs no backward pass per neuron: the root's linear bounds of every decoder unit in terms of mu
and logvar are kept and evaluated over the leaf's box. The image stays tied to the box by multipliers
(`Slopes.box_multipliers`), so that a leaf that few images of the ball can reach is not paid for in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from core.bounds.intersect import cut, cut_units, open_units
from core.bounds.interval import Interval
from core.bounds.rounding import FLOAT64, proved
from core.certificates.elbo_bounds import in_ball
from core.certificates.elbo_bounds.alpha import optimise
from core.certificates.elbo_bounds.layer_bounds import LayerBounds, latent_bounds
from core.certificates.elbo_bounds.relaxation import DecoderUnits, LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes, mapped
from core.vae.likelihood import OneParameter

# Leaves that are split at once, and optimisation steps for their halves: with fewer, some leaf is not
# improved, split in vain, and all rounds go to it.
_LEAVES, _ITERATIONS = 16, 12


@dataclass(frozen=True)
class UnitBounds:
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
    """M boxes of posteriors, (M, 2k).

    value (M,): bounds on weight * ELBO, nats. cost (M, 2k): how much the width of each coordinate costs.
    slopes: in float32, of M images and so many draws.
    """

    value: Tensor
    box: Interval
    cost: Tensor
    slopes: Slopes
    draws: int

    def take(self, index: Tensor) -> Leaves:
        box, slopes = self.box.map(lambda v: v[index]), take_images(self.slopes, index, self.draws)
        return Leaves(self.value[index], box, self.cost[index], slopes, self.draws)

    def joined(self, more: Leaves) -> Leaves:
        value, low, high, cost = (
            torch.cat(pair) for pair in zip(self._tensors(), more._tensors(), strict=True)
        )
        slopes = join_images(self.slopes, more.slopes, self.draws)
        return Leaves(value, Interval(low, high), cost, slopes, self.draws)

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.value, self.box.lower, self.box.upper, self.cost


def take_images(slopes: Slopes, index: Tensor, draws: int) -> Slopes:
    """The slopes of some of the images, as often as the index names them."""

    def by_draw(v: Tensor) -> Tensor:
        return v.unflatten(0, (draws, -1))[:, index].flatten(0, 1)

    return mapped(lambda v: v[index], by_draw, slopes)


def join_images(one: Slopes, other: Slopes, draws: int) -> Slopes:
    """The slopes of the images of both."""

    def by_draw(*parts: Tensor) -> Tensor:
        return torch.cat([v.unflatten(0, (draws, -1)) for v in parts], 1).flatten(0, 1)

    return mapped(lambda *parts: torch.cat(parts), by_draw, one, other)


class Branching:
    """Branch and bound for one ball: a relaxation with B = 1, its tightened bounds and optimised slopes."""

    def __init__(self, relaxation: Relaxation, bounds: LayerBounds, slopes: Slopes) -> None:
        self._root, self._bounds, self._fast = relaxation, bounds, relaxation.single()
        none = torch.zeros_like(bounds.encoder[-1].lower)
        self._slopes = replace(slopes, box_multipliers=none).to(torch.float32)
        self._units = self._unit_bounds()

    def run(self, rounds: int) -> Iterator[Tensor]:
        """Yields the bound (1,) after each round of splits, never lower than before."""
        posterior = self._bounds.encoder[-1]
        floor = in_ball.best(LinearBounds(self._root, self._bounds), self._slopes)
        leaves = self._evaluate(posterior, self._slopes, floor)
        for _ in range(rounds):
            order = leaves.value.argsort()
            worst, rest = leaves.take(order[:_LEAVES]), leaves.take(order[_LEAVES:])
            split = worst.cost.argmax(1)
            halves = _halve(worst.box, split)
            both = torch.arange(len(split), dtype=torch.int64, device=split.device).repeat(2)
            slopes = take_images(worst.slopes, both, leaves.draws)
            leaves = rest.joined(self._evaluate(halves, slopes, worst.value.repeat(2)))
            yield leaves.value.min()[None]

    def _unit_bounds(self) -> dict[int, UnitBounds]:
        linear, found = LinearBounds(self._root, self._bounds), {}
        for index in linear.decoder.stops:
            units = open_units(self._bounds.decoder[index], index < len(linear.decoder.network))
            if len(units) > 0:
                found[index] = UnitBounds(
                    units, *DecoderUnits(linear, linear.decoder, index).to_posterior(units, Slopes())
                )
        return found

    def _leaf_bounds(self, posterior: Interval) -> LayerBounds:
        """Bounds on every layer for M boxes of posteriors."""
        root, count = self._root, len(posterior.lower)
        encoder = [x.map(lambda v: v.expand(count, *v.shape[1:])) for x in self._bounds.encoder[:-1]]
        known = [x.map(lambda v: self._per_draw(v, count)) for x in self._bounds.decoder]
        bounds = LayerBounds([*encoder, posterior], known)
        decoder = [cut(known[0], latent_bounds(posterior, root.noise, root.arithmetic))]
        for index in bounds.halves(root.vae)[1].walk(decoder, root.arithmetic):
            if index in self._units:
                form = self._units[index]
                decoder[-1] = cut_units(decoder[-1], form.units, form.over(posterior, root))
        return LayerBounds(bounds.encoder, decoder)

    def _per_draw(self, v: Tensor, count: int) -> Tensor:
        """(S, ...) -> (S * M, ...)."""
        return v[:, None].expand(-1, count, *v.shape[1:]).flatten(0, 1)

    def _evaluate(self, box: Interval, slopes: Slopes, floor: Tensor) -> Leaves:
        """Bound M boxes: the slopes are improved in place in float32, the bounds proved in float64."""
        count, bounds = len(floor), self._leaf_bounds(box)
        fast = self._fast.copies(count)
        for _ in optimise(fast, bounds.to(torch.float32), slopes, _ITERATIONS):
            pass
        linear = LinearBounds(self._root.copies(count), bounds)
        value = proved(in_ball.best(linear, slopes.to(torch.float64)))
        cost = self._cost(bounds, box)
        return Leaves(torch.maximum(value, floor), box, cost, slopes, bounds.draws)

    def _cost(self, bounds: LayerBounds, box: Interval) -> Tensor:
        """What each coordinate costs, (M, 2k): the chords' losses, shared out by what makes them wide."""
        form, natural = self._units[len(self._root.vae.decoder)], bounds.decoder[-1]
        draws, width = bounds.draws, natural.width.flatten(1)
        likelihood = cast(OneParameter, self._root.vae.likelihood)
        loss = likelihood.curvature(natural).flatten(1) * width**2 / 8 / draws
        per_width = (loss / torch.where(width > 0, width, 1)).unflatten(0, (draws, -1))
        slope = form.slope[: len(form.units)].abs()
        cost = torch.einsum("smu,usk->mk", per_width, slope) * box.width
        mu = box.width.chunk(2, 1)[0]
        return cost + torch.cat([mu**2 / 8, torch.zeros_like(mu)], 1)


def _halve(box: Interval, split: Tensor) -> Interval:
    """Halve M boxes, each along its own coordinate: (2M, d)."""
    here = torch.zeros_like(box.lower, dtype=torch.bool).scatter(1, split[:, None], True)
    lower = torch.cat([box.lower, torch.where(here, box.center, box.lower)])
    upper = torch.cat([torch.where(here, box.center, box.upper), box.upper])
    return Interval(lower, upper)
