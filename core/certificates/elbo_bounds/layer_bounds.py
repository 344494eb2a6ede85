"""Bounds on every layer of a VAE over a ball of inputs: what all certificates are computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from core.bounds.backward import Memory
from core.bounds.intersect import cut, open_units
from core.bounds.interval import Interval, propagate, propagate_through
from core.bounds.relaxations import relu_share
from core.bounds.rounding import EXACT, Arithmetic
from core.bounds.rule_table import bent, follows, is_relu
from core.network.graph import Network, sources_of, taken
from core.vae.latent import reparameterise_interval
from core.vae.model import VAE


class LayerName(str):
    """What a value of the forward pass is called, "encoder 3 ReLU" or "z": text that knows its parts.

    part       "encoder" or "decoder"; what is no layer's output is called by its part alone: "input", "mu",
               "logvar", "z", "pixels".
    place, op  where in the network the layer is whose output it is, and its class, if it is one's.
    """

    part: str
    place: int | None
    op: str

    def __new__(cls, part: str, place: int | None = None, op: str = "") -> LayerName:
        name = super().__new__(cls, part if place is None else f"{part} {place} {op}")
        name.part, name.place, name.op = part, place, op
        return name

    def __getnewargs__(self) -> tuple[str, int | None, str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.part, self.place, self.op  # for copies

    @property
    def per_draw(self) -> bool:
        """Whether it comes after the noise, and has a value for each draw."""
        return self.part in ("z", "decoder", "pixels")


@dataclass(frozen=True)
class LayerInterval:
    """Bounds on one layer's output over the ball: encoder layers, mu, logvar (B, ...); z and decoder
    layers, one interval a draw, (S, B, ...)."""

    name: LayerName
    interval: Interval


class LateIntervals(Sequence[LayerInterval]):
    """A list of intervals that is computed at its first use: of a large batch it fills gigabytes."""

    def __init__(self, make: Callable[[], list[LayerInterval]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> list[LayerInterval]:
        return self._make()

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, index: Any) -> Any:
        return self._made[index]


@dataclass(frozen=True)
class Half:
    """The encoder or the decoder, with bounds on each of its values (core.network.graph): inputs[i],
    (N, ...), in a chain on the input of layer i, the last one on the output. They may end early, where no
    more is looked at. memory: of its backward passes, shared with halves that have better bounds.
    """

    part: str
    network: Network
    inputs: list[Interval]
    memory: Memory = field(default_factory=dict, repr=False, compare=False)

    @property
    def names(self) -> list[LayerName]:
        """What the outputs of the layers are called."""
        return [LayerName(self.part, i, type(layer).__name__) for i, layer in enumerate(self.network)]

    @property
    def relus(self) -> list[int]:
        """The indexes of the ReLUs whose inputs are bounded."""
        layers = enumerate(self.network)
        return [i for i, layer in layers if is_relu(layer) and self._source(i) < len(self.inputs)]

    def _source(self, index: int) -> int:
        """The number of the first value that layer `index` takes."""
        return sources_of(self.network, index)[0]

    def input_of(self, index: int) -> Interval:
        """Bounds on the (first) input of a layer."""
        return self.inputs[self._source(index)]

    @cached_property
    def _readers(self) -> dict[int, list[nn.Module]]:
        """The layers that take a value and are not linear, by the value's number."""
        readers = dict[int, list[nn.Module]]()
        for index, layer in enumerate(self.network):
            for source in bent(layer, sources_of(self.network, index)):
                readers.setdefault(source, []).append(layer)
        return readers

    @property
    def stops(self) -> list[int]:
        """The indexes of the values that get bounds of their own: what layers that are not linear take, and
        the output. Not those whose bounds follow from others that do: each unit a monotone function of one
        unit, whose interval gives the exact one, as no line does."""
        last, found = len(self.network), list[int]()
        exact = set[int]()  # values whose bounds are as good as own ones would be
        for value in range(min(len(self.inputs), last)):
            readers = self._readers.get(value, [])
            made = (
                value > 0
                and follows(self.network[value - 1])
                and exact.issuperset(sources_of(self.network, value - 1))
            )
            if readers and not made:
                found.append(value)
            # Of what ReLUs alone take, stable units have no bounds of their own.
            if made or (value > 0 and not all(is_relu(layer) for layer in readers)):
                exact.add(value)
        return [*found, last]

    def open_units(self, value: int, x: Interval) -> Tensor:
        """Which units of a value are worth bounds of their own: those that are not stable where ReLUs alone
        take it, else all."""
        readers = self._readers.get(value, [])
        return open_units(x, value < len(self.network) and all(is_relu(layer) for layer in readers))

    def open_of(self, value: int, x: Interval, draws: int) -> Tensor:
        """Which of those are open for each image, in one of its draws at least: (draws * B, units)."""
        chosen = torch.zeros_like(x.lower[0].flatten(), dtype=torch.bool)
        chosen[self.open_units(value, x)] = True
        lower, upper = x.lower.flatten(1), x.upper.flatten(1)
        stable = (lower >= 0) | (upper <= 0)
        if value == len(self.network):
            stable = torch.zeros_like(stable)
        mine = (chosen & ~stable).unflatten(0, (draws, -1)).any(0)
        return mine.repeat(draws, 1)

    def walk(self, known: list[Interval], arithmetic: Arithmetic) -> Iterator[int]:
        """Extend `known`, bounds on the input of layer 0, by interval propagation, each cut with `inputs`.

        Yields the index of each value in `stops` when its bounds are the last of `known`: put better ones
        in their place, and what follows is propagated from those.
        """
        stops = set(self.stops)
        for index in range(len(self.network) + 1):
            if index > 0:
                x = propagate(self.network[index - 1], taken(self.network, index - 1, known), arithmetic)
                known.append(cut(self.inputs[index], x))
            if index in stops:
                yield index

    def relu_slopes(self, layers: int | None = None) -> dict[int, Tensor]:
        """Default slopes of the lines below the ReLUs among the first layers."""
        end = len(self.network) if layers is None else layers
        return {index: relu_share(self.input_of(index)) for index in self.relus if index < end}


