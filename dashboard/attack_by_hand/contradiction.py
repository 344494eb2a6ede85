"""An image below what is proved: scored again, and kept as a file if it stands. It is never hidden."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from core.claims.claim import read_claim
from core.claims.counterexample import make_counterexample
from core.errors import ClaimError
from core.evaluation.curve import Proof
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ProofSettings
from dashboard.addresses.models import folder
from dashboard.attack_by_hand import text
from dashboard.attack_by_hand.scores import painted, score
from dashboard.server import logs
from dashboard.shared import compute
from dashboard.shared.file_names import file_name, of_image, of_question


@dataclass(frozen=True)
class Contradiction:
    """said: in words. file: the counterexample, "" where the certificate as it stands is not contradicted.
    name: of the file."""

    said: str
    file: str
    name: str


def examine(
    model: str,
    label: str,
    digit: Digit,
    settings: ProofSettings,
    eps: float,
    levels: np.ndarray,
    proof: Proof,
) -> Contradiction:
    """Score a painting, levels (C, H, W), again in the ball of the certificate that it seems to contradict.

    label  what people call the model. eps: radius of the painting, at most the proof's.
    """
    claim = read_claim(compute.claim(model, digit, settings, proof))
    point = painted(digit.image(), levels, settings.threat(min(eps, claim.eps)))
    found = score(model, digit, settings, point)
    try:
        file = make_counterexample(claim, point, folder(model)).to_json()
    except ClaimError:  # rounded to the safe side, the certificate says less than the proof
        file = ""
    outcome = "contradicted" if file else "not contradicted"
    logs.event("proof", logging.ERROR, method=proof.method, outcome=outcome)
    said = text.contradiction(label, found, proof.eps, proof.bound, proof.method, bool(file))
    asked = of_question(settings, proof.eps)
    name = file_name("json", "counterexample", *of_image(digit), model, *asked, proof.method)
    return Contradiction(said, file, name)
