"""The images that a model is shown with: those saved with it, else shipped ones of its data set."""

from __future__ import annotations

from pathlib import Path

from core.data.image_sets import ImageSet
from core.data.samples import CLASSES, DATASETS, SHAPES, list_samples, load_samples
from core.data.saved_images import INDEX, read_images
from core.errors import CheckpointError, DataError, ModelNotFoundError
from core.isolation import isolated
from core.vae.checkpoint import find_model, list_models, load_config, model_config

SHIPPED = (1, 28, 28)
"""The shape of the images that are shipped."""
USUAL_DATASET = "mnist"
"""The data set of a model that does not say what it was trained on."""


def images_seal(config: dict[str, object]) -> str:
    """The digest of the images that a parsed config.json is bound to; "" if it has none."""
    digests = config.get("digests")
    seal = digests.get(INDEX) if isinstance(digests, dict) else None
    return seal if isinstance(seal, str) else ""


def dataset_of(config: dict[str, object], shape: tuple[int, int, int]) -> str:
    """The data set of which a model of a shape (C, H, W) is shown shipped images.

    It is what a parsed config.json says of its training; USUAL_DATASET where that says nothing, or none of
    those are shipped; "" where no shipped images have the shape.
    """
    training = config.get("training")
    named = training.get("dataset") if isinstance(training, dict) else None
    for name in (named, USUAL_DATASET):
        if isinstance(name, str) and name in list_samples():
            channels, side = SHAPES[name]
            if (channels, side, side) == shape:
                return name
    return USUAL_DATASET if shape == SHIPPED else ""


def models_by_dataset() -> dict[str, list[str]]:
    """Names of the shipped models by data set, see `dataset_of`; USUAL_DATASET for one that cannot be read.
    Data sets are ordered as DATASETS has them, names sorted."""
    found: dict[str, list[str]] = {}
    for name in list_models():
        try:
            config = load_config(name)
            dataset = dataset_of(config, model_config(config, find_model(name)).shape)
        except (CheckpointError, ModelNotFoundError):  # loading it will say what is wrong
            dataset = USUAL_DATASET
        found.setdefault(dataset or USUAL_DATASET, []).append(name)
    return {name: found[name] for name in DATASETS if name in found}


@isolated()
def load_images(name: str | Path) -> ImageSet:
    """The images of a model, a shipped one by name, or that in a folder: those that were saved with it,
    else the shipped test images of the data set that it was trained on, see `dataset_of`.

    Found are .x (N, C, H, W), float32 in [0, 1], .y (N,), int64, the place of each image's class in
    .classes, -1 where there are no classes. Raises DataError where there are no images, or they are
    damaged, and what `load_model` raises for a folder that has no readable config.json.

    >>> found = core.load_images("mnist-mlp-robust-0.1")
    >>> found.x.shape, found.name_of(0)
    (torch.Size([500, 1, 28, 28]), '7')
    """
    folder = find_model(name)
    known = load_config(folder)
    shape, seal = model_config(known, folder).shape, images_seal(known)
    if seal:
        return read_images(folder, seal, shape)
    if dataset := dataset_of(known, shape):
        return load_image_set(dataset)
    size = " x ".join(map(str, shape))
    raise DataError(
        f"{name} was saved without images, and none of {size} are shipped. Add some: `python -m core "
        f"import {name} --images FOLDER --out FOLDER`."
    )


def load_image_set(dataset: str) -> ImageSet:
    """The shipped test images of a data set with its classes. Raises DataError as `load_samples` does."""
    x, y = load_samples(dataset)
    return ImageSet(x, y, CLASSES[dataset])
