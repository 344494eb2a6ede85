"""Reading assets/results/paper and those of other data sets beside it, which the evaluation suite writes.
Nothing here trusts those files."""

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

MNIST, RESULTS = "mnist", ASSETS / "results" / "paper"
"""The data set that RESULTS is about."""
FORMAT = 1
OTHERS = {"fashion-mnist": "fashion"}
"""Data sets with results of their own, and the folders of these, beside RESULTS."""
COMMAND = "python -m core evaluate --suite paper --results assets/results/paper"
"""What computes RESULTS."""
SUITE, SUMMARY, TABLE = "suite.json", "summary.csv", "models.csv"
SAMPLES = ("prior", "reconstructions")
"""Pictures of each model: images decoded from the prior; images, what becomes of them, both attacked."""
PICTURES = "samples"
_MOST_BYTES = {SUITE: 1_000_000, SUMMARY: 20_000_000, TABLE: 1_000_000}
_MOST_PICTURE_BYTES, _MOST_PICTURE_SIDE = 5_000_000, 4_000

T = TypeVar("T")


def folders() -> dict[str, Path]:
    """The folders of the results by data set, whether they are there or not."""
    return {MNIST: RESULTS} | {dataset: RESULTS.parent / name for dataset, name in OTHERS.items()}


def command(folder: Path) -> str:
    """What computes a folder of results; what computes RESULTS where the folder is none of ours."""
    dataset = next((known for known, path in folders().items() if path == folder), MNIST)
    if dataset == MNIST:
        return COMMAND
    own = f"--dataset {dataset} --results assets/results/{OTHERS[dataset]}"
    return COMMAND.replace("--results assets/results/paper", own)


def _again(path: Path) -> str:
    """What to do about a file of a folder, or of the folder with samples in it."""
    folder = path.parent.parent if path.parent.name == PICTURES else path.parent
    return f"Compute the results again with `{command(folder)}`, or restore them from the repository."


def read_results(folder: Path | str) -> Results:
    """The results in a folder.

    Raises DataError, with a sentence that says what to do, if they are missing, damaged, of another
    format, or not what such files hold.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"There are no results in {folder} yet. Compute them with `{command(folder)}`.")
    suite = _read_suite(folder / SUITE)
    entries, means = _read_rows(folder / TABLE, ModelRow), _read_rows(folder / SUMMARY, Mean)
    names, again = [entry.model for entry in entries], _again(folder / TABLE)
    if len(set(names)) < len(names):
        raise DataError(f"{folder / TABLE} names a model twice. {again}")
    limits = tuple(f"{limit}-{likelihood}" for limit in (CONSTANT, CEILING) for likelihood in LIKELIHOODS)
    if strange := {m.model for m in means if not m.model.startswith(limits)} - set(names):
        raise DataError(f"{folder / SUMMARY} has a model {min(strange)} that {TABLE} lacks. {again}")
    if len({(m.model, m.target, m.eps, m.quantity, m.method, m.images) for m in means}) < len(means):
        raise DataError(f"{folder / SUMMARY} says something twice. {again}")
    return Results(folder, suite, entries, means)


def _read_suite(path: Path) -> SuiteRecord:
    try:
        values = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}). {_again(path)}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else None
        raise DataError(f"{path} has format {str(found)[:20]}; this version reads {FORMAT}. {_again(path)}")
    try:
        known = {field.name: values[field.name] for field in fields(SuiteRecord) if field.name != "skipped"}
        skipped = (
            (str(gap["model"]), str(gap["target"]), str(gap["method"]), float(f"{float(eps):.12g}"))
            for gap in values.get("not_computed", [])
            for eps in gap["eps"]
        )
        return SuiteRecord(**known, skipped=frozenset(skipped))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({str(error)[:200]}). {_again(path)}") from error


def _read_rows(path: Path, kind: type[T]) -> tuple[T, ...]:
    """Rows of a CSV file as dataclasses, at least one; columns beyond theirs are left out."""
    reader, rows = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True), []
    try:
        rows = [_row(kind, row) for row in reader]
    except (csv.Error, KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise DataError(f"{path} is damaged in line {reader.line_num} ({what}). {_again(path)}") from error
    if not rows:
        raise DataError(f"{path} has no rows. {_again(path)}")
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
            raise DataError(f"{path} is too large to be what it should be. {_again(path)}")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise DataError(f"{path} cannot be read ({why}). {_again(path)}") from error


def read_sample(results: Results, model: str, kind: str) -> np.ndarray:
    """A picture of one of the models, kind one of SAMPLES: grey levels (H, W), uint8.

    Raises DataError if it is missing, damaged, or absurdly large.
    """
    results.entry(model)  # no other name becomes part of a path
    path = results.folder / PICTURES / f"{model}-{kind}.png"
    if not path.resolve().is_relative_to(results.folder.resolve()):
        raise DataError(f"{path} leads out of its folder. {_again(path)}")
    try:
        if path.stat().st_size > _MOST_PICTURE_BYTES:
            raise DataError(f"{path} is too large for such a picture. {_again(path)}")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG",)) as file:
                if max(file.size) > _MOST_PICTURE_SIDE:
                    raise DataError(f"{path} has too many pixels for such a picture. {_again(path)}")
                return np.array(file.convert("L"))
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise DataError(f"{path} cannot be read as a PNG image. {_again(path)}") from error


def changed(results: Results) -> list[str]:
    """Shipped models whose weights are not those that were evaluated, sorted."""
    return sorted(
        name
        for name, digest in results.suite.weights.items()
        if (path := checkpoint.MODELS / name / checkpoint.WEIGHTS).is_file()
        and hashlib.sha256(path.read_bytes()).hexdigest() != digest
    )
