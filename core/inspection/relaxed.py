"""The lines that a linear bound lays in the place of each unit that is not linear, and what each costs it.

The lines of a layer are read off the very rule that bounds are pulled back by, `core.bounds.linear.pull`:
of the row +1 of a unit it gives the line below its output, of the row -1 the one above. A rule is linear in
rows of one sign, so that the derivative of its constant is the line's intercept, unit by unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.bounds.interval import Interval
from core.bounds.linear import pull
from core.bounds.relaxations import logvar_intercept, logvar_term, square_intercept
from core.bounds.rule_table import bends, name_of
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import Relaxation
from core.network.graph import sources_of
from core.vae.likelihood import OneParameter
from core.vae.model import VAE

LIKELIHOOD = "likelihood"
# Numbers that a layer is given at once where one of its units is drawn.
_TOGETHER = 1 << 20


@dataclass(frozen=True)
class Plane:
    """The sum of slopes[i] v_i, plus a constant: for each unit its own, all (D, ...)."""

    slopes: tuple[Tensor, ...]
    constant: Tensor

    def at(self, values: Sequence[Tensor]) -> Tensor:
        return sum((s * v for s, v in zip(self.slopes, values, strict=True)), self.constant)


@dataclass(frozen=True)
class Relaxed:
    """Units that are not linear, as one linear bound takes them; D = 1 before z, a row a draw from there.

    name    a layer's, as in Certificate.intervals: its outputs are the units. "mu", "logvar": what the ELBO
            makes of each dimension of the posterior. LIKELIHOOD: log p of each pixel, where it has one
            parameter a pixel.
    op      what it does: a layer's class, or its function.
    inputs  bounds on each of the values that a unit takes, (D, ...) in the shape of the units.
    below, above  below <= unit <= above wherever the inputs are in their bounds; None where the bound never
            needs it.
    rows    nats by which the bound rises with the unit, (D, ...): where it is positive, `below` stands for
            the unit, else `above`.
    worst   the inputs' values where the bound is lowest. cost: nats that the line gives up there, at least
            0 but for rounding.
    scale   for "logvar", see core.bounds.relaxations.logvar_term.
    """

    name: str
    op: str
    inputs: tuple[Interval, ...]
    below: Plane
    above: Plane | None
    rows: Tensor
    worst: tuple[Tensor, ...]
    cost: Tensor
    scale: Tensor | None = None


def planes_of(layer: nn.Module, inputs: Sequence[Interval], share: Any = None) -> tuple[Plane, Plane]:
    """What `pull` lays below and above each unit of a layer, given bounds (N, ...) on what it takes in the
    shape of its output. share: see `pull`."""
    taken = inputs[0] if len(inputs) == 1 else tuple(inputs)
    found = list[Plane]()
    for sign in (1.0, -1.0):
        with torch.enable_grad():
            rows = torch.full_like(inputs[0].lower[None], sign).requires_grad_()
            back, constant = pull(layer, rows, taken, share)
            intercept = torch.zeros_like(rows)
            if constant.requires_grad:
                (intercept,) = torch.autograd.grad(
                    constant.sum(), rows, retain_graph=True, materialize_grads=True
                )
        backs = (back,) if len(inputs) == 1 else back
        found.append(Plane(tuple(sign * b.detach()[0] for b in backs), intercept[0]))
    return found[0], found[1]


def relaxed_layer(
    name: str, layer: nn.Module, inputs: Sequence[Interval], share: Any, at: Sequence[Tensor], rows: Tensor
) -> Relaxed:
    """The units of a layer with rows (N, ...) of a bound on its output; inputs: bounds on what it takes,
    and `at` the values, (N, ...) each, where the bound is lowest."""
    shape = rows.shape
    wide = tuple(x.map(lambda v: v.expand(shape)) for x in inputs)
    below, above = planes_of(layer, wide, share)
    values = tuple(v.expand(shape) for v in at)
    line = rows.clamp(min=0) * below.at(values) + rows.clamp(max=0) * above.at(values)
    return Relaxed(name, name_of(layer), wide, below, above, rows, values, rows * layer(*at) - line)


def relaxed_posterior(
    relaxation: Relaxation,
    bounds: LayerBounds,
    scale: Tensor,
    slopes: tuple[Tensor, Tensor],
    multipliers: Tensor | None,
    at: tuple[Tensor, Tensor],
) -> tuple[Relaxed, Relaxed]:
    """What the ELBO makes of mu and of logvar, (1, k) each: all that is not linear in them. scale (1, k) of
    exp(logvar / 2); slopes: of the lines below; multipliers (1, 2k): see `Slopes.box_multipliers`."""
    (mu, logvar), weight = bounds.posterior, relaxation.weight
    constants = (
        square_intercept(mu, slopes[0], weight),
        logvar_intercept(logvar, scale, slopes[1], weight),
    )
    extra = (torch.zeros_like(scale),) * 2 if multipliers is None else multipliers.chunk(2, -1)
    found = list[Relaxed]()
    for name, x, slope, constant, more, v in zip(
        ("mu", "logvar"), (mu, logvar), slopes, constants, extra, at, strict=True
    ):
        # f >= f + more v - max(more v): that is part of the line.
        below = Plane((slope + more,), constant - torch.maximum(more * x.lower, more * x.upper))
        value = _of_posterior(name, v, scale, weight)
        one, factor = torch.ones_like(scale), scale if name == "logvar" else None
        found.append(Relaxed(name, name, (x,), below, None, one, (v,), value - below.at((v,)), factor))
    return found[0], found[1]


def relaxed_likelihood(
    relaxation: Relaxation, inputs: tuple[Interval, Interval], mix: Tensor, at: tuple[Tensor, Tensor]
) -> Relaxed | None:
    """log p of each pixel and draw, in nats of the draw's own ELBO; None where it has more parameters than
    one. inputs, at: of the scored image t, and of the natural parameters, (S, C, H, W) each."""
    likelihood = relaxation.vae.likelihood
    if not isinstance(likelihood, OneParameter):
        return None
    t, a = inputs
    shape, weight = a.lower.shape, relaxation.weight
    on_a, on_t, constant = (v.expand(shape) for v in likelihood.plane(t, a, mix, weight))
    value = weight * _pixels(relaxation.vae, *at)
    if relaxation.moves:
        taken, below, values = (t, a), Plane((on_t, on_a), constant), at
    else:  # the scored image stands still: what the plane has for it is a number
        taken, below, values = (a,), Plane((on_a,), constant + on_t * t.lower), at[1:]
    share = torch.full_like(a.lower, 1 / len(relaxation.noise))
    cost = share * (value - below.at(values))
    return Relaxed(LIKELIHOOD, "log p", taken, below, None, share, values, cost)


def _pixels(vae: VAE, t: Tensor, a: Tensor) -> Tensor:
    """log p of each pixel by itself."""
    return vae.likelihood.log_prob(t[..., None, None, None], a[..., None, None, None])


def _of_posterior(name: str, v: Tensor, scale: Tensor, weight: int) -> Tensor:
    return -weight * v * v / 2 if name == "mu" else logvar_term(v, scale, weight)


@torch.no_grad()
def unit_values(
    vae: VAE,
    name: str,
    unit: int,
    shape: Sequence[int],
    values: Sequence[Tensor],
    scale: float = 0.0,
    weight: int = 1,
) -> Tensor:
    """What one unit gives for P values of each of its inputs, float64 (P,).

    name    as in Relaxed. unit: its place among the units, whose shape without draws is `shape`.
    values  (P,) of each input; for LIKELIHOOD the scored pixel first.
    """
    values = [v.double() for v in values]
    if name in ("mu", "logvar"):
        return _of_posterior(name, values[0], values[0].new_tensor(scale), weight)
    if name == LIKELIHOOD:
        return weight * _pixels(vae, values[0], values[1])
    layer = layer_named(vae, name)
    size = max(1, _TOGETHER // max(1, torch.Size(shape).numel()))
    parts = zip(*(v.split(size) for v in values), strict=True)
    return torch.cat([_spread(layer, part, shape).flatten(1)[:, unit] for part in parts])


def _spread(layer: Callable[..., Tensor], values: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """A layer's outputs where all of its units take the same values: it may be another function in each."""
    return layer(*(v.view(-1, *[1] * len(shape)).expand(-1, *shape) for v in values))


