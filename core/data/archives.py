"""Zip archives that anyone may have made: read in memory, never unpacked to a disk."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator

from core.errors import DataError

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


def unzip(content: bytes, most_files: int, most_bytes: int) -> list[tuple[str, bytes]]:
    """The files of an archive, each with the name that it has there: a name, never to be used as a path.

    Raises DataError for what is no archive, is damaged, has links or devices, is encrypted, or would have
    more files or bytes: these are counted as they are unpacked, whatever the archive says.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return list(_files(archive, most_files, most_bytes))
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError) as error:
        raise DataError(f"The archive cannot be read ({str(error)[:100]}); make it again.") from error
    except RuntimeError as error:  # of a password, which flags may be silent on
        raise DataError("The archive is encrypted; make one without a password.") from error


def _files(archive: zipfile.ZipFile, most_files: int, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > most_files:
        raise DataError(f"The archive has {len(entries):,} files; a model has at most {most_files}.")
    room = most_bytes
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise DataError(
                f"The archive has a link or a device in it, {entry.filename[:60]}; put the file in."
            )
        if entry.flag_bits & _ENCRYPTED:
            raise DataError("The archive is encrypted; make one without a password.")
        if entry.compress_type not in _METHODS:
            raise DataError("The archive is compressed in another way than deflate; make an ordinary zip.")
        with archive.open(entry) as file:
            found = file.read(room + 1)
        room -= len(found)
        if room < 0:
            most = most_bytes // 1_000_000
            raise DataError(f"The archive unpacks to over {most} MB, which no model here may have.")
        yield entry.filename, found
