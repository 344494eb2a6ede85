"""The numbers behind the explorer as rows: what the file says is what the page shows."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from functools import partial
from typing import Any

from core.evaluation.curve import stays
from core.vae.checkpoint import model_digest
from core.vae.threat import SIGN
from dashboard.addresses import models
from dashboard.addresses.explorer import State
from dashboard.shared import limits
from dashboard.shared.compute import SAMPLE
from dashboard.shared.result import Known


@dataclass(frozen=True)
class Row:
    """One model at one eps; nats, all digits. Empty where there is nothing to say.

    weights       SHA-256 of the model's weights and configuration. label: the image's class, if any.
    attained_...  the two parts of what is attained: reconstruction term - KL.
    proved        the best bound, or the word "vacuous"; method: what it is from; proved_at: the radius
                  it was proved at, eps or a larger one.
    states        "draws", or what is proved of the noise at large: then nothing is attained.
    side          "lower": the adversary lowers the ELBO, a lower bound is proved; "upper": both upwards.
    open_gap      between attained and proved, or "unbounded".
    constant_decoder, ceiling  what limits every model: see `limits.Limits`; "none" where densities have no
                  maximum.
    verdict       on "the ELBO stays at or above the threshold" ("below", for side "upper"): proved, broken
                  or open.
    """

    model: str
    weights: str
    digit: str
    label: str
    eps: float
    norm: str
    side: str
    target: str
    attack: str
    steps: int
    restarts: int
    draws: int
    seed: int
    clean: float | str
    attained: float | str
    attained_recon: float | str
    attained_kl: float | str
    proved: float | str
    method: str
    proved_at: float | str
    margin: float | str
    states: str
    open_gap: float | str
    threshold: float
    verdict: str
    constant_decoder: float | str = ""
    ceiling: float | str = ""


def rows(sides: Sequence[Known], state: State, label: str) -> list[Row]:
    """Every model at every radius of the page; then what is proved of the noise at large."""
    found = [row for side in sides for row in _of_model(side, state, label)]
    return found + [_sampled(side, state, label) for side in sides if side.sampled is not None]


def _of_model(side: Known, state: State, label: str) -> list[Row]:
    radii = tuple(side.curve.eps.tolist())
    known = limits.afresh(side.model, state.digit, state.settings.proof, radii)
    found = [_row(side, state, label, i) for i in range(len(radii))]
    if known is None:
        return found
    tops = [limits.NONE if math.isinf(top) else top for top in known.ceiling]
    floors = known.constant or ("",) * len(radii)
    return [
        replace(row, constant_decoder=floor, ceiling=top)
        for row, floor, top in zip(found, floors, tops, strict=True)
    ]


def as_csv(found: Sequence[Row]) -> str:
    """A header and a line a row; numbers with all their digits, text that no spreadsheet takes for a
    formula."""
    out = io.StringIO()
    write = csv.writer(out).writerow
    write(field.name for field in fields(Row))
    for row in found:
        write(_cell(value) for value in astuple(row))
    return out.getvalue()


def _cell(value: float | str) -> str:
    if not isinstance(value, str):
        return repr(value)
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value


def _row(side: Known, state: State, label: str, i: int) -> Row:
    curve, terms = side.curve, side.result.terms
    eps, attained = curve.eps[i].item(), curve.attained[i].item()
    best = curve.best(eps)
    proof: dict[str, Any] = {
        "proved": "vacuous",
        "method": "",
        "proved_at": "",
        "margin": "",
        "open_gap": "unbounded",
    }
    if best is not None:
        proof = {
            "proved": best.bound,
            "method": best.method,
            "proved_at": best.eps,
            "margin": best.margin,
            "open_gap": SIGN[curve.side] * (attained - best.bound),
        }
    kept = partial(stays, threshold=side.threshold, side=curve.side)
    return Row(
        **_asked(side, state, label),
        eps=eps,
        clean=curve.clean,
        attained=attained,
        attained_recon=float(terms.recon[i]),
        attained_kl=float(terms.kl[i]),
        states="draws",
        verdict="proved"
        if best is not None and kept(best.bound)
        else "open"
        if kept(attained)
        else "broken",
        **proof,
    )


def _sampled(side: Known, state: State, label: str) -> Row:
    """What is proved of the noise at large has draws of its own, which nothing was attained with."""
    proof = side.sampled
    assert proof is not None
    nothing = dict.fromkeys(
        ("clean", "attained", "attained_recon", "attained_kl", "margin", "open_gap"), ""
    )
    vacuous = math.isinf(proof.bound)
    return Row(
        **_asked(side, state, label) | {"attack": "", "steps": 0, "restarts": 0, "draws": SAMPLE},
        **nothing,
        eps=proof.eps,
        proved="vacuous" if vacuous else proof.bound,
        method=proof.method,
        proved_at="" if vacuous else proof.eps,
        states=state.states,
        verdict="proved" if stays(proof.bound, side.threshold, proof.side) else "open",
    )


def _asked(side: Known, state: State, label: str) -> dict[str, Any]:
    question = asdict(state.settings)
    return question | {
        "model": side.model,
        "weights": model_digest(models.folder(side.model)),
        "digit": state.digit.name,
        "label": label,
        "threshold": side.threshold,
    }
