"""What the pages know at once of one model and one image, as a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.evaluation.curve import Curve


@dataclass(frozen=True)
class Terms:
    """The two parts of an ELBO, nats: total = recon - kl. Arrays (E,)."""

    recon: np.ndarray
    kl: np.ndarray


@dataclass(frozen=True)
class Result:
    """What the page shows at once of one model and one image, over the radii of `curve`.

    curve          attained, and proved by interval propagation.
    attacked       (E, H, W) images; recon_attacked likewise.
    clean, terms   the two parts of the clean ELBO, and of what is attained.
    """

    curve: Curve
    image: np.ndarray
    attacked: np.ndarray
    recon_image: np.ndarray
    recon_attacked: np.ndarray
    clean: Terms
    terms: Terms

    def at(self, eps: float) -> int:
        """Position of a radius that the curve has."""
        return int((self.curve.eps - eps).abs().argmin())
