"""Attacks that lower or raise the ELBO within the ball. A new one is one class and a line in ATTACKS."""

from __future__ import annotations

import torch
from torch import Tensor

from core.attacks.apgd import APGD
from core.attacks.base import Attack, AttackResult, Progress, Search, Watch
from core.attacks.chance import Random
from core.attacks.gradient import FGSM, PGD
from core.attacks.spg import SPG
from core.attacks.strongest import Strongest
from core.attacks.surrogate import Damage, Latent, Targeted
from core.attacks.vertex import Vertex
from core.bounds.ball import Ball
from core.errors import InputError
from core.isolation import isolated
from core.vae.model import VAE
from core.vae.threat import Threat
from core.vae.validate import (
    check_choice,
    check_count,
    check_dense,
    check_images,
    check_noise,
    check_seed,
)

ATTACKS: dict[str, type[Attack]] = {
    kind.name: kind for kind in (FGSM, PGD, APGD, SPG, Vertex, Latent, Targeted, Damage, Random, Strongest)
}

__all__ = ["ATTACKS", "Attack", "AttackResult", "Progress", "Search", "Watch", "attack", "find_worst"]


@isolated()
def attack(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    *,
    eps: float | Tensor,
    target: str = "likelihood",
    norm: str = "linf",
    side: str = "lower",
    method: str = "pgd",
    steps: int = 40,
    restarts: int = 1,
    seed: int = 0,
    start: Tensor | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> AttackResult:
    """The lowest ELBO that an adversary was seen to reach in the ball of radius eps, or the highest.

    x         images (B, C, H, W) in [0, 1].
    noise     draws (S, k), the same for clean, attacked and certified value.
    eps       radius, a number in [0, 1] or one an image (B,).
    target    "likelihood" scores x' itself, "reconstruction" the clean image x.
    norm      "linf", at most eps a pixel, or "l2", at most eps in Euclidean distance.
    side      "lower" makes images look unlikely: certified lower <= attacked <= clean. "upper" makes them
              look likely, an outlier normal: clean <= attacked <= certified upper.
    method    a name in ATTACKS: "fgsm", "pgd", "apgd", "spg", "vertex", "latent", "targeted",
              "damage", "random", "strongest". "latent", "targeted" and "damage" pursue another goal
              than the ELBO, and have no side "upper".
    steps     gradient steps of one restart (fgsm takes one).
    restarts  the first starts at x, the others at random points (fgsm takes one). "strongest" spends
              25 * steps * restarts gradients in its own way: 1,000 as it is called here.
    seed      of everything that is random.
    start     points to start at as well, (K, B, C, H, W) or (B, C, H, W), projected onto the ball
              first. Each is one more restart.
    progress  called as progress(done, total) after each step; raise in it to cancel.
    watch     called with the Evaluation of each step: `point` (K * B, C, H, W) and `elbo` (K * B,).

    Raises InputError for arguments that are not as above.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, draws=4)
    >>> found = core.attack(vae, x, noise, eps=0.05, steps=10)
    >>> bool((found.elbo < core.elbo(vae, x, noise).total).all())
    True
    """
    search = Search(method, steps, restarts, seed)
    return find_worst(vae, x, noise, Threat(eps, target, norm, side), search, start, progress, watch)


@isolated()
def find_worst(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    threat: Threat,
    search: Search,
    start: Tensor | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> AttackResult:
    """Attack images with what `attack` was asked as values."""
    kind = ATTACKS[check_choice("attack method", search.method, tuple(ATTACKS))]
    if threat.side == "upper" and not kind.directed:
        able = ", ".join(name for name, kind in ATTACKS.items() if kind.directed)
        raise InputError(
            f"Attack {search.method!r} pursues another goal than the ELBO, and cannot be told to raise it; "
            f"for side 'upper' choose one of {able}."
        )
    x, noise = check_images(vae, x), check_noise(vae, noise)
    balls = threat.balls(x)
    optimiser = kind(
        steps=check_count("steps", search.steps, 10_000),
        restarts=check_count("restarts", search.restarts, 1_000),
        seed=check_seed(search.seed),
        side=threat.side,
    )
    return optimiser.run(vae, balls, noise, threat.target, _check_start(start, balls), progress, watch)


def _check_start(start: Tensor | None, ball: Ball) -> Tensor:
    """Extra starts -> (K, B, C, H, W) in the ball, K >= 0."""
    x = ball.center
    if start is None:
        return x.new_empty((0, *x.shape))
    check_dense("start", start)
    if start.shape[-4:] != x.shape or start.ndim not in (4, 5):
        raise InputError(
            f"start is {tuple(start.shape)}; it must be a tensor of shape {tuple(x.shape)} or (K, *that)."
        )
    if not start.dtype.is_floating_point or not bool(torch.isfinite(start).all()):
        raise InputError("start must hold floating point numbers, none of them NaN or infinite.")
    points = start.detach().to(x.device, x.dtype).reshape(-1, *x.shape)
    return torch.stack([ball.project(point) for point in points]) if len(points) else points
