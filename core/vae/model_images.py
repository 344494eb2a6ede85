"""The images that a model is shown with: those that were saved with it, else shipped ones of its shape."""

from __future__ import annotations

from pathlib import Path

from core.data.image_sets import ImageSet
from core.data.samples import CLASSES, load_samples
from core.data.saved_images import INDEX, read_images
from core.errors import DataError
from core.isolation import isolated
from core.vae.checkpoint import find_model, load_config, model_config

SHIPPED = (1, 28, 28)
"""The shape of the digits that are shipped."""


def images_seal(config: dict[str, object]) -> str:
    """The digest of the images that a parsed config.json is bound to; "" if it has none."""
    digests = config.get("digests")
    seal = digests.get(INDEX) if isinstance(digests, dict) else None
    return seal if isinstance(seal, str) else ""


@isolated()
def load_images(name: str | Path) -> ImageSet:
    """The images of a model, a shipped one by name, or that in a folder: those that were saved with it,
    else, where it takes grey images of 28 x 28, the shipped digits.

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
    if shape == SHIPPED:
        return ImageSet(*load_samples("mnist"), CLASSES["mnist"])
    size = " x ".join(map(str, shape))
    raise DataError(
        f"{name} was saved without images, and none of {size} are shipped. Add some: `python -m core "
        f"import {name} --images FOLDER --out FOLDER`."
    )
