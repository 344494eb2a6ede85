"""A counterexample as a file: a certificate, and an image of its ball that scores beyond its bound."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from core.bounds.ball import Ball
from core.claims import claim as claims
from core.claims.asked import asking, folder_of, image_of, noise_of
from core.claims.claim import Claim, check_claim, checksum, read_claim
from core.claims.verify import Verification
from core.claims.witness import check_witness, same_noise
from core.errors import ClaimError, InputError
from core.isolation import isolated
from core.vae.checkpoint import load_model, model_digest
from core.vae.elbo import elbo
from core.vae.threat import Threat
from core.vae.validate import check_images

FORMAT = 1
MOST_BYTES = 2 * claims.MOST_BYTES
"""No counterexample is larger: a certificate, and an image that a certificate has room for."""
_FIELDS = {"format", "certificate", "attacked", "attained", "checksum"}
_WHOSE = "Anyone can write a false one: whether this program gives it, verifying the certificate shows."
_TOLERANCE = 1e-6
"""Of a score, which other machines sum in another order, relative to it."""


@dataclass(frozen=True)
class Counterexample:
    """An image that contradicts a certificate on given draws.

    claim     the certificate: clean image, model, noise, radius and bound.
    attacked  the image, float32 values as the claim's, base64.
    attained  its ELBO on the claim's draws, nats, in float64.
    """

    claim: Claim
    attacked: str
    attained: float

    def to_json(self) -> str:
        """The file: readable, with a checksum of all else."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "certificate": {"format": claims.FORMAT, **asdict(self.claim)},
            "attacked": self.attacked,
            "attained": self.attained,
        }
        content["certificate"]["checksum"] = checksum(content["certificate"])
        return json.dumps({**content, "checksum": checksum(content)}, indent=2) + "\n"


def read_counterexample(content: str | bytes) -> Counterexample:
    """The counterexample in a file that anyone may have written. Raises ClaimError unless it is one,
    unchanged since `to_json` wrote it; what it says is worth what `verify_counterexample` finds.

    >>> core.read_counterexample("{}")
    Traceback (most recent call last):
    core.errors.ClaimError: The file is no counterexample: it does not have the fields of one.
    """
    if not isinstance(content, str | bytes):
        raise InputError(f"A {type(content).__name__} is no text of a counterexample.")
    if len(content) > MOST_BYTES:
        raise ClaimError("The file is over 2 MB, which no counterexample is.")
    try:
        parsed = json.loads(content, parse_constant=claims.refuse, object_pairs_hook=claims.once)
    except (ValueError, RecursionError) as error:
        raise ClaimError(f"The file is no counterexample: it cannot be read as JSON ({error}).") from error
    if not isinstance(parsed, dict) or set(parsed) != _FIELDS:
        raise ClaimError("The file is no counterexample: it does not have the fields of one.")
    if type(parsed["format"]) is not int or parsed["format"] != FORMAT:
        raise ClaimError(f"The counterexample has another format; this version reads {FORMAT}.")
    attained, attacked = parsed["attained"], parsed["attacked"]
    if type(attained) not in (int, float) or not abs(attained) < 1e300 or not isinstance(attacked, str):
        raise ClaimError("The counterexample's score is no number of nats, or its image no text.")
    found = Counterexample(read_claim(json.dumps(parsed["certificate"])), attacked, float(attained))
    if parsed["checksum"] != json.loads(found.to_json())["checksum"]:
        raise ClaimError("The counterexample was changed after it was written: its checksum is another.")
    return found


