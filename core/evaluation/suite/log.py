"""Logs of finished jobs: JSON lines, each on the disk before the next. A kill tears at most the last."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout

from core.data.files import writing
from core.errors import DataError, OutputError
from core.evaluation.suite.plan import COLUMNS, Job, Plan
from core.evaluation.suite.work import Values

Arrays = dict[str, np.ndarray]
"""The values of a job: (images,) float64 by column."""


@contextmanager
def open_log(path: Path, plan: Plan) -> Iterator[Log]:
    """A log to append to; goes on with one that was cut off.

    Raises OutputError while another process writes it or where it cannot be written, and the errors of
    `read_log`.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path), ExitStack() as stack:
        whole = read_log(path, plan)[1] if path.exists() else 0
        with writing(path):
            file = path.open("ab")
            stack.callback(_close, file)
            file.truncate(whole)
        log = Log(path, file)
        if whole == 0:
            log.write(plan.header)
        yield log


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The operating system releases the lock with the process, however that ends."""
    lock = FileLock(f"{path}.lock")
    with writing(path):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"Another process writes {path}; let it end, or choose another folder with --out."
            ) from None
    try:
        yield
    finally:
        lock.release()


def _close(file: BinaryIO) -> None:
    with suppress(OSError):  # every line is on the disk, or its error has been raised
        file.close()


@dataclass(frozen=True)
class Log:
    """An open log."""

    path: Path
    file: BinaryIO

    def append(self, job: Job, values: Values) -> None:
        """JSON has no -inf: null is what has no bound."""
        columns = {
            name: [None if value == -math.inf else value for value in column]
            for name, column in values.items()
        }
        self.write({"job": job, "values": columns})

    def write(self, record: object) -> None:
        line = json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n"
        with writing(self.path):
            self.file.write(line.encode())
            self.file.flush()
            os.fsync(self.file.fileno())


def read_logs(folder: Path, plan: Plan) -> dict[Job, Arrays]:
    """The finished jobs of all logs in a folder, whoever wrote them. The errors of `read_log`, and
    DataError if two logs disagree."""
    finished: dict[Job, Arrays] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for job, values in read_log(path, plan)[0].items():
            known = finished.setdefault(job, values)
            if known.keys() != values.keys() or any((known[name] != values[name]).any() for name in known):
                raise DataError(
                    f"{path} and another log in that folder differ in {tuple(job)}: they come from "
                    "machines of unlike kinds. Keep the logs of one kind."
                )
    return finished


def read_log(path: Path, plan: Plan) -> tuple[dict[Job, Arrays], int]:
    """The finished jobs of a log, and how many bytes of it are whole: the last line may be torn.

    Raises DataError if the log cannot be read, is damaged elsewhere, or belongs to another plan.
    """
    finished: dict[Job, Arrays] = {}
    whole = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                if number == 1:
                    _check_header(path, line, plan.header)
                else:
                    job, values = _parse(path, number, line, plan)
                    finished[job] = values
                whole += len(line)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give yourself the right to.") from error
    return finished, whole


def _parse(path: Path, number: int, line: bytes, plan: Plan) -> tuple[Job, Arrays]:
    try:
        record = json.loads(line)
        job = Job(*record["job"])
        values = {name: np.array(column, dtype=np.float64) for name, column in record["values"].items()}
        shape = (plan.jobs[job],)
        if not values.keys() <= set(COLUMNS[job.kind]) or any(v.shape != shape for v in values.values()):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path} is damaged in line {number}; delete that line and all below it, and run the command "
            "again."
        ) from error
    return job, {name: np.where(np.isnan(column), -np.inf, column) for name, column in values.items()}


def _check_header(path: Path, line: bytes, wanted: dict[str, Any]) -> None:
    """Raises DataError that names what differs."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    found = found if isinstance(found, dict) else {}
    parts = wanted.keys() - {"format"}
    if found.get("format") != wanted["format"] or not all(isinstance(found.get(p), dict) for p in parts):
        raise DataError(
            f"{path} is no log of this version; choose another folder with --out, or go on with the "
            "version that wrote it."
        )
    names = []
    for part in parts:
        ours, other = wanted[part], found[part]
        names += [f"{part} {key}" for key in {**ours, **other} if ours.get(key) != other.get(key)]
    if names:
        raise DataError(
            f"{path} is of another evaluation, they differ in {', '.join(sorted(names))}; choose another "
            "folder with --out, or go on with what it was started with."
        )
