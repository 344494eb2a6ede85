"""The largest ball in which the verdict stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.ball import NORMS
from core.errors import Cancelled, InputError
from core.model import VAE
from core.prove import certify
from core.validate import check_choice, check_count, check_images


@dataclass(frozen=True)
class Radius:
    """For each image the largest eps with a proof, to the resolution that was searched.

    eps     (B,) float64: the verdict is proved in this ball, and so in every smaller one.
    proved  (B,) bool: False where it is not proved for any eps, not even 0; eps is 0 there.
    bound   (B,) nats, what was proved at eps.
    threshold, side  the verdict: ELBO(x') >= threshold for "lower", <= threshold for "upper".
    """

    eps: Tensor
    proved: Tensor
    bound: Tensor
    threshold: float
    side: str


def certified_radius(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    *,
    threshold: float,
    side: str = "lower",
    method: str = "crown",
    norm: str = "linf",
    most: float | None = None,
    steps: int = 12,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Radius:
    """The largest eps for which no x' in the ball has an ELBO below the threshold (above, for "upper").

    Bisection: every radius that is returned has its own proof; that the bound falls with eps is only
    used to search. A method that is not monotone may have a proof at a larger radius too.

    x, noise, method, norm, options  as in `core.certify` (target, states, iterations, ...).
    threshold  nats. side "lower": the image stays at least as likely; "upper": an outlier stays one.
    most       largest radius to try; 1, or sqrt(pixels) for norm "l2".
    steps      halvings: the radius is found to most / 2^steps.
    progress   called as progress(done, total); where it raises Cancelled the radii so far are returned.

    Raises InputError for a threshold that is not a number and for arguments that `certify` refuses.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or math.isnan(threshold):
        raise InputError(f"threshold is {threshold!r}; it must be a number of nats.")
    check_choice("norm", norm, NORMS)
    x, steps = check_images(vae, x), check_count("steps", steps, 60)
    widest = 1.0 if norm == "linf" else math.sqrt(x[0].numel())
    high = torch.full((len(x),), widest if most is None else float(most), dtype=torch.float64)

    def prove(eps: Tensor) -> tuple[Tensor, Tensor]:
        certificate = certify(vae, x, noise, eps=eps, side=side, method=method, norm=norm, **options)
        bound = certificate.bound
        return bound >= threshold if side == "lower" else bound <= threshold, bound

    low = torch.zeros_like(high)
    proved, bound = prove(low)
    for step in range(steps + 1):
        if progress is not None:
            try:
                progress(step, steps + 1)
            except Cancelled:
                break
        middle = high if step == 0 else (low + high) / 2
        holds, value = prove(middle)
        low, bound = torch.where(holds, middle, low), torch.where(holds, value, bound)
        high = torch.where(holds, high, middle)
    return Radius(torch.where(proved, low, 0), proved, bound, float(threshold), side)
