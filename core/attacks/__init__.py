"""Attacks that lower the ELBO within the ball. A new attack is one new class and a line in ATTACKS."""

from __future__ import annotations

from torch import Tensor

from core.attacks.base import Attack, AttackResult, Progress
from core.attacks.gradient import FGSM, PGD
from core.errors import InputError
from core.model import VAE
from core.validate import check_count, check_eps, check_images, check_noise, check_seed, check_target

ATTACKS: dict[str, type[PGD]] = {"fgsm": FGSM, "pgd": PGD}

__all__ = ["ATTACKS", "Attack", "AttackResult", "Progress", "attack"]


def attack(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    *,
    eps: float | Tensor,
    target: str = "likelihood",
    method: str = "pgd",
    steps: int = 40,
    restarts: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> AttackResult:
    """The lowest ELBO that an adversary was seen to reach in the l_inf ball of radius eps.

    x         images (B, C, H, W) in [0, 1].
    noise     draws (S, k), the same for clean, attacked and certified value.
    eps       radius, a number in [0, 1] or one an image (B,).
    target    "likelihood" scores x' itself, "reconstruction" the clean image x.
    method    "fgsm" or "pgd".
    steps     gradient steps of one restart (fgsm takes one).
    restarts  the first starts at x, the others at random points (fgsm takes one).
    seed      of the random starts.
    progress  called as progress(done, total) after each step; raise in it to cancel.

    Raises InputError for arguments that are not as above.
    """
    if method not in tuple(ATTACKS):
        raise InputError(f"attack method is {method!r}; choose one of {', '.join(ATTACKS)}.")
    check_target(target)
    x, noise = check_images(vae, x), check_noise(vae, noise)
    radius = check_eps(eps, x)
    optimiser = ATTACKS[method](
        steps=check_count("steps", steps, 10_000),
        restarts=check_count("restarts", restarts, 1_000),
        seed=check_seed(seed),
    )
    return optimiser.run(vae, x, noise, radius, target, progress)
