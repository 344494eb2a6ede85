"""A certificate of one image as a file: all that is needed to compute it again, and the check that does."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.certificate import Certificate, shown_bound
from core.checkpoint import find_model, list_models, load_model, model_digest
from core.curve import Proof
from core.elbo import sample_noise
from core.errors import ClaimError, InputError
from core.model import VAE
from core.prove import certify

FORMAT = 1
MOST_BYTES = 1_000_000
"""No claim is larger: hostile files are refused before they are read."""
_MOST = {"draws": 10_000, "iterations": 10_000, "sample": 1_000_000, "seed": 2**63 - 1}


@dataclass(frozen=True)
class Claim:
    """What was proved of one image, in nats, and from what.

    model, weights  name of a shipped model, or of a folder; SHA-256 of its weights and configuration.
    image           the image's float32 values, channel by channel, row by row, base64.
    draws, seed     the noise: sample_noise(vae, draws, seed).
    sample          draws that states "expectation" and "coverage" take for themselves.
    bound           two decimals, rounded to the safe side.
    statement       the sentence; versions: of what computed it.
    target ... iterations  as in core.certify.
    """

    model: str
    weights: str
    image: str
    target: str
    eps: float
    norm: str
    side: str
    method: str
    states: str
    arithmetic: str
    alpha: float
    delta: float
    iterations: int
    draws: int
    seed: int
    sample: int
    bound: float
    margin: float
    statement: str
    versions: str

    def to_json(self) -> str:
        """The file: readable, with a checksum of all else."""
        content = {"format": FORMAT, **asdict(self)}
        return json.dumps({**content, "checksum": _checksum(content)}, indent=2) + "\n"


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds; the bound that was computed again, in nats; and a sentence that says so."""

    holds: bool
    bound: float
    sentence: str


def make_claim(
    model: str | Path, x: Tensor, proved: Certificate, *, draws: int, seed: int = 0, iterations: int = 50
) -> Claim:
    """The claim of a certificate of one image (1, C, H, W) of a model, by name or folder.

    draws, seed  of the noise that `certify` got (or of the sample, for what is stated of the noise).
    iterations   what `certify` got.

    Raises InputError for a certificate of several images, or a vacuous one: it claims nothing.
    """
    if len(x) != 1 or len(proved.eps) != 1:
        raise InputError(f"A claim is about one image, not {len(x)}; certify them one by one.")
    names = ("target", "norm", "method", "states", "arithmetic", "alpha", "delta")
    same: dict[str, Any] = {name: getattr(proved, name) for name in names}
    return _claim(
        model,
        x,
        bound=proved.bound[0].item(),
        eps=proved.eps[0].item(),
        margin=proved.margin[0].item(),
        statement=proved.statement(),
        side=proved.side,
        draws=draws,
        seed=seed,
        iterations=iterations,
        sample=proved.draws if proved.states != "draws" else 0,
        **same,
    )


def claim_of_proof(
    model: str | Path,
    x: Tensor,
    proof: Proof,
    *,
    target: str,
    norm: str,
    draws: int,
    seed: int,
    iterations: int = 50,
) -> Claim:
    """The claim of one proof of a curve: a lower bound for these draws, see `make_claim`."""
    return _claim(
        model,
        x,
        bound=proof.lower,
        eps=proof.eps,
        margin=proof.margin,
        statement=proof.statement,
        method=proof.method,
        target=target,
        norm=norm,
        draws=draws,
        seed=seed,
        iterations=iterations,
        side="lower",
        states="draws",
        arithmetic="float64",
        alpha=0.0,
        delta=0.0,
        sample=0,
    )


def _claim(model: str | Path, x: Tensor, *, bound: float, side: str, **question: Any) -> Claim:
    if not math.isfinite(bound):
        raise InputError("Nothing is proved: the bound is vacuous, and there is no certificate to write.")
    folder = find_model(model)
    return Claim(
        model=folder.name,
        weights=model_digest(folder),
        image=base64.b64encode(x[0].float().contiguous().cpu().numpy().tobytes()).decode(),
        bound=float(shown_bound(bound, side)),
        side=side,
        versions=f"python {platform.python_version()}, torch {torch.__version__}",
        **question,
    )


