"""A model's files as somebody handed them in: which they are, by names that never become paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from core.data.archives import unzip
from core.data.files import write_bytes
from core.data.image_sets import MOST_IMAGES
from core.data.saved_images import FOLDER, INDEX
from core.errors import CheckpointError
from core.vae.checkpoint import CONFIG, GRAPH, PICKLES, WEIGHTS, load_config, model_config
from core.vae.wrapped import WrappedConfig

MOST_BYTES = 16_000_000
"""Of all files of a model together."""
MOST_FILES = MOST_IMAGES + 20
_OURS = (WEIGHTS, CONFIG, GRAPH)
_INDEX = INDEX.rpartition("/")[2]
_IMAGE = re.compile(r"\d{3}\.png", re.ASCII)
_PICKLED = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib", ".npy", ".npz")
"""How files are called that hold pickles, or may."""
_TAKEN_OVER = ("format", "model", "digests")
"""Entries of the configuration that are checked against the model. What it says besides, of a training
or of results, nobody could check."""


def write_handed_in(files: Iterable[tuple[str, bytes]], folder: Path) -> list[str]:
    """Put a model's files into an empty folder; the names of those that are no model's, and were left out.

    files  names, with or without the folders that they came from, and contents; or one .zip of these.
    Raises CheckpointError, with what to do, for what is too much, twice there, missing, empty or a pickle;
    DataError for a bad archive. Whether they are a model only `load_model` can say.
    """
    found, left_out = dict[str, bytes](), list[str]()
    for name, content in _unpacked(list(files)):
        last = re.split(r"[/\\]", name)[-1]
        if last.startswith(".") or not last:
            continue  # what file managers leave behind
        if last.lower().endswith(_PICKLED):
            raise CheckpointError(
                f"The file {_short(last)} is, or may hold, a pickle, which can run code: it is never read. "
                f"Write the weights with safetensors.torch.save_file, and drop {WEIGHTS}."
            )
        place = _place(last)
        if place is None:
            left_out.append(_short(last))
            continue
        if place in found:
            raise CheckpointError(f"{place} is there twice; drop the files of one model at a time.")
        if not content:
            raise CheckpointError(f"{place} is empty (0 bytes); copy it again.")
        found[place] = content
    _check_whole(found, left_out)
    for place, content in found.items():
        write_bytes(folder / place, content)
    _keep_what_is_checked(folder, GRAPH in found)
    return left_out


def _unpacked(files: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    if len(files) > MOST_FILES:
        raise CheckpointError(f"These are {len(files):,} files; a model has at most {MOST_FILES}.")
    size = sum(len(content) for _, content in files)
    if size > MOST_BYTES:
        raise CheckpointError(
            f"These are {size / 1e6:.1f} MB; a model that is dropped here has at most "
            f"{MOST_BYTES // 1_000_000} MB. For larger ones run this site at home: make run."
        )
    if any(name.lower().endswith(".zip") for name, _ in files):
        if len(files) > 1:
            raise CheckpointError("There is an archive among other files; drop the archive alone.")
        return unzip(files[0][1], MOST_FILES, MOST_BYTES)
    return files


def _place(name: str) -> str | None:
    """Where a file stands in a model's folder; None for one that no model has."""
    if name in _OURS:
        return name
    return f"{FOLDER}/{name}" if name == _INDEX or _IMAGE.fullmatch(name) else None


def _check_whole(found: dict[str, bytes], left_out: list[str]) -> None:
    """Raises CheckpointError where a file of every model is missing."""
    for name in (WEIGHTS, CONFIG):
        if name not in found:
            ending = Path(name).suffix
            near = [other for other in left_out if other.endswith(ending)]
            hint = f"is it {near[0]}? Then rename it" if near else "drop all files of the folder at once"
            raise CheckpointError(f"There is no {name}: {hint}.")
    if found[WEIGHTS].startswith(PICKLES):
        raise CheckpointError(
            f"{WEIGHTS} is a pickle under another name, as torch.save writes it, which can run code: it is "
            "never read. Write it with safetensors.torch.save_file."
        )


def _keep_what_is_checked(folder: Path, graph: bool) -> None:
    """Leave in the configuration what the model has to be as it says, and nothing else."""
    known = load_config(folder)
    traced = isinstance(model_config(known, folder), WrappedConfig)
    if traced and not graph:
        raise CheckpointError(f"{CONFIG} is of a traced model, and there is no {GRAPH}: drop that, too.")
    if graph and not traced:
        raise CheckpointError(
            f"{CONFIG} is of an mlp or conv model, which has no {GRAPH}: they belong to two models."
        )
    kept = {name: known[name] for name in _TAKEN_OVER if name in known}
    write_bytes(folder / CONFIG, (json.dumps(kept, indent=2) + "\n").encode())


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:59]}…"
