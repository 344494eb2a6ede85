"""What an attack and a certificate are both asked about: a ball around each image, what is scored there,
on which draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from core.bounds.ball import NORMS, Ball
from core.vae.elbo import sample_noise
from core.vae.model import VAE
from core.vae.validate import check_choice, check_eps, check_target

SIGN = {"lower": 1, "upper": -1}
"""What bounds, or attacks, SIGN * ELBO from below does so to the ELBO from that side."""
SIDES = tuple(SIGN)


@dataclass(frozen=True)
class Threat:
    """What an adversary may do to an image, and what he is after.

    eps     radius of the ball, a number in [0, 1] or one an image (B,); up to sqrt(pixels) for norm "l2".
    target  "likelihood" scores x' itself, "reconstruction" the clean image x.
    norm    "linf", at most eps a pixel, or "l2", at most eps in Euclidean distance.
    side    "lower": the ELBO shall fall; "upper": it shall rise.

    Raises InputError for a target, norm or side that there is not; a radius is checked with its images.
    """

    eps: float | Tensor
    target: str = "likelihood"
    norm: str = "linf"
    side: str = "lower"

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, NORMS)
        check_choice("side", self.side, SIDES)
        check_target(self.target)

    @property
    def sign(self) -> int:
        """+1 where low values of the ELBO are looked for, -1 where high ones are."""
        return SIGN[self.side]

    def at(self, eps: float | Tensor) -> Threat:
        """The same with another radius."""
        return replace(self, eps=eps)

    def balls(self, x: Tensor) -> Ball:
        """The balls around images x (B, C, H, W). Raises InputError for a radius that is none."""
        return Ball(x, check_eps(self.eps, x, self.norm), self.norm)

    def scored(self, x: Tensor) -> Tensor | None:
        """The image t of log p(t | z): the clean one, or None where it is x' itself."""
        return None if self.target == "likelihood" else x


@dataclass(frozen=True)
class Draws:
    """How many noise draws, and the seed that they come from."""

    count: int = 1
    seed: int = 0

    def noise(self, vae: VAE) -> Tensor:
        """(count, k), the same wherever it is drawn. Raises InputError, see `sample_noise`."""
        return sample_noise(vae, self.count, self.seed)
