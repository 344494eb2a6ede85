"""What is free in a linear bound: any choice is valid, and an optimiser may look for better ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Slopes:
    """The free choices of one backward pass; whatever is missing has a good default.

    encoder, decoder  lower slopes of the ReLU at each index, (B, ...) and (S * B, ...), in [0, 1].
    sigma             (S * B, k): where the tangent below exp(logvar / 2) touches, in [0, 1].
    mix               (S * B, C, H, W): which of the planes at the likelihood, in [0, 1].
    mu, logvar        (B, k): what is added to the default slope for the KL's terms.
    tie               (B, 2k): multipliers that tie mu and logvar to their bounds: any number is valid,
                      since f >= f + <tie, v> - max <tie, v>. They pay where the bounds were cut.
    """

    encoder: dict[int, Tensor] = field(default_factory=dict)
    decoder: dict[int, Tensor] = field(default_factory=dict)
    sigma: Tensor | None = None
    mix: Tensor | None = None
    mu: Tensor | None = None
    logvar: Tensor | None = None
    tie: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        rest = (self.sigma, self.mix, self.mu, self.logvar, self.tie)
        return [*self.encoder.values(), *self.decoder.values(), *(v for v in rest if v is not None)]


Choices = dict[tuple[str, int], Slopes]
"""Slopes for each backward pass, by where it starts: ("encoder", 3) is the input of encoder layer 3."""
