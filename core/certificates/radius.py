"""The largest ball in which the verdict stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.bounds.ball import NORMS
from core.certificates.certificate import Certificate, over_draws, shown_bound, shown_radius
from core.certificates.noise.statistics import check_level
from core.certificates.prove import certify
from core.errors import Cancelled
from core.isolation import isolated
from core.vae.model import VAE
from core.vae.threat import SIDES
from core.vae.validate import (
    check_choice,
    check_count,
    check_eps,
    check_images,
    check_seed,
    check_threshold,
)


@dataclass(frozen=True)
class Radius:
    """For each image the largest eps with a proof, to the resolution that was searched.

    eps     (B,) float64: the verdict is proved in this ball, and so in every smaller one.
    proved  (B,) bool: False where it is not proved for any eps, not even 0; eps is 0 there.
    bound   (B,) nats, what was proved at eps.
    threshold, side  the verdict: ELBO(x') >= threshold for "lower", <= threshold for "upper".
    states, alpha, delta, draws, target, norm, method  as in `core.certificates.certificate.Certificate`.
    """

    eps: Tensor
    proved: Tensor
    bound: Tensor
    threshold: float
    side: str
    states: str
    alpha: float
    delta: float
    draws: int
    target: str
    norm: str
    method: str

    def statement(self, index: int = 0) -> str:
        """What is proved about one image of the batch, as a sentence."""
        scored = "x'" if self.target == "likelihood" else "the clean image"
        most = "at least" if self.side == "lower" else "at most"
        value = f"the ELBO that scores {scored}"
        end = f"({self.method})"
        if self.states == "draws":
            value += f", {over_draws(self.draws)},"
        else:
            sure = f"with confidence {100 * (1 - self.alpha):g} %"
            end = f"{sure} over samples of {self.draws} noise draws {end}"
        if self.states == "expectation":
            value = f"the expectation over the noise of {value}"
        if self.states == "coverage":
            end = f"with probability at least {100 * (1 - self.delta):g} % over a fresh noise draw, {end}"
        verdict = f"{value} is {most} {shown_bound(self.threshold, self.side)} nats"
        if not self.proved[index]:
            return f"It is not proved, not even of this image alone, that {verdict} {end}."
        unit = "" if self.norm == "linf" else " in Euclidean distance"
        within = f"within {shown_radius(self.eps[index])}{unit} of this one"
        return f"For every image x' with pixels in [0, 1] {within}, {verdict} {end}."


@isolated()
def certified_radius(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    *,
    threshold: float,
    side: str = "lower",
    method: str = "crown",
    norm: str = "linf",
    target: str = "likelihood",
    states: str = "draws",
    alpha: float = 0.01,
    seed: int = 0,
    most: float | Tensor | None = None,
    steps: int = 12,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Radius:
    """The largest eps for which no x' in the ball has an ELBO below the threshold (above, for "upper").

    Bisection: every radius that is returned has its own proof; that the bound falls with eps is only
    used to search. A method that is not monotone may have a proof at a larger radius too.

    x, noise, method, norm, target, states, options  as in `core.certify` (delta, draws, iterations, ...).
    threshold  nats. side "lower": the image stays at least as likely; "upper": an outlier stays one.
    alpha, seed  for states "expectation" and "coverage": each of the steps + 2 proofs gets a sample of
               its own and alpha / (steps + 2), so that the radius holds with confidence 1 - alpha
               although the radii that are tried depend on the samples.
    most       largest radius to try, a number or one an image (B,); 1, or sqrt(pixels) for norm "l2".
    steps      halvings: the radius is found to most / 2^steps.
    progress   called as progress(done, total); where it raises Cancelled the radii so far are returned.

    Raises InputError for a threshold that is not a finite number and for arguments that `certify` refuses.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, draws=4)
    >>> found = core.certified_radius(vae, x[:1], noise, threshold=-250.0, method="ibp")
    >>> core.certify(vae, x[:1], noise, eps=found.eps, method="ibp").lower.item() >= -250.0
    True
    """
    threshold = check_threshold(threshold)
    check_choice("side", side, SIDES)
    check_choice("norm", norm, NORMS)
    check_level("alpha", alpha)
    x, steps, seed = check_images(vae, x), check_count("steps", steps, 60), check_seed(seed)
    widest = 1.0 if norm == "linf" else math.sqrt(x[0].numel())
    high = check_eps(widest if most is None else most, x, norm, name="most")
    common = {"side": side, "method": method, "norm": norm, "target": target, "states": states, **options}

    def prove(eps: Tensor, proofs: int) -> tuple[Tensor, Certificate]:
        fresh = (seed + proofs) % 2**63
        found = certify(vae, x, noise, eps=eps, alpha=alpha / (steps + 2), seed=fresh, **common)
        return found.bound >= threshold if side == "lower" else found.bound <= threshold, found

    low = torch.zeros_like(high)
    proved, certificate = prove(low, 0)
    bound = certificate.bound
    for step in range(steps + 1):
        try:
            if progress is not None:
                progress(step, steps + 1)
        except Cancelled:
            break
        middle = high if step == 0 else (low + high) / 2
        holds, found = prove(middle, step + 1)
        holds = holds & proved
        low, bound = torch.where(holds, middle, low), torch.where(holds, found.bound, bound)
        high = torch.where(holds, high, middle)
    return Radius(
        eps=low,
        proved=proved,
        bound=bound,
        threshold=threshold,
        side=side,
        states=states,
        alpha=0.0 if states == "draws" else alpha,
        delta=certificate.delta,
        draws=certificate.draws,
        target=target,
        norm=norm,
        method=method,
    )
