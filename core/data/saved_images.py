"""The images of a model, in the folder `images` of its own: PNG files, numbered, and an index.

The index holds the digest of each file; its own digest, by which the model's configuration knows it, is
what binds them all to the save.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.data.exact_png import as_png, most_bytes, read_png
from core.data.files import read_bytes
from core.data.image_sets import MOST_IMAGES, ImageSet, check_limits
from core.errors import CoreError, DataError

FOLDER = "images"
INDEX = f"{FOLDER}/index.json"
"""What the model's configuration calls the index."""
_KEYS = {"shape", "labels", "classes", "digests"}
_MOST_INDEX_BYTES = 200_000
_OURS = re.compile(r"[0-9]{3}\.png")


def file_name(place: int) -> str:
    """What an image's file is called, seen from the model's folder."""
    return f"{FOLDER}/{place:03d}.png"


def as_files(images: ImageSet) -> dict[str, bytes]:
    """The contents of the files by name, seen from the model's folder; the index is the last."""
    levels = (images.x * 255).round().to(torch.uint8).numpy()
    files = {file_name(place): as_png(image) for place, image in enumerate(levels)}
    index = {
        "shape": list(images.x.shape[1:]),
        "labels": images.y.tolist(),
        "classes": list(images.classes),
        "digests": [_digest(content) for content in files.values()],
    }
    return {**files, INDEX: (json.dumps(index, indent=1) + "\n").encode()}


def read_images(folder: Path, digest: str, shape: tuple[int, int, int]) -> ImageSet:
    """The images in a model's folder whose index has a digest. Nothing but files of that folder is read.

    Raises DataError for what is missing, damaged, changed since the save, or was never saved by us.
    """
    content = _content(folder, INDEX, _MOST_INDEX_BYTES)
    if _digest(content) != digest:
        raise _changed(folder / INDEX)
    try:
        index = json.loads(content.decode("utf-8"))
        digests, labels, classes = (index[name] for name in ("digests", "labels", "classes"))
        if set(index) != _KEYS or index["shape"] != list(shape) or not _plain(digests, labels, classes):
            raise ValueError("its entries are others")
        check_limits(len(digests), shape)
        images = np.stack(list(_images(folder, digests, shape)))
        y = torch.tensor(labels, dtype=torch.int64, device="cpu")
        return ImageSet(torch.from_numpy(images).float() / 255, y, tuple(classes))
    except DataError:
        raise
    except (
        CoreError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
        OverflowError,
        RuntimeError,
    ) as error:
        raise DataError(
            f"{folder / INDEX} is no index of images of the model beside it ({error})."
        ) from error


def left_over(folder: Path, kept: int) -> Iterator[Path]:
    """The files that an earlier save left there and one of so many images has no place for."""
    there = folder / FOLDER
    if there.is_symlink() or not (folder / INDEX).is_file():
        return
    for path in sorted(there.iterdir()):
        if _OURS.fullmatch(path.name) and int(path.name[:3]) >= kept:
            yield path
    if kept == 0:
        yield folder / INDEX


def _plain(digests: Any, labels: Any, classes: Any) -> bool:
    """Whether the lists of an index are what they should be, one by one."""
    kinds = ((digests, str), (labels, int), (classes, str))
    listed = all(
        isinstance(values, list) and all(type(v) is kind for v in values) for values, kind in kinds
    )
    return listed and 1 <= len(digests) <= MOST_IMAGES


def _images(folder: Path, digests: list[str], shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    for place, digest in enumerate(digests):
        name = file_name(place)
        content = _content(folder, name, most_bytes(shape))
        if _digest(content) != digest:
            raise _changed(folder / name)
        try:
            yield read_png(content, shape)
        except DataError as error:
            raise DataError(f"{folder / name}: {error}") from error


def _content(folder: Path, name: str, most: int) -> bytes:
    """A file in the folder itself, behind no link. Raises DataError."""
    for path, fits in ((folder / FOLDER, stat.S_ISDIR), (folder / name, stat.S_ISREG)):
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}).") from error
        if not fits(mode):
            raise DataError(f"{path} is a link, or of another kind than what was saved there.")
    content = read_bytes(folder / name, most + 1)
    if len(content) > most:
        raise DataError(f"{folder / name} is larger than what was saved there can be.")
    return content


def _changed(path: Path) -> DataError:
    return DataError(
        f"{path} was not saved with the model beside it, or was changed since; save both again."
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
