"""A few images with their classes, as they are saved with a model and shown with it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.data.image_folders import read_folder
from core.errors import InputError

MOST_IMAGES = 200
MOST_VALUES = 20_000_000
"""Values of all images together."""
MOST_CLASSES = 200
NO_CLASS = -1
# No name that is also Markdown, or a path of its own.
_NAME = re.compile(r"\w[\w .,+&'()/-]{0,39}")
_EXACT = 1e-3
"""So far from a whole number a value times 255 may lie: what float32 loses."""


@dataclass(frozen=True)
class ImageSet:
    """Images x (N, C, H, W), float32, whole multiples of 1/255 in [0, 1], and their classes.

    y        (N,) int64: which of the `classes` each is; NO_CLASS for all where there are none.
    classes  their names, none for images without classes.

    Raises InputError for what does not go together.
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.x.ndim != 4 or self.x[:1].numel() == 0:
            raise InputError(
                f"images have the shape {tuple(self.x.shape)}; it must be (N, C, H, W), N at least 1."
            )
        if self.y.shape != (len(self.x),):
            raise InputError(
                f"There are {len(self.x)} images and {self.y.numel()} labels; give one an image."
            )
        if len(self.classes) > MOST_CLASSES or len({*self.classes}) < len(self.classes):
            raise InputError(f"Up to {MOST_CLASSES} classes are taken, no two of the same name.")
        for name in self.classes:
            if not _NAME.fullmatch(name):
                raise InputError(
                    f"{name!r} is no name of a class: 1 to 40 letters, digits, spaces and .,+&'()/_- are "
                    "taken, a letter or digit first."
                )
        low, high = (0, len(self.classes) - 1) if self.classes else (NO_CLASS, NO_CLASS)
        if bool(((self.y < low) | (self.y > high)).any()):
            raise InputError(f"labels must be places in the {len(self.classes)} classes, counted from 0.")

    def given(self) -> dict[str, Any]:
        """The arguments by which `save_model` takes them."""
        return {"images": self.x} | ({"labels": self.y, "classes": self.classes} if self.classes else {})

    def name_of(self, index: int) -> str:
        """The class of an image; "" where there are none."""
        return self.classes[int(self.y[index])] if self.classes else ""


def check_limits(count: int, shape: tuple[int, ...]) -> None:
    """Raises InputError for more images than are kept with a model."""
    if count > MOST_IMAGES or count * math.prod(shape) > MOST_VALUES:
        most = min(MOST_IMAGES, max(1, MOST_VALUES // math.prod(shape)))
        raise InputError(f"There are {count:,} images; with a model of this shape up to {most} are kept.")


def take_images(
    images: Tensor | Path | str,
    labels: Tensor | Sequence[int] | None,
    classes: Sequence[str] | None,
    shape: tuple[int, int, int],
) -> ImageSet:
    """What somebody hands in to be kept with a model of a shape; arguments as in `save_model`.

    Raises InputError, DataError with a sentence.
    """
    if isinstance(images, str | Path):
        if labels is not None or classes is not None:
            raise InputError("Labels and classes of a folder are its sub-folders; leave them out.")
        pixels, places, names = read_folder(Path(images), shape, MOST_IMAGES)
        return _image_set(torch.from_numpy(pixels), places, names)
    if not isinstance(images, Tensor):
        raise InputError(
            f"images is a {type(images).__name__}; give a tensor, or the path of a folder of PNGs."
        )
    if images.ndim != 4 or tuple(images.shape[1:]) != shape:
        raise InputError(
            f"images have the shape {tuple(images.shape)}, and the model's are {shape}: (N, {shape[0]}, "
            f"{shape[1]}, {shape[2]}) is taken."
        )
    check_limits(len(images), shape)
    places = None if labels is None else _whole_numbers(labels)
    if places is None and classes is not None:
        raise InputError("There are classes without labels; say with labels which image is of which class.")
    names = None if classes is None else [str(name) for name in classes]
    if places and names is None:
        names = [str(place) for place in range(max(places) + 1)]
    return _image_set(_levels(images.detach().cpu()), places, names or [])


def _image_set(pixels: Tensor, places: Sequence[int] | None, names: Sequence[str]) -> ImageSet:
    chosen = [NO_CLASS] * len(pixels) if places is None else places
    y = torch.tensor(chosen, dtype=torch.int64, device="cpu")
    return ImageSet(pixels.float() / 255, y, tuple(names))


def _whole_numbers(labels: Tensor | Sequence[int]) -> list[int]:
    values = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else list(labels)
    if any(type(value) is not int for value in values):
        raise InputError("labels must be whole numbers, one an image.")
    return values


def _levels(images: Tensor) -> Tensor:
    """Images as levels, uint8. Raises InputError for values that no PNG holds."""
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise InputError(f"images are {images.dtype}; give float values in [0, 1], or uint8.")
    values = images.double() * 255
    if not bool(((values >= -_EXACT) & (values <= 255 + _EXACT)).all()):
        raise InputError("images have values outside of [0, 1], or NaN; float values are 0 black, 1 white.")
    rounded = values.round()
    if bool(((values - rounded).abs() > _EXACT).any()):
        raise InputError(
            "images are kept exactly, as PNG, and have values between its 256 levels; round them before: "
            "(255 * images).round() / 255."
        )
    return rounded.to(torch.uint8)
