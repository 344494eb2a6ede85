"""Writing files so that a kill leaves the old or the new one, never half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import DataError, OutputError


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turns what the operating system says of a file into an OutputError with a sentence."""
    try:
        yield
    except OutputError:
        raise  # it has its sentence
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}); choose a folder that you can write to, "
            "on a disk with room."
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file, whole or not at all. Raises OutputError with a sentence."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def read_bytes(path: Path, most: int) -> bytes:
    """The first `most` bytes of a file. Raises DataError with a sentence if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
