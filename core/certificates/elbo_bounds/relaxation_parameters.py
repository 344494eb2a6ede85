"""What is free in a linear bound: any choice is valid, and an optimiser may look for better ones.

Words that are ours (share, mix, plane) are in docs/glossary.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from core.bounds.relaxations import relu_lower
from core.certificates.elbo_bounds.layer_bounds import Half, LayerBounds
from core.vae.model import VAE


@dataclass
class Slopes:
    """The free choices of one backward pass; whatever is missing has a good default.

    encoder, decoder  lower slopes of the ReLU at each index, (B, ...) and (S * B, ...), in [0, 1].
    sigma             (S * B, k): where the tangent below exp(logvar / 2) touches, in [0, 1].
                      Each of these three may have a dimension more in front, for slopes row by row.
    mix               (S * B, C, H, W): which of the planes at the likelihood, in [0, 1].
    mu, logvar        (B, k): what is added to the default slope for the KL's terms.
    box_multipliers   (B, 2k), of the bounds on mu and logvar: any number is valid, since
                      f >= f + <m, v> - max <m, v>. They pay where those bounds were cut.
    """

    encoder: dict[int, Tensor] = field(default_factory=dict)
    decoder: dict[int, Tensor] = field(default_factory=dict)
    sigma: Tensor | None = None
    mix: Tensor | None = None
    mu: Tensor | None = None
    logvar: Tensor | None = None
    box_multipliers: Tensor | None = None

    def shares(self) -> list[Tensor]:
        """The slopes that mean something in [0, 1] only."""
        rest = (self.sigma, self.mix)
        return [*self.encoder.values(), *self.decoder.values(), *(v for v in rest if v is not None)]

    def tensors(self) -> list[Tensor]:
        rest = (self.mu, self.logvar, self.box_multipliers)
        return [*self.shares(), *(v for v in rest if v is not None)]

    def repair(self) -> None:
        """Put those back into [0, 1] that an optimiser has moved out of it."""
        for share in self.shares():
            share.clamp_(0, 1)

    def to(self, dtype: torch.dtype) -> Slopes:
        return mapped(lambda v: v.to(dtype), lambda v: v.to(dtype), self)


def mapped(image: Callable[..., Tensor], draw: Callable[..., Tensor], *slopes: Slopes) -> Slopes:
    """Map slopes field by field: `image` is for tensors (B, ...), `draw` for those with a row a draw."""

    def one(name: str) -> Any:
        function = draw if name in ("decoder", "sigma", "mix") else image
        parts = [getattr(s, name) for s in slopes]
        if isinstance(parts[0], dict):
            return {i: function(*(part[i] for part in parts)) for i in parts[0]}
        return None if parts[0] is None else function(*parts)

    return Slopes(**{f.name: one(f.name) for f in fields(Slopes)})


def for_rows(shares: dict[int, Tensor], rows: int) -> dict[int, Tensor]:
    """Copies of slopes for each of so many rows."""
    return {at: share.expand(rows, *share.shape).clone() for at, share in shares.items()}


def used(slopes: Slopes, bounds: LayerBounds, vae: VAE) -> Slopes:
    """Replace the slopes of ReLUs that are linear over the ball by the exact ones, 0 or 1: they are written
    shorter."""

    def crossing(shares: dict[int, Tensor], half: Half) -> dict[int, Tensor]:
        return {i: relu_lower(half.input_of(i), share) for i, share in shares.items()}

    encoder, decoder = bounds.halves(vae)
    return replace(
        slopes, encoder=crossing(slopes.encoder, encoder), decoder=crossing(slopes.decoder, decoder)
    )


def slopes_of(slopes: Slopes | None) -> dict[str, Tensor]:
    """Name the optimised slopes of one image as a witness does (core.claims.witness), float32; {} where
    there are none."""
    if slopes is None or slopes.mix is None or slopes.mu is None or slopes.logvar is None:
        return {}
    found = {"mix": slopes.mix.flatten(1), "mu": slopes.mu[0], "logvar": slopes.logvar[0]}
    for number, index in enumerate(sorted(slopes.encoder)):
        found[f"encoder.{number}"] = slopes.encoder[index].flatten()
    for number, index in enumerate(sorted(slopes.decoder)):
        found[f"decoder.{number}"] = slopes.decoder[index].flatten(1)
    return {name: value.detach().to("cpu", torch.float32) for name, value in found.items()}
