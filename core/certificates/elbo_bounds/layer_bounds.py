"""Bounds on every layer of a VAE over a ball of inputs: what all certificates are computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from core.bounds.interval import Interval, propagate_through
from core.bounds.rounding import EXACT, Arithmetic
from core.vae.latent import reparameterise_interval
from core.vae.model import VAE


@dataclass(frozen=True)
class LayerInterval:
    """Bounds on one layer's output over the ball: encoder layers, mu, logvar (B, ...); z and decoder
    layers, one interval a draw, (S, B, ...)."""

    name: str
    interval: Interval


class LateIntervals(Sequence[LayerInterval]):
    """A list of intervals that is made when it is looked at first: of a large batch it fills gigabytes."""

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
        """For display, in the order of the forward pass."""
        encoder = _names("encoder", vae.encoder)
        decoder = _names("decoder", vae.decoder)
        pairs = [
            ("input", self.encoder[0]),
            *zip(encoder, self.encoder[1:], strict=True),
            *zip(("mu", "logvar"), self.posterior, strict=True),
            ("z", self._per_draw(self.decoder[0])),
            *((name, self._per_draw(x)) for name, x in zip(decoder, self.decoder[1:], strict=True)),
        ]
        return [LayerInterval(*pair) for pair in pairs]


def _names(part: str, network: Iterable[nn.Module]) -> list[str]:
    return [f"{part} {index} {type(layer).__name__}" for index, layer in enumerate(network)]


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
