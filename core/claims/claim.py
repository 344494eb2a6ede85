"""A certificate of one image as a file: its fields, its checksum, and how what anyone wrote is read."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from dataclasses import asdict, dataclass, fields
from typing import Any

from core.errors import ClaimError, InputError

FORMAT, _OLD = 3, 2
MOST_BYTES = 1_000_000
"""No claim is larger: hostile files are refused before they are read."""
_NAME = r"[\w.+-]{1,200}"
_VERSIONS = r"python \d[\w.+]{0,79}, torch \d[\w.+]{0,79}"
"""What is free in a claim, and in its sentence, is a word or two."""
LIMITS = {"draws": 10_000, "iterations": 10_000, "sample": 1_000_000, "seed": 2**63 - 1}


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
        parsed = json.loads(content, parse_constant=refuse, object_pairs_hook=once)
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
        if name in LIMITS and not 0 <= value <= LIMITS[name]:
            raise ClaimError(
                f"The certificate's {name} is {_shown(value)}; it must be in 0..{LIMITS[name]}."
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


def refuse(constant: str) -> None:
    """Raise ValueError for NaN and infinities, which JSON has not."""
    raise ValueError(f"{constant} is no number")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A field that is there twice would say one thing to people and another to us."""
    if len(names := dict(pairs)) < len(pairs):
        raise ValueError("a field is there twice")
    return names
