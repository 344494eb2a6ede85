"""Reading assets/results/paper, which the evaluation suite writes. Nothing here trusts those files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from core.data.samples import ASSETS
from core.errors import DataError
from core.evaluation.ceiling import CEILING
from core.evaluation.evaluate import CONSTANT
from core.evaluation.results import Mean, ModelRow, Results, SuiteRecord
from core.vae import checkpoint
from core.vae.config import LIKELIHOODS

RESULTS = ASSETS / "results" / "paper"
FORMAT = 1
COMMAND = "python -m core evaluate --suite paper --results assets/results/paper"
"""What computes the folder."""
SUITE, SUMMARY, TABLE = "suite.json", "summary.csv", "models.csv"
SAMPLES = ("prior", "reconstructions")
"""Pictures of each model: digits decoded from the prior; digits, what becomes of them, both attacked."""
_MOST_BYTES = {SUITE: 1_000_000, SUMMARY: 20_000_000, TABLE: 1_000_000}
_MOST_PICTURE_BYTES, _MOST_PICTURE_SIDE = 5_000_000, 4_000
_AGAIN = f"Compute the results again with `{COMMAND}`, or restore them from the repository."

T = TypeVar("T")


def read_results(folder: Path | str) -> Results:
    """The results in a folder.

    Raises DataError, with a sentence that says what to do, if they are missing, damaged, of another
    format, or not what such files hold.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"There are no results in {folder} yet. Compute them with `{COMMAND}`.")
    suite = _read_suite(folder / SUITE)
    entries, means = _read_rows(folder / TABLE, ModelRow), _read_rows(folder / SUMMARY, Mean)
    names = [entry.model for entry in entries]
    if len(set(names)) < len(names):
        raise DataError(f"{folder / TABLE} names a model twice. {_AGAIN}")
    limits = tuple(f"{limit}-{likelihood}" for limit in (CONSTANT, CEILING) for likelihood in LIKELIHOODS)
    if strange := {m.model for m in means if not m.model.startswith(limits)} - set(names):
        raise DataError(f"{folder / SUMMARY} has a model {min(strange)} that {TABLE} lacks. {_AGAIN}")
    if len({(m.model, m.target, m.eps, m.quantity, m.method, m.images) for m in means}) < len(means):
        raise DataError(f"{folder / SUMMARY} says something twice. {_AGAIN}")
    return Results(folder, suite, entries, means)


def _read_suite(path: Path) -> SuiteRecord:
    try:
        values = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}). {_AGAIN}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else None
        raise DataError(f"{path} has format {str(found)[:20]}; this version reads {FORMAT}. {_AGAIN}")
    try:
        known = {field.name: values[field.name] for field in fields(SuiteRecord) if field.name != "skipped"}
        skipped = (
            (str(gap["model"]), str(gap["target"]), str(gap["method"]), float(f"{float(eps):.12g}"))
            for gap in values.get("not_computed", [])
            for eps in gap["eps"]
        )
        return SuiteRecord(**known, skipped=frozenset(skipped))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({str(error)[:200]}). {_AGAIN}") from error


def _read_rows(path: Path, kind: type[T]) -> tuple[T, ...]:
    """Rows of a CSV file as dataclasses, at least one; columns beyond theirs are left out."""
    reader, rows = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True), []
    try:
        rows = [_row(kind, row) for row in reader]
    except (csv.Error, KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise DataError(f"{path} is damaged in line {reader.line_num} ({what}). {_AGAIN}") from error
    if not rows:
        raise DataError(f"{path} has no rows. {_AGAIN}")
    return tuple(rows)


def _row(kind: type[T], row: dict[str, str]) -> T:
    values: dict[str, Any] = {}
    for field in fields(kind):  # pyright: ignore[reportArgumentType]
        values[field.name] = _PARSE[str(field.type)](row[field.name])
    return kind(**values)


_PARSE: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "int | None": int,
    "float": float,
    "float | None": lambda text: None if text == "" else _finite(text),
}
"""Type of a field -> what reads it."""


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]!r} is not a finite number")
    return value


def _text(path: Path) -> str:
    """A whole file of a size that such files have."""
    try:
        if path.stat().st_size > _MOST_BYTES[path.name]:
            raise DataError(f"{path} is too large to be what it should be. {_AGAIN}")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise DataError(f"{path} cannot be read ({why}). {_AGAIN}") from error


def read_sample(results: Results, model: str, kind: str) -> np.ndarray:
    """A picture of one of the models, kind one of SAMPLES: grey levels (H, W), uint8.

    Raises DataError if it is missing, damaged, or absurdly large.
    """
    results.entry(model)  # no other name becomes part of a path
    path = results.folder / "samples" / f"{model}-{kind}.png"
    if not path.resolve().is_relative_to(results.folder.resolve()):
        raise DataError(f"{path} leads out of its folder. {_AGAIN}")
    try:
        if path.stat().st_size > _MOST_PICTURE_BYTES:
            raise DataError(f"{path} is too large for such a picture. {_AGAIN}")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG",)) as file:
                if max(file.size) > _MOST_PICTURE_SIDE:
                    raise DataError(f"{path} has too many pixels for such a picture. {_AGAIN}")
                return np.array(file.convert("L"))
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise DataError(f"{path} cannot be read as a PNG image. {_AGAIN}") from error


def changed(results: Results) -> list[str]:
    """Shipped models whose weights are not those that were evaluated, sorted."""
    return sorted(
        name
        for name, digest in results.suite.weights.items()
        if (path := checkpoint.MODELS / name / checkpoint.WEIGHTS).is_file()
        and hashlib.sha256(path.read_bytes()).hexdigest() != digest
    )