def layer_named(vae: VAE, name: str) -> nn.Module:
    """The layer of a Relaxed's name."""
    part, place = name.split()[:2]
    return (vae.encoder if part == "encoder" else vae.decoder)[int(place)]


def values_taken(vae: VAE, seen: LayerBounds, scored: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """What the units of each Relaxed take for P images, by its name: (P, D, ...) each, in the shape of the
    units, in the order of the forward pass. seen: values of all layers, as intervals without width; scored:
    images (P, C, H, W)."""
    found, count = dict[str, tuple[Tensor, ...]](), len(scored)
    for half in seen.halves(vae):
        for index, layer in enumerate(half.network):
            if bends(layer):
                shape = half.inputs[index + 1].lower.shape
                taken = (half.inputs[s].lower.expand(shape) for s in sources_of(half.network, index))
                found[half.names[index]] = tuple(_by_image(v, count) for v in taken)
        if half.part == "encoder":
            mu, logvar = seen.posterior
            found |= {"mu": (mu.lower[:, None],), "logvar": (logvar.lower[:, None],)}
    if isinstance(vae.likelihood, OneParameter):
        a = _by_image(seen.decoder[-1].lower, count)
        found[LIKELIHOOD] = (scored[:, None].expand_as(a), a)
    return found


def _by_image(v: Tensor, count: int) -> Tensor:
    """(D * P, ...) -> (P, D, ...)."""
    return v.unflatten(0, (-1, count)).transpose(0, 1)


@torch.no_grad()
def unit_counts(vae: VAE, seen: LayerBounds) -> dict[str, int]:
    """How many units each Relaxed of a model has, in a draw, by its name in the order of the forward pass.

    seen: values of all layers for one image."""
    taken = values_taken(vae, seen, seen.encoder[0].lower)
    return {name: values[0][0, 0].numel() for name, values in taken.items()}