@isolated()
def make_counterexample(claim: Claim, x: Tensor, model: str | Path | None = None) -> Counterexample:
    """The file's content for an image x (1, C, H, W) that contradicts a claim.

    model  folder of the weights, where they are not a shipped model's.

    Raises ClaimError for a claim that cannot be asked, an image outside of its ball, or one that does not
    contradict it.

    >>> from dataclasses import replace
    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:1], core.sample_noise(vae, draws=4)
    >>> claim = core.make_claim("mnist-mlp-robust-0.1", x, core.certify(vae, x, noise, eps=0.05), draws=4)
    >>> false = replace(claim, bound=-100.0)
    >>> core.verify_counterexample(core.make_counterexample(false, x)).holds
    True
    """
    folder = folder_of(check_claim(claim), model)
    x = check_images(load_model(folder), x)
    if len(x) != 1:
        raise InputError(f"A counterexample is one image, not {len(x)}; give the one that contradicts.")
    attacked = base64.b64encode(x[0].detach().float().contiguous().cpu().numpy().tobytes()).decode()
    found = Counterexample(claim, attacked, _score(claim, attacked, folder))
    if not _beyond(claim, found.attained):
        raise ClaimError(f"{_said(claim, found.attained)}. That does not contradict the certificate.")
    return found


@isolated()
def verify_counterexample(counterexample: Counterexample, model: str | Path | None = None) -> Verification:
    """Score the image again, in float64 on the claim's draws, from the file alone and the weights.

    model  folder of the weights, where they are not those of a shipped model.

    `holds` says that the image contradicts the certificate, `bound` is its score in nats. A certificate in
    a file may be anyone's: whether this program gives it says `verify_claim`.

    Raises ClaimError for another model's weights, an image outside of the ball, a score that is not the
    image's, a statement about all noise, which no image on given draws contradicts, and a file that is
    damaged.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:1], core.sample_noise(vae, draws=4)
    >>> claim = core.make_claim("mnist-mlp-robust-0.1", x, core.certify(vae, x, noise, eps=0.05), draws=4)
    >>> core.make_counterexample(claim, x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    core.errors.ClaimError: The image scores -164.22 nats, ... That does not contradict the certificate.
    """
    if not isinstance(counterexample, Counterexample):
        raise InputError(
            f"A {type(counterexample).__name__} is no counterexample; read one with "
            "core.read_counterexample(text)."
        )
    claim, stated = check_claim(counterexample.claim), counterexample.attained
    score = _score(claim, counterexample.attacked, folder_of(claim, model))
    if not abs(score - stated) <= _TOLERANCE * max(1.0, abs(score)):
        raise ClaimError(
            f"The counterexample says that its image scores {stated:.6f} nats; it scores {score:.6f}."
        )
    if _beyond(claim, score):
        said = f"Confirmed: the certificate in the file is false. {_said(claim, score)}. {_WHOSE}"
        return Verification(True, score, said)
    return Verification(False, score, f"Not confirmed. {_said(claim, score)}.")


def _score(claim: Claim, attacked: str, folder: Path) -> float:
    """The ELBO, in nats, of an image of a claim's ball; all that can be wrong with either raises."""
    if claim.states != "draws":
        raise ClaimError("The certificate is about all noise; no image on given draws contradicts it.")
    if model_digest(folder) != claim.weights:
        raise ClaimError(f"{folder.name} has other weights than the certificate is about.")
    vae = load_model(folder)
    x, noise, point = image_of(vae, claim.image), noise_of(vae, claim), image_of(vae, attacked)
    if claim.witness and not same_noise(check_witness(claim.witness, vae, claim.draws), noise):
        raise ClaimError("The certificate's witness has other noise than its seed gives.")
    with asking():
        x = check_images(vae, x)
        threat = Threat(claim.eps, claim.target, claim.norm, claim.side)
        balls: Ball = threat.balls(x)
    if not bool(balls.holds(point).all()):
        raise ClaimError(
            f"The counterexample's image is not in the ball of {claim.eps!r} around the certificate's."
        )
    score = elbo(vae, point, noise, threat.scored(x)).total.item()
    if not math.isfinite(score):
        raise ClaimError("The counterexample's image has no finite score; no certificate is about that.")
    return score


def _beyond(claim: Claim, score: float) -> bool:
    return score < claim.bound if claim.side == "lower" else score > claim.bound


def _said(claim: Claim, score: float) -> str:
    most = "at least" if claim.side == "lower" else "at most"
    return (
        f"The image scores {score:.2f} nats, and {claim.method} states {most} {claim.bound:.2f} nats for "
        f"every image within {claim.eps!r}"
    )
