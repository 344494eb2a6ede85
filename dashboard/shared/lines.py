"""One model's curve as plain arrays, for the charts. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.evaluation.curve import Curve


@dataclass(frozen=True)
class Line:
    """One model's curve. Arrays (E,); bounds are -inf where they are vacuous, upper ones +inf.

    proved, how  the best bound at each radius, and the method it is from ("" where there is none).
    by_method    method -> the radii where it was computed, and its bounds there; arrays.
    side         "lower" or "upper": which bounds they are, and which way the attack went.
    sampled      what is proved of the noise at large at one eps, (eps, nats, name), or None.
    """

    name: str
    colour: str
    eps: np.ndarray
    clean: float
    attained: np.ndarray
    proved: np.ndarray
    how: Sequence[str]
    by_method: Mapping[str, tuple[np.ndarray, np.ndarray]]
    threshold: float
    side: str = "lower"
    sampled: tuple[float, float, str] | None = None


def line_of(curve: Curve, name: str, colour: str, threshold: float, methods: bool = False) -> Line:
    """What a curve says as a line. methods: with the bounds of each method, not the best alone."""
    best = [curve.best(eps) for eps in curve.eps.tolist()]
    return Line(
        name=name,
        colour=colour,
        eps=curve.eps.numpy(),
        clean=curve.clean,
        attained=curve.attained.numpy(),
        proved=curve.proved().numpy(),
        how=["" if proof is None else proof.method for proof in best],
        by_method={method: _points(curve, method) for method in curve.methods if methods},
        threshold=threshold,
        side=curve.side,
    )


def _points(curve: Curve, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Where a method was computed, and its bounds there."""
    found = sorted({p.eps: p.bound for p in curve.proofs if p.method == method}.items())
    eps, bounds = zip(*found, strict=True)
    return np.array(eps), np.array(bounds)
