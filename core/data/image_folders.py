"""A folder of PNG files, each as large as a model's images; its sub-folders are classes. Anyone may have
made it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np

from core.data.exact_png import most_bytes, read_png
from core.data.files import read_bytes
from core.errors import DataError

_MOST_NAMES = 1000
"""A folder with more entries is not one of a few images."""


def read_folder(
    folder: Path, shape: tuple[int, int, int], most: int
) -> tuple[np.ndarray, list[int] | None, list[str]]:
    """Images (N, C, H, W), uint8, of the PNG files in a folder, sorted by name; with sub-folders the class
    of each, from 0, and their names, also sorted. Names that begin with a dot are left out.

    Raises DataError for a link, another kind of file, files beside sub-folders, an image that `read_png`
    refuses, and for more than `most` images.
    """
    names = _names(folder)
    inside = [name for name in names if stat.S_ISDIR(_mode(folder / name))]
    if inside and len(inside) < len(names):
        raise DataError(
            f"{folder} has files beside folders: put every image into the folder of its class, or all of "
            "them side by side."
        )
    groups = [(name, [folder / name / file for file in _names(folder / name)]) for name in inside]
    files = [file for _, group in groups for file in group] if inside else [folder / name for name in names]
    if not files or any(not group for _, group in groups):
        raise DataError(f"{folder} has no images, or a folder without any; PNG files are taken.")
    if len(files) > most:
        raise DataError(
            f"{folder} has {len(files):,} images; up to {most} are kept with a model, choose some."
        )
    pixels = np.stack([_read(file, shape) for file in files])
    if not inside:
        return pixels, None, []
    return pixels, [place for place, (_, group) in enumerate(groups) for _ in group], inside


def _names(folder: Path) -> list[str]:
    """What is in a folder, sorted, without what is hidden."""
    try:
        with os.scandir(folder) as entries:
            found = []
            for entry in entries:
                if not entry.name.startswith("."):
                    found.append(entry.name)
                if len(found) > _MOST_NAMES:
                    raise DataError(f"{folder} has more than {_MOST_NAMES:,} files; choose some images.")
            return sorted(found)
    except OSError as error:
        raise DataError(f"{folder} cannot be read as a folder of images ({error.strerror}).") from error


def _mode(path: Path) -> int:
    """What a name stands for. Raises DataError for a link, and for what is neither file nor folder."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    if stat.S_ISLNK(mode):
        raise DataError(f"{path} is a link; put the file itself there.")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise DataError(f"{path} is neither a file nor a folder.")
    return mode


def _read(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    if stat.S_ISDIR(_mode(file)):
        raise DataError(f"{file} is a folder in the folder of a class; images belong there.")
    return read_file(file, shape)


def read_file(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """One PNG file as `read_png` reads it. Raises DataError, which names the file."""
    most = most_bytes(shape)
    content = read_bytes(file, most + 1)
    if len(content) > most:
        raise DataError(f"{file} is larger than a PNG image of the model's shape can be.")
    try:
        return read_png(content, shape)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
