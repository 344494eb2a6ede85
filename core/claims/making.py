"""The making of a claim: what was proved of one image, its numbers rounded as its sentence shows them."""

from __future__ import annotations

import base64
import hashlib
import math
import platform
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.certificates.certificate import Certificate, shown_bound, shown_radius
from core.certificates.elbo_bounds.relaxation_parameters import slopes_of
from core.certificates.methods import OPTIMISING
from core.certificates.noise_certificate import DRAWS, Guarantee
from core.claims.claim import LIMITS, Claim
from core.claims.witness import pack
from core.errors import InputError
from core.evaluation.curve import Proof
from core.isolation import isolated
from core.scalars import whole
from core.vae.checkpoint import find_model, load_model, model_digest
from core.vae.elbo import sample_noise
from core.vae.threat import Draws, Threat
from core.vae.validate import check_images

_HEX = 16


@isolated()
def make_claim(
    model: str | Path, x: Tensor, proved: Certificate, *, draws: int, seed: int = 0, iterations: int = 50
) -> Claim:
    """The claim of a certificate of one image (1, C, H, W) of a model, by name or folder.

    draws, seed  of the noise that `certify` got (seed of the sample, for what is stated of the noise).
    iterations   what `certify` got.

    Raises InputError for a certificate of several images, or a vacuous one: it claims nothing.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, draws=4)
    >>> proved = core.certify(vae, x[:1], noise, eps=0.05)
    >>> claim = core.make_claim("mnist-mlp-robust-0.1", x[:1], proved, draws=4)
    >>> core.read_claim(claim.to_json()) == claim
    True
    """
    if not isinstance(proved, Certificate):
        raise InputError(f"A {type(proved).__name__} is no certificate; give what core.certify returned.")
    x = check_images(load_model(model), x)
    if len(x) != 1 or len(proved.eps) != 1:
        raise InputError(f"A claim is about one image, not {len(x)}; certify them one by one.")
    names = ("target", "norm", "side", "method", "states", "arithmetic", "alpha", "delta")
    same: dict[str, Any] = {name: getattr(proved, name) for name in names}
    return _claim(
        model,
        x,
        bound=proved.bound[0].item(),
        eps=proved.eps[0].item(),
        margin=proved.margin[0].item(),
        statement=proved.statement(),
        draws=draws,
        seed=seed,
        iterations=iterations,
        sample=proved.draws,
        slopes=slopes_of(proved.witness[0]) if proved.witness else {},
        **same,
    )


def claim_of_proof(
    model: str | Path,
    x: Tensor,
    proof: Proof,
    threat: Threat,
    draws: Draws,
    guarantee: Guarantee = DRAWS,
) -> Claim:
    """The claim of one proof of a curve, see `make_claim`; threat, draws, guarantee: what it was asked."""
    return _claim(
        model,
        x,
        bound=proof.bound,
        eps=proof.eps,
        margin=proof.margin,
        statement=proof.statement,
        method=proof.method,
        target=threat.target,
        norm=threat.norm,
        draws=draws.count,
        seed=draws.seed if guarantee.states == "draws" else guarantee.seed,
        iterations=proof.iterations,
        side=proof.side,
        states=guarantee.states,
        arithmetic="float64",
        alpha=guarantee.alpha,
        delta=guarantee.delta,
        sample=guarantee.draws,
        slopes=proof.witness,
    )


def _claim(
    model: str | Path, x: Tensor, *, bound: float, slopes: dict[str, Tensor], **question: Any
) -> Claim:
    """A claim in its one form: numbers as the sentence shows them, 0 for what plays no part."""
    if not math.isfinite(bound):
        raise InputError("Nothing is proved: the bound is vacuous, and there is no certificate to write.")
    folder, states = find_model(model), question["states"]
    question |= {"sample": 0, "alpha": 0.0} if states == "draws" else {"draws": 0, "iterations": 0}
    if states != "coverage":
        question["delta"] = 0.0
    if question["method"] not in OPTIMISING:
        question["iterations"] = 0
    question |= {name: _counted(name, question[name], most) for name, most in LIMITS.items()}
    witness = ""
    if states == "draws":
        noise = sample_noise(load_model(folder), question["draws"], question["seed"])
        witness = pack({"noise": noise, **slopes})
    question |= {
        "eps": float(shown_radius(question["eps"])),
        "margin": float(f"{question['margin']:.2g}"),
        "bound": float(shown_bound(bound, question["side"])),
    }
    return worded(
        Claim(
            model=_word(folder),
            weights=model_digest(folder),
            image=base64.b64encode(x[0].detach().float().contiguous().cpu().numpy().tobytes()).decode(),
            versions=f"python {platform.python_version()}, torch {torch.__version__}",
            witness=witness,
            **question,
        )
    )


def _word(folder: Path) -> str:
    """What a claim calls the model of a folder."""
    name = folder.name if folder.name.strip(".") else folder.resolve().name
    return re.sub(r"[^\w.+-]", "_", name, flags=re.ASCII)[:200]


def _counted(name: str, value: object, most: int) -> int:
    """A whole number as a claim can say it."""
    number = whole(value)
    if number is None or not 0 <= number <= most:
        raise InputError(
            f"{name} is {str(value)[:30]}; a certificate takes whole numbers from 0 to {most:,}."
        )
    return number


def worded(claim: Claim) -> Claim:
    """A claim whose statement is a certificate's sentence alone, with what it was computed from added."""
    image = hashlib.sha256(base64.b64decode(claim.image)).hexdigest()
    said = [f"model {claim.model}, weights {claim.weights[:_HEX]}", f"image {image[:_HEX]} (SHA-256)"]
    said += [f"noise of seed {claim.seed}", f"eps {claim.eps!r}"]
    said += [f"{name} {value!r}" for name in ("alpha", "delta") if (value := getattr(claim, name))]
    said += [f"{claim.iterations} iterations"] if claim.iterations else []
    return replace(claim, statement=f"{claim.statement} From {'; '.join(said)}; {claim.versions}.")
