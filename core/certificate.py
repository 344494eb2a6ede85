"""Certified lower bounds on the ELBO over a ball of inputs (Condessa & Kolter 2020, arXiv 2004.10608)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.ball import Ball
from core.bounds.interval import Interval
from core.bounds.rounding import ARITHMETICS, ELEMENTARY, EXACT, Arithmetic
from core.elbo import as_double
from core.errors import InputError
from core.latent import kl_upper
from core.layers import LayerBounds, LayerInterval, interval_bounds
from core.model import VAE
from core.validate import check_eps, check_images, check_noise, check_target

METHODS = ("ibp",)


@dataclass(frozen=True)
class RobustELBO:
    """The robust ELBO: recon - kl <= ELBO(x'; t, noise) for every x' and t in their boxes.

    recon (B,) is a lower bound on the reconstruction term, kl (B,) an upper bound on the KL.
    """

    recon: Tensor
    kl: Tensor
    bounds: LayerBounds

    @property
    def total(self) -> Tensor:
        return self.recon - self.kl


def robust_elbo(
    vae: VAE, box: Interval, noise: Tensor, t: Interval, arithmetic: Arithmetic = EXACT
) -> RobustELBO:
    """The paper's bound by interval propagation, differentiable.

    box -> intervals on mu and logvar -> interval on z for the given noise -> interval on the natural
    parameters -> worst case of each term. The encoder's intervals serve all draws.

    box, t  boxes of inputs and of scored images, (B, C, H, W).
    noise   (S, 1, k) shared by all images, or (S, B, k).
    arithmetic  what the bound has to cover; exact arithmetic is what training uses.
    """
    bounds = interval_bounds(vae, box, noise, arithmetic)
    a = bounds.natural
    recon = vae.likelihood.lower(t, a)
    if arithmetic.rounds:
        terms = vae.config.pixels + 2 * ELEMENTARY + len(noise)
        recon = recon - arithmetic.gamma(terms) * vae.likelihood.magnitude(t, a)
    return RobustELBO(recon.mean(0), kl_upper(*bounds.posterior, arithmetic), bounds)


@dataclass(frozen=True)
class Certificate:
    """What has been proved about a batch of images. All tensors are (B,) float64, in nats.

    lower      ELBO(x'; t, noise) >= lower for every x' in the ball; -inf where vacuous.
    recon, kl  the two parts of the bound: lower bound of the reconstruction term, upper bound of the KL.
    margin     how much of the bound was given up to cover rounding in the network's arithmetic.
    vacuous    (B,) bool: the bound is not finite or so low that it says nothing.
    method     how the bound was computed.
    states     "draws": the bound holds for these noise draws (mean over them), nothing else.
    target     "likelihood": t = x'; "reconstruction": t = x.
    eps        (B,) radius of the l_inf ball, cut to [0, 1].
    draws      number of noise draws.
    arithmetic the precision of the forward pass that the bound covers, rounding included.
    intervals  the interval of every layer, for display.
    """

    lower: Tensor
    recon: Tensor
    kl: Tensor
    margin: Tensor
    vacuous: Tensor
    method: str
    states: str
    target: str
    eps: Tensor
    draws: int
    arithmetic: str
    intervals: list[LayerInterval]

    def statement(self, index: int = 0) -> str:
        """What is proved about one image of the batch, as a sentence."""
        scored = "x'" if self.target == "likelihood" else "the clean image"
        ball = f"every image x' with pixels in [0, 1] within {self.eps[index].item():g} of this one"
        if self.vacuous[index]:
            return f"Nothing is proved by {self.method} for {ball}: the bound is vacuous."
        return (
            f"For {ball}, the ELBO that scores {scored} is at least "
            f"{self.lower[index].item():.2f} nats, as a mean over these {self.draws} noise draws "
            f"({self.method}, evaluated in {self.arithmetic}; {self.margin[index].item():.2g} nats "
            "cover rounding)."
        )


@torch.no_grad()
def certify(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    *,
    eps: float | Tensor,
    target: str = "likelihood",
    method: str = "ibp",
    arithmetic: str = "float64",
) -> Certificate:
    """A lower bound on the ELBO that no x' in the l_inf ball of radius eps can go below.

    x       images (B, C, H, W) in [0, 1].
    noise   draws (S, k); the bound holds for the mean over exactly these draws.
    eps     radius, a number in [0, 1] or one an image (B,).
    target  "likelihood" scores x' itself, "reconstruction" the clean image x.
    method  "ibp": interval propagation, the paper's robust ELBO.
    arithmetic  precision of the forward pass that the bound has to cover: "float64", what `elbo` and
            the scores of `attack` are evaluated in, or "float32", the network as it is deployed.

    Computed in float64 and widened, layer by layer, by the most that rounding in that arithmetic can
    do in any order of summation (core.bounds.rounding); `margin` says what this costs. It assumes IEEE
    arithmetic: no TF32, no Winograd convolution. For float32 the worst case is far from the usual
    one: hundreds of nats on a plainly trained model, where float64 costs less than 1e-3.

    Raises InputError for arguments that are not as above.
    """
    if method not in METHODS:
        raise InputError(f"method is {method!r}; choose one of {', '.join(METHODS)}.")
    if arithmetic not in tuple(ARITHMETICS):
        raise InputError(f"arithmetic is {arithmetic!r}; choose one of {', '.join(ARITHMETICS)}.")
    check_target(target)
    x, noise = check_images(vae, x), check_noise(vae, noise)
    radius = check_eps(eps, x)
    model, draws = as_double(vae), noise.double()[:, None]
    box = Ball(x, radius).cover().box
    t = box if target == "likelihood" else Interval(x.double(), x.double())
    bound = robust_elbo(model, box, draws, t, ARITHMETICS[arithmetic])
    exact = robust_elbo(model, box, draws, t)
    recon = bound.recon.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
    kl = bound.kl.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.inf)
    lower = recon - kl
    vacuous = lower < vae.likelihood.floor(vae.config.pixels)
    return Certificate(
        lower=lower.masked_fill(vacuous, -torch.inf),
        recon=recon,
        kl=kl,
        margin=(exact.total - lower).nan_to_num(nan=torch.inf, posinf=torch.inf).clamp(min=0),
        vacuous=vacuous,
        method=method,
        states="draws",
        target=target,
        eps=radius,
        draws=len(noise),
        arithmetic=arithmetic,
        intervals=bound.bounds.named(vae),
    )
