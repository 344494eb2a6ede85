"""Writing files so that a kill leaves the old or the new one, never half of one; and streams, as they come.

A name may be a file, a link to one, a pipe, a character device, or an open file of this process: `-` is
standard output, as is /dev/stdout. Only files are replaced.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import DataError, OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_OPEN_FILE = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_MOST_LINKS, _MOST_NAME = 40, 255


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turns what the operating system says of a file into an OutputError with a sentence. A pipe that
    nobody reads any more stays a BrokenPipeError: there is nothing to say to anyone."""
    try:
        yield
    except (OutputError, BrokenPipeError):
        raise  # it has its sentence
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}); choose a folder that you can write to, "
            "on a disk with room."
        ) from error


def check_file(path: Path | str) -> None:
    """Raises OutputError, before anything is computed, where no file can be written: no name, a folder, a
    parent that is none or may not be written to, a file that is read-only."""
    if not str(path):
        raise OutputError("The name of the file to write is empty; give it one, or leave the option out.")
    with writing(path):
        if streams(path):
            _check_stream(path)
            return
        if str(path).endswith(os.sep):
            raise OutputError(f"{path} is the name of a folder; name a file in it.")
        file = Path(os.path.realpath(path))
        if file.exists():
            _check_access(file, os.W_OK)
        _check_place(file.parent)


def _check_stream(path: Path | str) -> None:
    """Raises the operating system's error for a stream that cannot be written to. A pipe is left alone: to
    open it is to wait for its reader."""
    if (number := _open_file(path)) is not None:
        os.fstat(number)
        if fcntl is not None and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "it is open for reading")
        if number in (1, 2) and (sys.__stdout__ if number == 1 else sys.__stderr__) is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # closed by whoever started this program
    elif stat.S_ISCHR(os.stat(path).st_mode):
        os.close(os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)))


def check_folder(path: Path | str) -> None:
    """Raises OutputError, before anything is computed, where no folder can be made or written to."""
    if not str(path):
        raise OutputError("The name of the folder to write to is empty; give it one.")
    if _open_file(path) is not None:
        raise OutputError(f"{path} is a stream, and what is written is a folder; name one.")
    with writing(path):
        _check_place(Path(os.path.realpath(path)))


def streams(path: Path | str) -> bool:
    """Whether what is written there is passed on, not kept. Raises OutputError for what is neither a
    stream nor a file."""
    if _open_file(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path} cannot be written (Is a directory); name a file in it.")
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return True
    if not stat.S_ISREG(mode):
        raise OutputError(f"{path} cannot be written (it is neither a file nor a pipe); name a file.")
    return False


def is_stdout(path: Path | str | None) -> bool:
    """Whether a name stands for standard output."""
    return path is not None and _open_file(path) == 1


@contextmanager
def open_stream(path: Path | str) -> Iterator[BinaryIO]:
    """A stream to write to, which stays open where it was open before."""
    number = _open_file(path)
    if number == 1:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with open(path, "wb") if number is None else os.fdopen(os.dup(number), "wb") as file:
            yield file


def write_bytes(path: Path | str, content: bytes) -> None:
    """Replace a file, whole or not at all, with its mode and behind its links; or write to a stream.

    Raises OutputError with a sentence."""
    check_file(path)
    with writing(path):
        if streams(path):
            with open_stream(path) as stream:
                stream.write(content)
            return
        file = Path(os.path.realpath(path))
        part = file.with_name(f"{file.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}.part")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            if file.exists():
                before = file.stat()
                if hasattr(os, "geteuid") and os.geteuid() == 0:
                    with suppress(OSError):  # root writes for somebody, where root may
                        os.chown(part, before.st_uid, before.st_gid)
                part.chmod(stat.S_IMODE(before.st_mode))
            os.replace(part, file)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path | str) -> Iterator[None]:
    """Makes a folder, and waits until nobody else writes files there that go together; where the system has
    no such locks it does not wait. Raises OutputError if it cannot be made or written to."""
    check_folder(folder)
    with writing(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            yield
            return
        number = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(number, fcntl.LOCK_EX)
            yield
        finally:
            os.close(number)


def read_bytes(path: Path, most: int) -> bytes:
    """The first `most` bytes of a file. Raises DataError with a sentence if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def _open_file(path: Path | str) -> int | None:
    """The number of the open file of this process that a name stands for, behind all links."""
    if str(path) == "-":
        return 1
    name = os.path.abspath(path)
    for _ in range(_MOST_LINKS):
        if found := _OPEN_FILE.fullmatch(name):
            return int(found[1])
        if not os.path.islink(name):
            break
        name = os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(name)))
    return None


def _check_place(folder: Path) -> None:
    """Raises the operating system's error where a folder is not writable, or cannot be made."""
    if sys.platform == "linux" and max(len(os.fsencode(part)) for part in folder.parts) > _MOST_NAME:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    there = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    _check_access(there, os.W_OK | os.X_OK)


def _check_access(path: Path, wanted: int) -> None:
    if not os.access(path, wanted):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