@dataclass(frozen=True)
class LayerBounds:
    """Bounds for B balls and S draws.

    encoder  encoder[i] bounds the input of encoder layer i, (B, ...); the last one mu and logvar, (B, 2k).
    decoder  decoder[i] bounds the input of decoder layer i, (S * B, ...), draw by draw; decoder[0] is z,
             the last one the natural parameters.
    """

    encoder: list[Interval]
    decoder: list[Interval]

    def to(self, dtype: torch.dtype) -> LayerBounds:
        encoder, decoder = (
            [x.map(lambda v: v.to(dtype)) for x in xs] for xs in (self.encoder, self.decoder)
        )
        return LayerBounds(encoder, decoder)

    def halves(self, vae: VAE) -> tuple[Half, Half]:
        """Encoder and decoder of the VAE that these are bounds of."""
        return Half("encoder", vae.encoder, self.encoder), Half("decoder", vae.decoder, self.decoder)

    def take(self, images: slice) -> LayerBounds:
        """The bounds for some of the balls."""

        def by_draw(v: Tensor) -> Tensor:
            return v.unflatten(0, (self.draws, -1))[:, images].flatten(0, 1)

        encoder = [x.map(lambda v: v[images]) for x in self.encoder]
        return LayerBounds(encoder, [x.map(by_draw) for x in self.decoder])

    @staticmethod
    def joined(parts: Sequence[LayerBounds]) -> LayerBounds:
        """The bounds for the balls of several, one after the other."""
        if len(parts) == 1:
            return parts[0]
        draws = parts[0].draws

        def by_draw(ends: Sequence[Tensor]) -> Tensor:
            return torch.cat([v.unflatten(0, (draws, -1)) for v in ends], 1).flatten(0, 1)

        encoder = zip(*(part.encoder for part in parts), strict=True)
        decoder = zip(*(part.decoder for part in parts), strict=True)
        return LayerBounds(
            [_joined(xs, lambda ends: torch.cat([*ends])) for xs in encoder],
            [_joined(xs, by_draw) for xs in decoder],
        )

    @property
    def posterior(self) -> tuple[Interval, Interval]:
        """mu and logvar, (B, k)."""
        mu, logvar = self.encoder[-1].chunk(2)
        return mu, logvar

    @property
    def draws(self) -> int:
        return len(self.decoder[0].lower) // len(self.encoder[0].lower)

    @property
    def natural(self) -> Interval:
        """The natural parameters, (S, B, C, H, W)."""
        return self._per_draw(self.decoder[-1])

    def _per_draw(self, x: Interval) -> Interval:
        return x.map(lambda v: v.unflatten(0, (self.draws, -1)))

    def named(self, vae: VAE) -> list[LayerInterval]:
        """List the bounds with their names, in the order of the forward pass."""
        encoder, decoder = self.halves(vae)
        names = [LayerName(word) for word in ("input", "mu", "logvar", "z")]
        names[1:1], values = encoder.names, [*self.encoder, *self.posterior, *self.decoder]
        return [
            LayerInterval(name, self._per_draw(x) if name.per_draw else x)
            for name, x in zip([*names, *decoder.names], values, strict=True)
        ]


def _joined(xs: Sequence[Interval], join: Callable[[Sequence[Tensor]], Tensor]) -> Interval:
    return Interval(join([x.lower for x in xs]), join([x.upper for x in xs]))


def interval_bounds(vae: VAE, box: Interval, noise: Tensor, arithmetic: Arithmetic = EXACT) -> LayerBounds:
    """Interval propagation through the VAE: box (B, C, H, W), noise (S, 1, k) or (S, B, k)."""
    encoder = [box, *propagate_through(vae.encoder, box, arithmetic)]
    z = latent_bounds(encoder[-1], noise, arithmetic)
    return LayerBounds(encoder, [z, *propagate_through(vae.decoder, z, arithmetic)])


def latent_bounds(posterior: Interval, noise: Tensor, arithmetic: Arithmetic) -> Interval:
    """Bounds on z, (S * B, k), from those on mu and logvar, (B, 2k)."""
    mu, logvar = posterior.chunk(2)
    z = reparameterise_interval(mu, logvar, noise, arithmetic)
    # Draw by draw: only with a single one the points stay in front.
    points = posterior.points if len(noise) == 1 else 0
    return Interval(z.lower.flatten(0, 1), z.upper.flatten(0, 1), points=points)
