"""The check of a certificate in a file: it is computed again, from the file alone and the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from torch import Tensor

from core.certificates.certificate import Certificate, shown_bound
from core.certificates.methods import OPTIMISING, Effort
from core.certificates.noise_certificate import Guarantee
from core.certificates.prove import prove
from core.claims.asked import asking, folder_of, image_of, noise_of
from core.claims.claim import Claim, check_claim
from core.claims.making import make_claim, worded
from core.claims.witness import check_witness, same_noise
from core.errors import Cancelled
from core.isolation import isolated
from core.vae.checkpoint import load_model, model_digest
from core.vae.model import VAE
from core.vae.threat import Threat


@dataclass(frozen=True)
class Verification:
    """Whether a claim holds; the bound that was computed again, in nats; and a sentence that says so."""

    holds: bool
    bound: float
    sentence: str


@isolated()
def verify_claim(
    claim: Claim, model: str | Path | None = None, progress: Callable[[int, int], None] | None = None
) -> Verification:
    """Compute the bound again, from the claim alone and the weights.

    model     folder with the weights, where they are not those of a shipped model.
    progress  see `core.certify`.

    Methods that optimise may fall short by a rounding on another machine: they get a second chance with
    twice the steps. Every other field, and the sentence, has to be the one that this question gives; what
    the file says of its margin and versions is not computed again, it has to be what its sentence says.

    What this cannot see: a claim that was rewritten as a whole, sentence and checksum included, to say
    something else that is true, or was made by other versions; and, for states "expectation" and
    "coverage", a seed that was chosen by looking at what it proves.

    Raises ClaimError for a model that is not there, a question that cannot be asked or a witness that is
    none, Cancelled where progress raised it before there was an answer.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, draws=4)
    >>> proved = core.certify(vae, x[:1], noise, eps=0.05)
    >>> claim = core.make_claim("mnist-mlp-robust-0.1", x[:1], proved, draws=4)
    >>> core.verify_claim(claim).holds
    True
    """
    check_claim(claim)
    folder = folder_of(claim, model)
    if model_digest(folder) != claim.weights:
        return Verification(
            False, math.nan, f"Not verified: {folder.name} has other weights than were certified."
        )
    vae, stopped = load_model(folder), False

    def follow(done: int, total: int) -> None:
        nonlocal stopped
        try:
            if progress is not None:
                progress(done, total)
        except Cancelled:
            stopped = True
            raise

    x, noise, bound, short = image_of(vae, claim.image), noise_of(vae, claim), math.nan, ""
    drawn = claim.states == "draws" and claim.witness
    if drawn and not same_noise(check_witness(claim.witness, vae, claim.draws), noise):
        return Verification(
            False, math.nan, "Not verified: the certificate's witness has other noise than its seed gives."
        )
    for iterations in dict.fromkeys((claim.iterations, 2 * claim.iterations)):
        proved = _again(vae, x, noise, replace(claim, iterations=iterations), follow)
        bound = proved.bound[0].item()
        if bound >= claim.bound if claim.side == "lower" else bound <= claim.bound:
            wrong = _differs(claim, _expected(claim, folder, x, proved))
            said = "Holds." if wrong is None else f"Not verified: {wrong}"
            return Verification(wrong is None, bound, f"{said} {proved.statement()}")
        if stopped:
            raise Cancelled(
                "The check was stopped before it had an answer: that says nothing of the certificate."
            )
        short = "vacuous" if proved.vacuous[0] else f"{shown_bound(bound, claim.side)} nats"
    return Verification(
        False, bound, f"Not verified: {claim.bound:.2f} nats are claimed, {short} is what can be proved."
    )


def _expected(claim: Claim, folder: Path, x: Tensor, proved: Certificate) -> Claim:
    """The claim that this question gives, with the bound, margin, name and versions that are claimed."""
    asked = {"draws": claim.draws, "seed": claim.seed, "iterations": claim.iterations}
    made = make_claim(folder, x, proved, **asked)
    margin = float(f"{claim.margin:.2g}") if claim.states == "draws" else 0.0
    said = replace(
        made,
        bound=float(f"{claim.bound:.2f}"),
        margin=margin,
        model=claim.model,
        versions=claim.versions,
        witness=claim.witness if claim.states == "draws" else "",
    )
    return worded(replace(said, statement=_sentence(proved, said)))


def _sentence(proved: Certificate, claim: Claim) -> str:
    """The sentence for what was computed again, with the claim's own bound and margin."""
    computed = f"{shown_bound(proved.bound[0], proved.side)} nats", f"{proved.margin[0].item():.2g} nats"
    stated = f"{claim.bound:.2f} nats", f"{claim.margin:.2g} nats"
    bound, margin = zip(computed, stated, strict=True)
    return proved.statement().replace(*bound, 1).replace(f"; {margin[0]}", f"; {margin[1]}")


def _differs(claim: Claim, expected: Claim) -> str | None:
    """What a claim has that it should not, in words; None if there is nothing."""
    for name in (field.name for field in fields(Claim)):
        found, right = getattr(claim, name), getattr(expected, name)
        if found == right:
            continue
        if name == "statement":
            return "its sentence says something else than its numbers, which give:"
        return f"its {name} is {str(found)[:40]!r}, where {str(right)[:40]!r} is right. Computed:"
    return None


def _again(
    vae: VAE, x: Tensor, noise: Tensor, claim: Claim, progress: Callable[[int, int], None]
) -> Certificate:
    searched = claim.method in OPTIMISING and claim.states == "draws"
    with asking():
        threat = Threat(claim.eps, claim.target, claim.norm, claim.side)
        effort = Effort(claim.method, claim.arithmetic, claim.iterations if searched else 1)
        guarantee = Guarantee(claim.states, claim.alpha, claim.delta, claim.sample, claim.seed)
        return prove(vae, x, noise, threat, effort, guarantee, progress=progress)
