"""Small experiments on one image that teach something; what the lessons show. See core.attacks and
core.certificates.prove for what an adversary really does and what is really proved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from core.attacks.gradient import cosine_step, steepest
from core.attacks.objective import Objective
from core.bounds.ball import Ball
from core.certificates.elbo_bounds.layer_bounds import LayerInterval
from core.data.samples import load_levels
from core.isolation import isolated
from core.training.baseline import ConstantDecoder, fit_constant_decoder
from core.vae.elbo import as_double, elbo, elbo_terms, evaluating
from core.vae.latent import kl_terms, reparameterise
from core.vae.likelihood import Likelihood
from core.vae.model import VAE
from core.vae.validate import check_images, check_noise

MOVES = {
    "shift-1": "shifted right by 1 pixel",
    "shift-2": "shifted right by 2 pixels",
    "shift-3": "shifted right by 3 pixels",
    "rotate-10": "rotated by 10 degrees",
    "rotate-20": "rotated by 20 degrees",
    "rotate-30": "rotated by 30 degrees",
}
"""Changes that no small ball holds, and what they do to an image."""


@dataclass(frozen=True)
class OnePixel:
    """One image with each of its pixels alone moved by eps, down and up, as far as [0, 1] allows.

    lowest  (H, W) the lower of the two ELBOs, nats; never above clean.
    change  (H, W) the move that led there.
    """

    clean: float
    lowest: Tensor
    change: Tensor


@isolated()
def one_pixel(vae: VAE, x: Tensor, noise: Tensor, eps: float) -> OnePixel:
    """Score all 2 H W images that differ from x (1, 1, H, W) in one pixel, by eps."""
    x = check_images(vae, x)
    box = Ball(x, torch.full((1,), eps, dtype=torch.float64, device=x.device)).box
    flat, ends = x.flatten(), torch.stack([box.lower.flatten(), box.upper.flatten()])
    moved = flat + torch.diag_embed(ends - flat)
    # A sum of two roundings can end beside the box; the moved pixel is the end itself.
    moved.diagonal(dim1=1, dim2=2).copy_(ends)
    scores = elbo(vae, moved.view(-1, *x.shape[1:]), noise).total.view(2, -1)
    clean = elbo(vae, x, noise).total.item()
    value, which = scores.min(0)
    change = (ends - flat).gather(0, which[None])[0]
    change = torch.where(value < clean, change, 0)
    return OnePixel(clean, value.clamp(max=clean).view(x.shape[2:]), change.view(x.shape[2:]))


@isolated()
@torch.enable_grad()
def slope(vae: VAE, x: Tensor, noise: Tensor) -> Tensor:
    """d ELBO(x) / d x (1, 1, H, W), in float64: nats for each unit of grey."""
    vae, x = as_double(vae), check_images(vae, x).double()
    return Objective(vae, check_noise(vae, noise), None)(x).gradient()


@isolated()
def promised(vae: VAE, x: Tensor, noise: Tensor, eps: float) -> float:
    """What the ELBO would lose at the worst point of the ball if it were linear, nats."""
    gradient = slope(vae, x, noise)
    ball = Ball(x.double(), torch.full((1,), eps, dtype=torch.float64, device=x.device))
    lowest = ball.lowest(gradient.flatten(1)[None])[0, 0]
    return ((gradient * x).sum() - lowest).item()


@dataclass(frozen=True)
class Descent:
    """Signed gradient steps from the clean image, projected onto the ball after each.

    values  (T + 1,) ELBO after each step, nats. dead: (T,) share of the pixels whose gradient was 0.
    point   (1, 1, H, W) the lowest point met.
    """

    values: Tensor
    dead: Tensor
    point: Tensor


@isolated()
@torch.enable_grad()
def descend(vae: VAE, x: Tensor, noise: Tensor, eps: float, steps: int, clamped: bool) -> Descent:
    """PGD with the steps of core.attacks, target "likelihood".

    clamped  the mistake: the clamp to [0, 1] stands inside the graph that is differentiated, so that a
             pixel on 0 or 1 has the gradient 0 and stays there.
    """
    vae, x, noise = evaluating(vae), check_images(vae, x), check_noise(vae, noise)[:, None]
    ball = Ball(x, torch.full((1,), eps, dtype=torch.float64, device=x.device))
    points, dead = [x], []
    for step in range(steps):
        point = points[-1].detach().requires_grad_(True)
        seen = point.clamp(0, 1) if clamped else point
        recon, kl = elbo_terms(vae, seen, noise.to(x.dtype), seen)
        (gradient,) = torch.autograd.grad((recon - kl).sum(), point)
        dead.append((gradient == 0).double().mean())
        way = cosine_step(step, steps) * steepest(ball, gradient)
        points.append(ball.project(point.detach() - way))
    path = torch.cat(points)
    values = elbo(vae, path, noise[:, 0]).total
    return Descent(values, torch.stack(dead), path[values.argmin()][None])


def mean_widths(intervals: Sequence[LayerInterval]) -> dict[str, float]:
    """Mean width of the intervals of each layer, those without units of their own left out."""
    shown = [layer for layer in intervals if layer.name.op not in ("Flatten", "Unflatten")]
    return {layer.name: layer.interval.width.mean().item() for layer in shown}


@isolated()
def moved(x: Tensor, move: str) -> Tensor:
    """x (1, 1, H, W) after one of MOVES; black comes in from outside."""
    kind, _, amount = move.partition("-")
    if kind == "shift":
        by = int(amount)
        return F.pad(x, (by, 0))[..., : x.shape[-1]]
    turn = math.radians(float(amount))
    matrix = [[math.cos(turn), -math.sin(turn), 0.0], [math.sin(turn), math.cos(turn), 0.0]]
    turned = torch.tensor([matrix], dtype=x.dtype, device=x.device)
    grid = F.affine_grid(turned, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False).clamp(0, 1)


def distance(x: Tensor, other: Tensor) -> float:
    """The largest change of a pixel: the eps whose ball would just hold the other image."""
    return (x.double() - other.double()).abs().max().item()


@isolated()
def constant_decoder(likelihood: Likelihood, eps: float, dataset: str = "mnist") -> ConstantDecoder:
    """The best one for a shipped data set at that eps, target "likelihood". Raises DataError."""
    return fit_constant_decoder(load_levels(dataset), likelihood, eps)


@dataclass(frozen=True)
class Parts:
    """The clean ELBO taken apart, float64 nats: mean of recon (S,) minus sum of kl (k,).

    means  (S, H, W) what each draw decodes to.
    """

    recon: Tensor
    kl: Tensor
    means: Tensor

    @property
    def total(self) -> Tensor:
        """ELBO of each draw alone, (S,)."""
        return self.recon - self.kl.sum()


@isolated()
@torch.no_grad()
def parts(vae: VAE, x: Tensor, noise: Tensor) -> Parts:
    """By draw and by latent dimension, of one image (1, 1, H, W)."""
    x, noise = check_images(vae, x).double(), check_noise(vae, noise).double()
    model = as_double(vae)
    mu, logvar = model.encode(x)
    a = model.decode(reparameterise(mu, logvar, noise[:, None]).flatten(0, 1))
    recon = model.likelihood.log_prob(x, a)
    return Parts(recon, kl_terms(mu, logvar)[0], model.likelihood.mean(a)[:, 0])
