"""What has been proved about a batch of images, and what exactly it states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import torch
from torch import Tensor

from core.bounds.rounding import proved
from core.certificates.elbo_bounds.layer_bounds import LayerInterval
from core.certificates.elbo_bounds.relaxation_parameters import Slopes

_ENOUGH = Context(prec=400)  # digits of any float

STATES = ("draws", "expectation", "coverage")


@dataclass(frozen=True)
class Certificate:
    """What has been proved about a batch of images. All tensors are (B,) float64, in nats.

    lower      ELBO(x'; t, noise) >= lower for every x' in the ball; -inf where vacuous or not asked for.
    upper      ELBO(x'; t, noise) <= upper for every x' in the ball; +inf where vacuous or not asked for.
    side       "lower" or "upper": which of the two was asked for.
    recon, kl  bounds on the two terms alone, for display: the worst reconstruction term and KL for this
               side, from the intervals. For "ibp" lower = recon - kl; linear methods bound the two
               terms together and get a lower >= recon - kl.
    margin     how much of the bound was given up in its last step to cover rounding.
    vacuous    (B,) bool: the bound is not finite or so low that it says nothing.
    method     how the bound was computed; by_method: the bound after each step on the way to it.
    states     "draws": it holds for these noise draws (mean over them), nothing else. "expectation": it
               holds for the expectation over the noise, with confidence 1 - alpha over the sample of
               `draws` draws. "coverage": a fresh draw keeps it with probability 1 - delta, with
               confidence 1 - alpha over the sample.
    target     "likelihood": t = x'; "reconstruction": t = x.
    eps, norm  (B,) radius of the ball, "linf" or "l2", cut to [0, 1].
    draws      number of noise draws.
    arithmetic the precision of the forward pass that the bound covers, rounding included.
    intervals  the interval of every layer, for display; empty for "expectation" and "coverage". Where they
               are those of interval propagation they are computed when they are looked at.
    minimiser  (B, C, H, W): where the linear bound is attained, moved into the ball; a good start for an
               attack. None for "ibp".
    alpha, delta  as above; 0 where they play no part.
    witness    for each image the slopes that its bound was found with, where they were optimised.
    """

    lower: Tensor
    upper: Tensor
    side: str
    recon: Tensor
    kl: Tensor
    margin: Tensor
    vacuous: Tensor
    method: str
    by_method: dict[str, Tensor]
    states: str
    target: str
    eps: Tensor
    norm: str
    draws: int
    arithmetic: str
    intervals: Sequence[LayerInterval]
    minimiser: Tensor | None
    alpha: float = 0.0
    delta: float = 0.0
    witness: tuple[Slopes | None, ...] = ()

    @property
    def bound(self) -> Tensor:
        """The bound of the side that was asked for."""
        return self.lower if self.side == "lower" else self.upper

    def statement(self, index: int = 0) -> str:
        """What is proved about one image of the batch, as a sentence."""
        scored = "x'" if self.target == "likelihood" else "the clean image"
        unit = "" if self.norm == "linf" else " in Euclidean distance"
        ball = (
            f"every image x' with pixels in [0, 1] within {shown_radius(self.eps[index])}{unit} of this one"
        )
        if self.vacuous[index]:
            return f"Nothing is proved by {self.method} for {ball}: the bound is vacuous."
        most = "at least" if self.side == "lower" else "at most"
        proved = f"{most} {shown_bound(self.bound[index], self.side)} nats"
        how = f"{self.method}, evaluated in {self.arithmetic}"
        sure = f"with confidence {100 * (1 - self.alpha):g} % over a sample of {self.draws} noise draws"
        if self.states == "expectation":
            return (
                f"For {ball}, the expectation over the noise of the ELBO that scores {scored} is {proved}, "
                f"{sure} ({how})."
            )
        if self.states == "coverage":
            return (
                f"With probability at least {100 * (1 - self.delta):g} % over a fresh noise draw, the ELBO "
                f"that scores {scored} is {proved} for {ball}, {sure} ({how})."
            )
        return (
            f"For {ball}, the ELBO that scores {scored} is {proved}, {over_draws(self.draws)} "
            f"({how}; {self.margin[index].item():.2g} nats cover rounding)."
        )


def over_draws(draws: int) -> str:
    return f"as a mean over these {draws} noise draws"


def shown_bound(bound: Tensor | float, side: str) -> str:
    """A bound with two decimals, rounded to the safe side: what is printed is proved too.

    In decimals, and one step further where the nearest float to what is printed would be on the other
    side: value * 100 is rounded, and -183.17 is not a float.
    """
    value, step = float(bound), Decimal("0.01")
    shown = Decimal.from_float(value).quantize(
        step, ROUND_FLOOR if side == "lower" else ROUND_CEILING, _ENOUGH
    )
    if float(shown) > value if side == "lower" else float(shown) < value:
        shown = _ENOUGH.add(shown, -step if side == "lower" else step)
    return f"{_ENOUGH.add(shown, Decimal(0)):f}"


def shown_radius(eps: Tensor | float) -> str:
    """A radius in few digits, in all of them where few would be larger than what is proved."""
    value = float(eps)
    return f"{value:g}" if float(f"{value:g}") <= value else repr(value)


def conclude(value: Tensor, side: str, floor: float) -> tuple[Tensor, Tensor, Tensor]:
    """lower, upper and vacuous from a lower bound on the ELBO, or on -ELBO for side "upper"."""
    value = proved(value)
    # The ELBO of discrete images is at most 0, a density's is bounded by its mode: far below -floor.
    vacuous = value < floor
    value = value.masked_fill(vacuous, -torch.inf)
    nothing = torch.full_like(value, torch.inf)
    if side == "lower":
        return value, nothing, vacuous
    return -nothing, -value, vacuous
