"""What the browser gets of a model: pictures, numbers, a curve over all radii. No Streamlit in here."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from core.evaluation.ceiling import CEILING
from core.evaluation.curve import Curve, Proof, stays
from core.vae.threat import SIGN
from dashboard.explorer.stage import text
from dashboard.shared.limits import NAMES, Limits
from dashboard.shared.lines import Line, line_of
from dashboard.shared.result import Result
from dashboard.shared.text import METHOD_NAMES, NO_LIMIT, NOTHING, minus
from dashboard.shared.units import NATS, Unit

LEVELS = 127
"""Steps of a change, up and down, to the largest of its radius."""


def film(result: Result, norm: str, most: int | None = None) -> dict[str, Any]:
    """The pictures of E radii as bytes, about 50 kB a model. most: of the first so many radii alone.

    shape                       (H, W), or (H, W, 3) in colour, as pictures are, see `shared.images`.
    image, recon_image          levels of that shape, uint8. recon_attacked: (E, ...).
    change, scale               (E, ...) int8 and (E,): attacked = image + change / LEVELS x scale.
    Levels are exact to half of one of 255, a change to half of one of LEVELS of the largest.
    """
    radii, change = result.curve.eps.numpy()[:most], result.attacked[:most] - result.image
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
        "recon_attacked": _grey(result.recon_attacked[:most]),
    }


def numbers(
    curve: Curve, threshold: float, sampled: Proof | None, name: str, unit: Unit = NATS
) -> dict[str, Any]:
    """What is known of a model so far: its verdict, its line, and at every radius of the curve `reading`
    and whether the threshold holds there, see `state`. sampled, name: what is proved of the noise at large
    at one eps, and what that is called. Lines are in nats whatever the unit; so is `nats`, the readings of
    a figure that is taken away."""
    at_large = None
    if sampled is not None and math.isfinite(sampled.bound):
        at_large = [sampled.eps, sampled.bound, name]
    level = minus(unit.level(threshold, [curve]))
    places = range(len(curve.eps))
    return {
        "verdict": minus(curve.verdict(threshold).sentence(level)),
        "line": line(line_of(curve, "", "", threshold, methods=True))
        | {"sampled": at_large, "level": level},
        "readings": [[reading(curve, i, unit), state(curve, i, threshold)] for i in places],
        "nats": None if unit is NATS else [reading(curve, i) for i in places],
    }


def limit_lines(limits: Limits, unit: Unit) -> list[dict[str, Any]]:
    """What limits every model, for the chart: in nats, None where there is nothing to draw; and in words,
    in the unit and in nats."""
    return [
        {
            "name": NAMES[limit],
            "dash": limit,
            "eps": limits.eps,
            "values": _finite(np.array(levels)),
            "said": [_level(limit, level, unit) for level in levels],
            "nats": [_level(limit, level, NATS) for level in levels],
        }
        for limit, levels in limits.lines.items()
    ]


def _level(limit: str, level: float, unit: Unit) -> str:
    """A limit in words, rounded so that it stays one."""
    if math.isinf(level):
        return NO_LIMIT
    return unit.proved(level, digits(level, unit), "upper" if limit == CEILING else "lower")


def reading(curve: Curve, i: int, unit: Unit = NATS) -> list[tuple[str, str]]:
    """Clean, attacked, proved, open at one radius: each with its unit and sign, and a note."""
    clean, attained, best = curve.clean, curve.attained[i].item(), curve.best(curve.eps[i].item())
    known = [
        (unit.shown(clean, digits(clean, unit)), ""),
        (unit.shown(attained, digits(attained, unit)), f"{unit.change(attained - clean)} from clean"),
    ]
    if best is None:
        return [*known, (NOTHING, ""), ("–", "")]
    gap = SIGN[curve.side] * (attained - best.bound)
    decimals = 0 if gap >= 10 else 1 if gap >= 1 else 2
    proved = (
        unit.proved(best.bound, digits(best.bound, unit), curve.side),
        f"by {METHOD_NAMES[best.method]}",
    )
    return [*known, proved, (unit.shown(gap, decimals + unit.digits), "")]


def digits(value: float, unit: Unit = NATS) -> int:
    """Decimals of a number of nats on a card: four digits are enough, and all that there is room for."""
    return unit.digits + (1 if unit is NATS and abs(value) < 1000 else 0)


def state(curve: Curve, i: int, threshold: float) -> str:
    """Whether a threshold is proved to "holds" at a radius, is "broken", or is "open"."""
    if not stays(curve.attained[i].item(), threshold, curve.side):
        return "broken"
    best = curve.best(curve.eps[i].item())
    return "holds" if best is not None and stays(best.bound, threshold, curve.side) else "open"


def line(known: Line) -> dict[str, Any]:
    """A curve for the chart: plain lists, None where nothing is proved."""
    return {
        "eps": known.eps.tolist(),
        "clean": known.clean,
        "attained": known.attained.tolist(),
        "proved": _finite(known.proved),
        "methods": {m: [eps.tolist(), _finite(bounds)] for m, (eps, bounds) in known.by_method.items()},
        "threshold": known.threshold,
        "side": known.side,
    }


def _finite(bounds: np.ndarray) -> list[float | None]:
    return [bound if math.isfinite(bound) else None for bound in bounds.tolist()]


def _grey(image: np.ndarray) -> str:
    return _encode(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))


def _encode(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
