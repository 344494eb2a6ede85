"""What the layers of a VAE can be over a ball, what they were seen to be, and which ReLUs are decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.bounds.interval import Interval
from core.bounds.rounding import ELEMENTARY, FLOAT64, UNDERFLOW
from core.bounds.rule_table import bends, is_relu, name_of
from core.certificates.elbo_bounds.layer_bounds import Half, LayerBounds, LayerInterval, LayerName
from core.network.graph import Network, sources_of
from core.network.operations import (
    Concatenate,
    Expand,
    Gather,
    Pad,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    Reshape,
    Slice,
)
from core.vae.latent import reparameterise
from core.vae.model import VAE


@dataclass(frozen=True)
class Units:
    """ReLUs by what their bounds say of them, counted over units and draws.

    active  never negative, passes its input on. dead: never positive, passes on 0. open: could be either.
    """

    active: int
    dead: int
    open: int

    @property
    def total(self) -> int:
        return self.active + self.dead + self.open


@dataclass(frozen=True)
class Layer:
    """One layer over the ball of one image; D = 1 before z, one row a noise draw from there on.

    name    as in Certificate.intervals; LayerName("pixels") for the means of a Bernoulli's logits.
    kind    "input", "affine", "relu", "curve" (anything else that is not linear), "mu", "logvar", "z",
            "natural" (the decoder's output) or "pixels".
    bounds  method -> sound interval, (D, ...).
    clean, attacked (D, ...), sampled (N, D, ...): values of images of the ball.
    units   method -> what it decides, for kind "relu". op: what a curve does, as in "silu".
    took    method -> mean width of what it takes, of several values the widest; 0 for "input".
    """

    name: LayerName
    kind: str
    bounds: Mapping[str, Interval]
    clean: Tensor
    attacked: Tensor
    sampled: Tensor
    units: Mapping[str, Units]
    took: Mapping[str, float]
    op: str = ""

    def width(self, method: str) -> float:
        """Mean width of the intervals, over units and draws; inf where one has no end."""
        return _mean(self.bounds[method].width)

    @property
    def reached(self) -> float:
        """Mean distance between the extremes of the values seen: no sound interval is narrower."""
        values = torch.cat([self.clean[None], self.attacked[None], self.sampled])
        return _mean(values.amax(0) - values.amin(0))


def _mean(widths: Tensor) -> float:
    """The mean, inf where it overflows: that says as little as a width that does."""
    return widths.mean().nan_to_num(nan=torch.inf, posinf=torch.inf).item()


@torch.no_grad()
def describe_layers(vae: VAE, bounds: Mapping[str, LayerBounds], values: LayerBounds) -> tuple[Layer, ...]:
    """Describe every layer in the order of the forward pass, those left out that only move values.

    bounds  method -> bounds for one ball. values: those of the clean image, the attacked one and samples,
            see `values_of`.
    """
    seen = _layers(vae, values)
    by_method = {method: list(_layers(vae, found)) for method, found in bounds.items()}
    layers = list[Layer]()
    for index, (name, kind, known, _) in enumerate(seen):
        # Rows (P, D, ...), whether a layer has one row for all draws or not.
        rows = known.lower.transpose(0, 1) if name.per_draw else known.lower[:, None]
        found = {method: _one_ball(name, known[index][2]) for method, known in by_method.items()}
        took = {
            method: max((_mean(x.width) for x in known[index][3]), default=0.0)
            for method, known in by_method.items()
        }
        units = dict[str, Units]()
        if kind == "relu":
            units = {method: _count(known[index][3][0]) for method, known in by_method.items()}
        op = name_of(_network(vae, name)[name.place]) if kind == "curve" and name.place is not None else ""
        layers.append(Layer(name, kind, found, rows[0], rows[1], rows[2:], units, took, op))
    return tuple(layers)


@torch.no_grad()
def layer_names(vae: VAE) -> tuple[tuple[LayerName, str], ...]:
    """Names and kinds of the layers that `describe_layers` describes, in its order."""
    return tuple((name, kind) for name, kind, *_ in _layers(vae, some_values(vae)))


def some_values(vae: VAE) -> LayerBounds:
    """The values of every layer for one image: their names and shapes."""
    home = next(vae.parameters())
    x, noise = home.new_zeros(1, *vae.config.shape), home.new_zeros(1, 1, vae.config.latent)
    return values_of(vae, x, noise)


def values_of(vae: VAE, x: Tensor, noise: Tensor) -> LayerBounds:
    """The values of every layer for B images, as intervals without width."""

    def through(network: Network, v: Tensor) -> Iterator[Interval]:
        values = [v]
        for index, layer in enumerate(network):
            values.append(layer(*(values[source] for source in sources_of(network, index))))
        yield from (Interval(value, value) for value in values)

    encoder = list(through(vae.encoder, x))
    mu, logvar = encoder[-1].lower.chunk(2, -1)
    z = reparameterise(mu, logvar, noise)
    return LayerBounds(encoder, list(through(vae.decoder, z.flatten(0, 1))))


_Shown = tuple[LayerName, str, Interval, tuple[Interval, ...]]
"""Name, kind, interval, and those of what the layer takes."""
_MOVES = (
    *(nn.Flatten, nn.Unflatten, Reshape, Permute, Slice, Gather, Pad, Expand, Concatenate),
    *(PixelShuffle, PixelUnshuffle),
)
"""What only puts values in other places: they are shown already."""


def _network(vae: VAE, name: LayerName) -> Network:
    return vae.encoder if name.part == "encoder" else vae.decoder


def _layers(vae: VAE, bounds: LayerBounds) -> Iterator[_Shown]:
    """The layers that are shown."""
    named, (encoder, decoder) = bounds.named(vae), bounds.halves(vae)
    split = 1 + len(vae.encoder)
    yield named[0].name, "input", named[0].interval, ()
    # The encoder's last layer is mu and logvar.
    shown = _without_moves(encoder, named[1:split])
    yield from shown[:-1]
    last = shown[-1][3] if shown else ()
    posterior = tuple(layer.interval for layer in named[split : split + 2])
    for layer, takes in zip(named[split : split + 3], (last, last, posterior), strict=True):
        yield layer.name, layer.name, layer.interval, takes
    shown, natural = _without_moves(decoder, named[split + 3 :]), named[-1].interval
    yield from shown[:-1]
    last = shown[-1][3] if shown else ()
    yield shown[-1][0] if shown else named[-1].name, "natural", natural, last
    if vae.config.likelihood == "bernoulli":
        yield LayerName("pixels"), "pixels", _means(vae, natural), (natural,)


def _without_moves(half: Half, named: list[LayerInterval]) -> list[_Shown]:
    """Leave out what only moves values; what gives the layer before it the shape of maps is its shape."""
    kept, last = list[_Shown](), -1
    for index, (layer, known) in enumerate(zip(half.network, named, strict=True)):
        sources = sources_of(half.network, index)
        if isinstance(layer, nn.Unflatten | Reshape) and kept and sources == (last,):
            name, kind, _, before = kept.pop()
            kept.append((name, kind, known.interval, before))
            last = index + 1
        elif not isinstance(layer, _MOVES):
            kind = "relu" if is_relu(layer) else "curve" if bends(layer) else "affine"
            kept.append((known.name, kind, known.interval, tuple(half.inputs[s] for s in sources)))
            last = index + 1
    return kept


def _means(vae: VAE, natural: Interval) -> Interval:
    """Bounds on the expected image: its pixels rise with the logits."""
    means = natural.map(vae.likelihood.mean)
    margin = FLOAT64.gamma(ELEMENTARY) * means.magnitude + UNDERFLOW
    return means.widened(margin).map(lambda v: v.clamp(0, 1))


def _one_ball(name: LayerName, x: Interval) -> Interval:
    return x.map(lambda v: v[:, 0]) if name.per_draw else x


def _count(before: Interval) -> Units:
    """Count ReLUs by the bounds on their inputs."""
    active, dead = before.lower >= 0, before.upper <= 0
    both = int((active & dead).sum())  # exactly 0: nothing is passed on
    found = int(active.sum()) - both, int(dead.sum())
    return Units(*found, before.lower.numel() - sum(found))
