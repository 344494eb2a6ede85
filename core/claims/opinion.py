"""The second program, run as a program: what it says of a certificate."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from core.data.files import read_bytes

CHECKER = Path(__file__).with_name("checker.py")
HOLDS, FAILS, UNREADABLE, NOT_COVERED = range(4)
_MOST_BYTES = 1_000_001
"""Of a pipe: one more than a certificate has."""


@dataclass(frozen=True)
class Opinion:
    """code: HOLDS, FAILS, UNREADABLE or NOT_COVERED, the program's exit code; said: its words, and the same
    for a program that did not end well, which is UNREADABLE."""

    code: int
    said: str


def second_opinion(
    certificate: Path | str, model: Path | str | None = None, seconds: float | None = None
) -> Opinion:
    """What core/claims/checker.py says of a file, in a process that cannot import this package.

    model    folder of the weights, where they are not a shipped model's.
    seconds  after which it is stopped.
    """
    with _as_file(certificate) as path:
        command = [sys.executable, "-I", str(CHECKER), str(path), *([] if model is None else [str(model)])]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return Opinion(UNREADABLE, f"Not checked: it took longer than {seconds:g} seconds.")
    if ran.returncode not in range(4):
        return Opinion(UNREADABLE, f"Not checked: the second program ended with code {ran.returncode}.")
    return Opinion(ran.returncode, (ran.stdout or ran.stderr).strip())


@contextmanager
def _as_file(certificate: Path | str) -> Iterator[Path]:
    """The name of a file; a pipe, which the other program would not find, is read into one."""
    if os.path.isfile(certificate) or not os.path.exists(certificate):
        yield Path(certificate)
        return
    content = read_bytes(Path(certificate), _MOST_BYTES)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.json"
        path.write_bytes(content)
        yield path
