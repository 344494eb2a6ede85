"""What the browser gets of one model: pictures and numbers at every radius. No Streamlit in here."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from core.evaluation.curve import Curve
from core.vae.threat import SIGN
from dashboard.explorer.stage import text
from dashboard.shared.result import Result
from dashboard.shared.text import METHOD_NAMES, nats, proved_nats, signed

LEVELS = 127
"""Steps of a change, up and down, to the largest of its radius."""


def film(result: Result, norm: str) -> dict[str, Any]:
    """The pictures of E radii as bytes, about 50 kB a model.

    shape                       (H, W), or (H, W, 3) in colour, as pictures are, see `shared.images`.
    image, recon_image          levels of that shape, uint8. recon_attacked: (E, ...).
    change, scale               (E, ...) int8 and (E,): attacked = image + change / LEVELS x scale.
    Levels are exact to half of one of 255, a change to half of one of LEVELS of the largest.
    """
    radii, change = result.curve.eps.numpy(), result.attacked - result.image
    scale = radii if norm == "linf" else np.abs(change).reshape(len(change), -1).max(1)
    largest = scale.reshape(-1, *[1] * result.image.ndim)
    steps = np.divide(change, largest, out=np.zeros_like(change), where=largest > 0)
    return {
        "radii": radii.tolist(),
        "shape": list(result.image.shape),
        "scale": scale.tolist(),
        "captions": [text.magnified(most) for most in scale.tolist()],
        "image": _grey(result.image),
        "change": _encode(np.round(np.clip(steps, -1, 1) * LEVELS).astype(np.int8)),
        "recon_image": _grey(result.recon_image),
        "recon_attacked": _grey(result.recon_attacked),
    }


def readings(curve: Curve) -> list[list[tuple[str, str]]]:
    """`reading` at every radius of a curve."""
    return [reading(curve, i) for i in range(len(curve.eps))]


def reading(curve: Curve, i: int) -> list[tuple[str, str]]:
    """Clean, attained, proved, open gap at one radius: each with its unit and sign, and a note."""
    clean, attained, best = curve.clean, curve.attained[i].item(), curve.best(curve.eps[i].item())
    known = [(nats(clean, 1), "no attack"), (nats(attained, 1), f"{signed(attained - clean)} from clean")]
    if best is None:
        return [*known, ("vacuous", "nothing proved"), ("unbounded", "no limit")]
    gap = SIGN[curve.side] * (attained - best.bound)
    digits = 0 if gap >= 10 else 1 if gap >= 1 else 2
    proved = proved_nats(best.bound, 1, curve.side), f"by {METHOD_NAMES[best.method]}"
    return [*known, proved, (nats(gap, digits), "undecided")]


def _grey(image: np.ndarray) -> str:
    return _encode(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))


def _encode(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
