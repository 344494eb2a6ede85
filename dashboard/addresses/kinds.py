"""What a model's configuration says of it, without loading the model: which others it can be shown beside,
and where its images come from."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from core.errors import CoreError
from core.vae.checkpoint import CONFIG, load_config, model_config
from core.vae.model_images import SHIPPED, images_seal
from dashboard.addresses import models

Shape = tuple[int, int, int]


class Kind(NamedTuple):
    """What models need to have in common so that their ELBOs have a common scale.

    likelihood  "" for a model that cannot be read, which the pages say when they compute."""

    likelihood: str = ""
    shape: Shape = SHIPPED


class Source(NamedTuple):
    """Where a page's images come from: the shipped digits, or those saved with a model. Part of cache keys.

    model  whose images they are, "" for the shipped ones. seal: the digest that they are bound by, "" where
           the model has none.
    """

    model: str = ""
    seal: str = ""
    shape: Shape = SHIPPED


SHIPPED_IMAGES = Source()


def kinds(names: Iterable[str]) -> dict[str, Kind]:
    """The kind of each model."""
    folders = models.folders()
    return {name: _known(folders.get(name))[0] for name in names}


def partners(name: str, names: Sequence[str]) -> list[str]:
    """The models whose images have the shape of one model's, itself among them."""
    found = kinds([name, *names])
    return [other for other in names if found[other].shape == found[name].shape]


def source_of(names: Sequence[str]) -> Source:
    """The images that models of one shape are shown with: those of the first that has some of its own, else
    the shipped digits, if they have that shape."""
    folders = models.folders()
    known = {name: _known(folders.get(name)) for name in names if name}
    for name, (kind, seal) in known.items():
        if seal:
            return Source(name, seal, kind.shape)
    first = next(iter(known), "")
    if not first or known[first][0].shape == SHIPPED:
        return SHIPPED_IMAGES
    return Source(first, "", known[first][0].shape)


def _known(folder: Path | None) -> tuple[Kind, str]:
    """Kind, and the seal of the images."""
    if folder is None:
        return Kind(), ""
    try:
        return _read(folder, (folder / CONFIG).stat().st_mtime_ns)
    except (CoreError, OSError):
        return Kind(), ""


@functools.lru_cache(256)
def _read(folder: Path, changed: int) -> tuple[Kind, str]:
    config = load_config(folder)
    model = model_config(config, folder)
    return Kind(model.likelihood, model.shape), images_seal(config)