def read_claim(content: str | bytes) -> Claim:
    """The claim in a file that anyone may have written. Raises ClaimError unless it is one, unchanged since
    `to_json` wrote it. The checksum guards against accidents and edits, it is no signature: what a claim
    says is worth what `verify_claim` finds."""
    if len(content) > MOST_BYTES:
        raise ClaimError("The file is over 1 MB, which no certificate is.")
    try:
        parsed = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ClaimError(f"The file is no certificate: it cannot be read as JSON ({error}).") from error
    names = {field.name: field.type for field in fields(Claim)}
    if not isinstance(parsed, dict) or set(parsed) != {"format", "checksum", *names}:
        raise ClaimError("The file is no certificate: it does not have the fields of one.")
    if parsed["format"] != FORMAT:
        raise ClaimError(f"The certificate has format {parsed['format']!r}; this version reads {FORMAT}.")
    if parsed.pop("checksum") != _checksum(parsed):
        raise ClaimError("The certificate was changed after it was written: its checksum is another one.")
    del parsed["format"]
    for name, kind in names.items():
        value, kinds = parsed[name], {"str": str, "int": int, "float": (int, float)}[str(kind)]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ClaimError(f"The certificate's {name} is {str(value)[:40]!r}; it must be a {kind}.")
        if name in _MOST and not 0 <= value <= _MOST[name]:
            raise ClaimError(f"The certificate's {name} is {value}; it must be in 0..{_MOST[name]}.")
    return Claim(**parsed)


def verify_claim(
    claim: Claim, model: str | Path | None = None, progress: Callable[[int, int], None] | None = None
) -> Verdict:
    """Compute the bound again, from the claim alone and the weights.

    model     folder with the weights, where they are not those of a shipped model.
    progress  see `core.certify`.

    Methods that optimise may fall short by a rounding on another machine: they get a second chance with
    twice the steps. The sentence in the file has to be the one that its numbers make; the margin in it is
    what the claim says. For states "expectation" and "coverage" the confidence is the sample's: it presumes
    that the seed was not chosen by looking at what it proves, which no verification can see.

    Raises ClaimError for a model that is not there or a question that cannot be asked.
    """
    if model is None and claim.model not in list_models():
        raise ClaimError(
            f"No shipped model is called {claim.model[:80]!r}; name the folder of its weights."
        )
    folder = find_model(claim.model if model is None else model)
    if model_digest(folder) != claim.weights:
        return Verdict(
            False, math.nan, f"Not verified: {folder.name} has other weights than were certified."
        )
    vae, short = load_model(folder), ""
    for iterations in (claim.iterations, 2 * claim.iterations):
        proved = _again(vae, replace(claim, iterations=iterations), progress)
        bound = proved.bound[0].item()
        if bound >= claim.bound if claim.side == "lower" else bound <= claim.bound:
            if claim.statement != _stated(proved, claim):
                return Verdict(
                    False,
                    bound,
                    f"Not verified: its sentence says something else than {proved.statement()}",
                )
            return Verdict(True, bound, f"Holds. {proved.statement()}")
        short = "vacuous" if proved.vacuous[0] else f"{shown_bound(bound, claim.side)} nats"
    return Verdict(
        False, bound, f"Not verified: {claim.bound:.2f} nats are claimed, {short} is what can be proved."
    )


def _stated(proved: Certificate, claim: Claim) -> str:
    """The sentence for what was computed again, with the claim's own bound and margin."""
    computed = f"{shown_bound(proved.bound[0], proved.side)} nats", f"{proved.margin[0].item():.2g} nats"
    stated = f"{claim.bound:.2f} nats", f"{claim.margin:.2g} nats"
    bound, margin = zip(computed, stated, strict=True)
    return proved.statement().replace(*bound, 1).replace(f"; {margin[0]}", f"; {margin[1]}")


def _again(vae: VAE, claim: Claim, progress: Callable[[int, int], None] | None) -> Certificate:
    try:
        raw = bytearray(base64.b64decode(claim.image, validate=True))
        x = torch.frombuffer(raw, dtype=torch.float32).view(1, *vae.config.shape)
        return certify(
            vae,
            x,
            sample_noise(vae, claim.draws, claim.seed),
            eps=claim.eps,
            target=claim.target,
            method=claim.method,
            norm=claim.norm,
            side=claim.side,
            states=claim.states,
            arithmetic=claim.arithmetic,
            alpha=claim.alpha,
            delta=claim.delta,
            draws=max(1, claim.sample),
            seed=claim.seed,
            iterations=claim.iterations,
            progress=progress,
        )
    except (ValueError, RuntimeError, binascii.Error) as error:  # InputError is a ValueError
        raise ClaimError(f"The certificate asks what cannot be asked: {error}") from error


def _checksum(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
