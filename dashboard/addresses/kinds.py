"""What a model's configuration says of it, without loading the model: which others it can be shown beside,
and where its images come from."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from core.data.samples import SHAPES
from core.errors import CoreError
from core.vae import model_images
from core.vae.checkpoint import CONFIG, load_config, model_config
from core.vae.model_images import SHIPPED, USUAL_DATASET, images_seal
from dashboard.addresses import models

Shape = tuple[int, int, int]


class Kind(NamedTuple):
    """What models need to have in common so that their ELBOs have a common scale.

    likelihood  "" for a model that cannot be read, which the pages say when they compute.
    dataset     whose shipped images it is shown with, unless it has some of its own; "" where none have the
                shape.
    """

    likelihood: str = ""
    shape: Shape = SHIPPED
    dataset: str = USUAL_DATASET


class Source(NamedTuple):
    """Where a page's images come from: shipped ones, or those saved with a model. Part of cache keys.

    model    whose images they are, "" for shipped ones. seal: the digest that they are bound by, "" where
             the model has none.
    dataset  of shipped ones.
    """

    model: str = ""
    seal: str = ""
    shape: Shape = SHIPPED
    dataset: str = USUAL_DATASET


SHIPPED_IMAGES = Source()
"""What the pages open with: digits."""


def shipped(dataset: str) -> Source:
    """The shipped images of a data set."""
    channels, side = SHAPES[dataset]
    return Source(shape=(channels, side, side), dataset=dataset)


def kinds(names: Iterable[str]) -> dict[str, Kind]:
    """The kind of each model."""
    folders = models.folders()
    return {name: _known(folders.get(name))[0] for name in names}


def partners(name: str, names: Sequence[str]) -> list[str]:
    """The models whose images have the shape of one model's and are of its data set, itself among them."""
    found = kinds([name, *names])
    return [other for other in names if found[other][1:] == found[name][1:]]


def datasets(names: Sequence[str]) -> tuple[str, ...]:
    """The data sets of shipped images that models are shown with, the usual one first."""
    found = {kind.dataset for kind in kinds(names).values()}
    return tuple(dataset for dataset in SHAPES if dataset in found)


def dataset_of(name: str) -> str:
    """The data set of a model, see `Kind`."""
    return kinds([name])[name].dataset


def source_of(names: Sequence[str]) -> Source:
    """The images that models of one kind are shown with: those of the first that has some of its own, else
    the shipped ones of their data set, if any have that shape."""
    folders = models.folders()
    known = {name: _known(folders.get(name)) for name in names if name}
    for name, (kind, seal) in known.items():
        if seal:
            return Source(name, seal, kind.shape, "")
    first = next(iter(known), "")
    kind = known[first][0] if first else Kind()
    return shipped(kind.dataset) if kind.dataset else Source(first, "", kind.shape, "")


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
    dataset = model_images.dataset_of(config, model.shape)
    return Kind(model.likelihood, model.shape, dataset), images_seal(config)
