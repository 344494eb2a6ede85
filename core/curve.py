"""Clean, attained and certified ELBO of one image over a grid of eps, and what they say of a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.attacks import Progress, attack
from core.elbo import elbo
from core.errors import InputError
from core.model import VAE
from core.prove import certify
from core.validate import check_images


@dataclass(frozen=True)
class Curve:
    """One image over E radii; nats, float64.

    eps        (E,) ascending.
    clean      ELBO of the clean image.
    attained   (E,) lowest ELBO an attack reached at that radius or a smaller one: non-increasing.
    certified  (E,) proved lower bound, -inf where vacuous; non-increasing.
    x_adv      (E, C, H, W) the images that attained it.
    """

    eps: Tensor
    clean: float
    attained: Tensor
    certified: Tensor
    x_adv: Tensor

    def verdict(self, threshold: float) -> Verdict:
        """What is proved and what is attained about "the ELBO stays at or above the threshold"."""
        safe = self.eps[self.certified >= threshold]
        broken = self.eps[self.attained < threshold]
        return Verdict(
            threshold,
            float(safe.max()) if len(safe) else None,
            float(broken.min()) if len(broken) else None,
            float(self.eps.max()),
        )


@dataclass(frozen=True)
class Verdict:
    """On a grid of eps up to `most`: proved up to `certified` (None: nowhere), broken from `broken`
    (None: no attack on the grid went below the threshold), open between."""

    threshold: float
    certified: float | None
    broken: float | None
    most: float

    def sentence(self) -> str:
        if self.broken == 0:
            return f"below {self.threshold:.0f} nats without any attack."
        if self.broken is None and self.certified == self.most:
            return f"proved above {self.threshold:.0f} nats up to eps {self.most:g}, the whole range."
        if self.certified is None:
            proved = "no eps is proved"
        elif self.certified == 0:
            proved = f"nothing is proved above {self.threshold:.0f} nats beyond eps 0"
        else:
            proved = f"proved above {self.threshold:.0f} nats up to eps {self.certified:g}"
        if self.broken is None:
            return f"{proved}, not broken up to {self.most:g}, open between."
        return f"{proved}, broken from {self.broken:g}, open between."


def elbo_curve(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    eps: Tensor | Sequence[float],
    *,
    target: str = "likelihood",
    method: str = "pgd",
    steps: int = 40,
    restarts: int = 1,
    seed: int = 0,
    certificate: str = "ibp",
    progress: Progress | None = None,
) -> Curve:
    """Attack and certify one image x (1, C, H, W) at every radius of eps (E,), as one batch.

    A ball holds every smaller one, so a point found at a smaller radius counts at the larger ones too,
    and a bound proved at a larger radius holds at the smaller ones. Other arguments as in `attack` and
    `certify`; raises InputError.
    """
    x, eps = check_images(vae, x), torch.as_tensor(eps, dtype=torch.float64)
    if len(x) != 1 or eps.ndim != 1 or len(eps) == 0 or bool((eps.diff() <= 0).any()):
        raise InputError("A curve needs one image and a list of ascending eps.")
    copies = x.expand(len(eps), -1, -1, -1)
    found = attack(
        vae,
        copies,
        noise,
        eps=eps,
        target=target,
        method=method,
        steps=steps,
        restarts=restarts,
        seed=seed,
        progress=progress,
    )
    proved = certify(vae, copies, noise, eps=eps, target=target, method=certificate)
    attained, index = found.elbo.cummin(0)
    return Curve(
        eps=found.eps,
        clean=elbo(vae, x, noise).total.item(),
        attained=attained,
        certified=proved.lower.flip(0).cummax(0).values.flip(0),
        x_adv=found.x_adv[index],
    )
