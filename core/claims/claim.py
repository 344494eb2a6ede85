"""A certificate of one image as a file: all that is needed to compute it again (`core.claims.verify`)."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import platform
import re
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.certificates.certificate import Certificate, shown_bound, shown_radius
from core.certificates.elbo_bounds.relaxation_parameters import slopes_of
from core.certificates.methods import OPTIMISING
from core.certificates.noise_certificate import DRAWS, Guarantee
from core.claims.witness import pack
from core.errors import ClaimError, InputError
from core.evaluation.curve import Proof
from core.isolation import isolated
from core.scalars import whole
from core.vae.checkpoint import find_model, load_model, model_digest
from core.vae.elbo import sample_noise
from core.vae.threat import Draws, Threat
from core.vae.validate import check_images

FORMAT, _OLD = 3, 2
MOST_BYTES = 1_000_000
"""No claim is larger: hostile files are refused before they are read."""
_HEX = 16
_NAME = r"[\w.+-]{1,200}"
_VERSIONS = r"python \d[\w.+]{0,79}, torch \d[\w.+]{0,79}"
"""What is free in a claim, and in its sentence, is a word or two."""
_MOST = {"draws": 10_000, "iterations": 10_000, "sample": 1_000_000, "seed": 2**63 - 1}


@dataclass(frozen=True)
class Claim:
    """What was proved of one image, in nats, and from what. What plays no part in a proof is 0.

    model, weights  name of a shipped model, or of a folder; SHA-256 of its weights and configuration.
    image           the image's float32 values, channel by channel, row by row, base64.
    draws, seed     the noise: sample_noise(vae, draws, seed).
    sample          draws that states "expectation" and "coverage" take for themselves, with the seed.
    eps, bound      rounded to the safe side, as the statement has them; margin: two digits, as there.
    statement       what is proved, then what it was computed from: no field can say anything else.
    versions        of what computed it.
    witness         what was drawn and searched for, see core.claims.witness; "" in files of format 2, for
                    statements about all noise, and where it is too large.
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
    witness: str = ""

    def to_json(self) -> str:
        """The file: readable, with a checksum of all else."""
        content = {"format": FORMAT, **asdict(self)}
        return json.dumps({**content, "checksum": checksum(content)}, indent=2) + "\n"


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
    question |= {name: _counted(name, question[name], most) for name, most in _MOST.items()}
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


def read_claim(content: str | bytes) -> Claim:
    """The claim in a file that anyone may have written. Raises ClaimError unless it is one, unchanged since
    `to_json` wrote it. The checksum guards against accidents and edits, it is no signature: what a claim
    says is worth what `verify_claim` finds.

    >>> core.read_claim("{}")
    Traceback (most recent call last):
    core.errors.ClaimError: The file is no certificate: it does not have the fields of one.
    """
    if not isinstance(content, str | bytes):
        raise InputError(f"A {type(content).__name__} is no text of a certificate.")
    if len(content) > MOST_BYTES:
        raise ClaimError("The file is over 1 MB, which no certificate is.")
    try:
        parsed = json.loads(content, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ClaimError(f"The file is no certificate: it cannot be read as JSON ({error}).") from error
    names = {field.name: field.type for field in fields(Claim)}
    if isinstance(parsed, dict) and parsed.get("format") == _OLD:
        del names["witness"]
    if not isinstance(parsed, dict) or set(parsed) != {"format", "checksum", *names}:
        raise ClaimError("The file is no certificate: it does not have the fields of one.")
    if type(parsed["format"]) is not int or parsed["format"] not in (FORMAT, _OLD):
        raise ClaimError(f"The certificate has format {parsed['format']!r}; this version reads {FORMAT}.")
    parsed |= {name: _number(parsed[name], str(kind)) for name, kind in names.items()}
    if parsed.pop("checksum") != checksum(parsed):
        raise ClaimError("The certificate was changed after it was written: its checksum is another one.")
    del parsed["format"]
    return check_claim(Claim(**parsed))


def _shown(value: object) -> str:
    """The beginning of a value of a file that anyone may have written."""
    if isinstance(value, int) and value.bit_length() > 1_000:  # Python writes no more than some digits
        return "a number of hundreds of digits"
    return str(value)[:40]


def check_claim(claim: object) -> Claim:
    """A claim whose fields have the types and ranges of a claim. Raises ClaimError, InputError."""
    if not isinstance(claim, Claim):
        raise InputError(f"A {type(claim).__name__} is no claim; read one with core.read_claim(text).")
    for field in fields(Claim):
        name, kind, value = field.name, str(field.type), getattr(claim, field.name)
        if not isinstance(value, {"str": str, "int": int, "float": (int, float)}[kind]) or isinstance(
            value, bool
        ):
            raise ClaimError(f"The certificate's {name} is {_shown(value)!r}; it must be a {kind}.")
        if kind == "float" and not abs(value) <= sys.float_info.max:
            raise ClaimError(f"The certificate's {name} is {_shown(value)}, larger than any number here.")
        if name in _MOST and not 0 <= value <= _MOST[name]:
            raise ClaimError(
                f"The certificate's {name} is {_shown(value)}; it must be in 0..{_MOST[name]}."
            )
        if name in ("eps", "margin") and value < 0:
            raise ClaimError(f"The certificate's {name} is {value}; it must not be below 0.")
    if not re.fullmatch(_VERSIONS, claim.versions, re.ASCII):
        raise ClaimError(f"The certificate's versions are {claim.versions[:40]!r}, which are none.")
    return claim


def check_name(claim: Claim, folder: str) -> None:
    """Raises ClaimError for a model's name that is no word, unless it is that of the model's own folder,
    which no forger chose."""
    if claim.model != folder and not re.fullmatch(_NAME, claim.model, re.ASCII):
        raise ClaimError(f"The certificate's model is {claim.model[:40]!r}, which is no name.")


def _number(value: Any, kind: str) -> Any:
    """A number as its field has it: 0 and 0.0 are one value, however a program spells it. What does not
    fit stays as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if isinstance(value, int) and kind == "int":
        return value  # however large
    if kind == "float":
        return float(value) if abs(value) <= sys.float_info.max else value
    return int(value) if kind == "int" and math.isfinite(value) and value == int(value) else value


def checksum(content: dict[str, Any]) -> str:
    """Of everything else in the file: its values, each number as the double or whole number it stands
    for."""
    kinds = {field.name: str(field.type) for field in fields(Claim)}
    values = {name: _number(value, kinds.get(name, "")) for name, value in content.items()}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A field that is there twice would say one thing to people and another to us."""
    if len(names := dict(pairs)) < len(pairs):
        raise ValueError("a field is there twice")
    return names
