"""What the pages know of one model and one image, as values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.evaluation.curve import Curve, Proof
from dashboard.shared.lines import Line, line_of
from dashboard.shared.text import minus


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


@dataclass
class Known:
    """What is known so far: it grows with each proof that comes in.

    model         its folder's name. result: what it started from.
    curve         attained, and all proofs that are in. sampled: the one on the noise at large, at one eps.
    threshold     what the ELBO is to stay above, nats.
    name, colour  what people call the model, and its colour on the page.
    """

    model: str
    curve: Curve
    result: Result
    threshold: float
    sampled: Proof | None = None
    name: str = ""
    colour: str = ""

    def line(self, methods: bool = False) -> Line:
        """The curve for a chart. methods: with the bounds of each method, not the best alone."""
        return line_of(self.curve, self.name, self.colour, self.threshold, methods)


def statement(curve: Curve, eps: float) -> str:
    """Exactly what the best certificate proves; where all are vacuous, what the last one tried to."""
    best = curve.best(eps) or [proof for proof in curve.proofs if proof.eps == eps][-1]
    return minus(best.statement)
