"""The view that the explorer opens with, computed ahead by `dashboard.explorer.stage.precompute`.

A file that is missing, damaged, or about other models, images or settings than are here now is left alone:
the pages then compute as usual.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import streamlit as st
import torch
from safetensors import SafetensorError

from core.claims.witness import pack, unpack
from core.data.files import read_bytes, write_bytes
from core.data.samples import ASSETS
from core.errors import CoreError
from core.evaluation.curve import Curve, Proof
from core.vae import checkpoint
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import ProofSettings, Settings
from dashboard.addresses.kinds import SHIPPED_IMAGES
from dashboard.shared.result import Result, Terms

FOLDER = ASSETS / "results"
WORDS, ARRAYS = "first-view.json", "first-view.safetensors"
FORMAT = 1
_MOST_BYTES = 20_000_000
_NUMBERS = ("eps", "bound", "recon", "kl", "margin")
"""Columns of the array of proofs."""
_WORDS = ("method", "iterations", "statement")
_IMAGES = ("image", "attacked", "recon_image", "recon_attacked")

Radii = tuple[float, ...]


@dataclass(frozen=True)
class View:
    """One digit under one attack. bounds: what was asked of a model, a method and radii, and the answer."""

    index: int
    settings: Settings
    results: dict[str, Result]
    bounds: dict[tuple[str, str, Radii], tuple[Proof, ...]]


def result(name: str, digit: Digit, settings: Settings, radii: Radii) -> Result | None:
    """What `compute.explore` would compute, if it is shipped."""
    view = _view(digit)
    found = None if view is None or view.settings != settings else view.results.get(name)
    return found if found is not None and tuple(found.curve.eps.tolist()) == radii else None


def proofs(
    name: str, digit: Digit, settings: ProofSettings, method: str, radii: Radii
) -> tuple[Proof, ...] | None:
    """What `tighter_bounds.grid` and `point` would compute, if it is shipped."""
    view = _view(digit)
    asked = None if view is None or view.settings.proof != settings else view
    return None if asked is None else asked.bounds.get((name, method, radii))


def _view(digit: Digit) -> View | None:
    """The shipped view if it is about this digit."""
    files = [FOLDER / WORDS, FOLDER / ARRAYS, *sorted(checkpoint.MODELS.glob("*/*"))]
    shipped = not digit.pixels and digit.source == SHIPPED_IMAGES
    view = None if not shipped else _load(tuple(map(_stamp, files)))
    return view if view is not None and view.index == digit.index else None


def _stamp(file: Path) -> tuple[str, int]:
    try:
        return str(file), file.stat().st_mtime_ns
    except OSError:
        return str(file), 0


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(stamps: tuple[tuple[str, int], ...]) -> View | None:
    try:
        return read(FOLDER)
    except (CoreError, SafetensorError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None


def read(folder: Path) -> View:
    """The view in a folder. Raises one of several errors if it is not one of what is here now."""
    words = json.loads(read_bytes(folder / WORDS, _MOST_BYTES))
    content = read_bytes(folder / ARRAYS, _MOST_BYTES)
    index, settings = words["index"], Settings(**words["settings"])
    if words["format"] != FORMAT or words["checksum"] != checksum(words, content):
        raise ValueError("damaged, or of another format")
    if words["image"] != image_digest(index) or any(
        checkpoint.model_digest(checkpoint.MODELS / name) != digest
        for name, digest in words["models"].items()
    ):
        raise ValueError("about another image or other models")
    arrays = safetensors.numpy.load(content)
    return View(
        index,
        settings,
        {name: _result(name, words["curves"][name], arrays) for name in words["models"]},
        {
            (asked["model"], asked["method"], tuple(asked["radii"])): _proofs(asked["proofs"], arrays)
            for asked in words["bounds"]
        },
    )


def write(view: View, folder: Path, command: str) -> None:
    """The view as two files, the numbers and images of one, the words of the other."""
    rows: list[list[float]] = []

    def said(proofs: tuple[Proof, ...]) -> list[dict[str, Any]]:
        first = len(rows)
        rows.extend([float(getattr(proof, name)) for name in _NUMBERS] for proof in proofs)
        return [
            {"row": first + i}
            | {name: getattr(proof, name) for name in _WORDS}
            | ({"witness": pack(proof.witness)} if proof.witness else {})
            for i, proof in enumerate(proofs)
        ]

    names = list(view.results)
    words: dict[str, Any] = {
        "format": FORMAT,
        "command": command,
        "index": view.index,
        "image": image_digest(view.index),
        "models": {name: checkpoint.model_digest(checkpoint.MODELS / name) for name in names},
        "settings": vars(view.settings),
        "curves": {
            name: {"clean": r.curve.clean, "proofs": said(r.curve.proofs)}
            for name, r in view.results.items()
        },
        "bounds": [
            {"model": name, "method": method, "radii": list(radii), "proofs": said(found)}
            for (name, method, radii), found in view.bounds.items()
        ],
    }
    arrays = {"proofs": np.array(rows)}
    for name, r in view.results.items():
        arrays |= {f"{name}.{field}": np.ascontiguousarray(getattr(r, field)) for field in _IMAGES}
        arrays |= {f"{name}.{key}": values for key, values in _numbers(r).items()}
    content = safetensors.numpy.save(arrays)
    words["checksum"] = checksum(words, content)
    write_bytes(folder / ARRAYS, content)
    write_bytes(folder / WORDS, json.dumps(words, indent=1).encode())


def checksum(words: dict[str, Any], content: bytes) -> str:
    """SHA-256 of both files, but for the checksum itself."""
    rest = {key: value for key, value in words.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode() + content).hexdigest()


def image_digest(index: int) -> str:
    return hashlib.sha256(Digit(index).image().numpy().tobytes()).hexdigest()


def _numbers(result: Result) -> dict[str, np.ndarray]:
    terms = {
        f"{part}.{field.name}": getattr(getattr(result, part), field.name)
        for part in ("clean", "terms")
        for field in fields(Terms)
    }
    return {"eps": result.curve.eps.numpy(), "attained": result.curve.attained.numpy()} | terms


def _result(name: str, words: dict[str, Any], arrays: dict[str, np.ndarray]) -> Result:
    mine = {
        key.removeprefix(f"{name}."): values for key, values in arrays.items() if key.startswith(f"{name}.")
    }
    clean, terms = (Terms(mine[f"{part}.recon"], mine[f"{part}.kl"]) for part in ("clean", "terms"))
    curve = Curve(
        eps=torch.from_numpy(mine["eps"]),
        clean=float(words["clean"]),
        attained=torch.from_numpy(mine["attained"]),
        x_adv=torch.from_numpy(mine["attacked"])[:, None],
        proofs=_proofs(words["proofs"], arrays),
    )
    return Result(curve=curve, clean=clean, terms=terms, **{field: mine[field] for field in _IMAGES})


def _proofs(words: list[dict[str, Any]], arrays: dict[str, np.ndarray]) -> tuple[Proof, ...]:
    return tuple(
        Proof(
            **{name: said[name] for name in _WORDS},
            **dict(zip(_NUMBERS, arrays["proofs"][said["row"]].tolist(), strict=True)),
            witness=unpack(said["witness"]) if "witness" in said else {},
        )
        for said in words
    )
