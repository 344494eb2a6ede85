"""A model that somebody handed in, looked at as a whole: small enough for a page, and used once."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.data.samples import SHAPES, load_samples
from core.errors import CheckpointError, CoreError, DataError
from core.inspection.work import products_of
from core.network.files import result_of
from core.network.graph import Network, sources_of
from core.vae.checkpoint import load_config, load_model
from core.vae.elbo import elbo, sample_noise
from core.vae.handed_in import write_handed_in
from core.vae.model import VAE
from core.vae.model_images import dataset_of, images_seal, load_images
from core.vae.wrapped import WrappedConfig

MOST_VALUES, MOST_PRODUCTS = 1_000_000, 1_000_000_000
"""Of all layers together, for one image: what a page computes with them it does for many at once."""
_IMAGES = 4


@dataclass(frozen=True)
class HandedIn:
    """What is known of a model that was handed in, after all checks.

    left_out  names of files that belong to no model. traced: whether it has a graph of operations.
    images    how many it is shown with, saved with it.
    clean     its mean ELBO, nats, of one draw, on some images, which are `scored`, in words.
    """

    left_out: tuple[str, ...]
    traced: bool
    images: int
    clean: float
    scored: str


def take_in(files: Iterable[tuple[str, bytes]], folder: Path) -> HandedIn:
    """Write a model's files into an empty folder, load it as all models are, and use it once.

    Raises CheckpointError or DataError, with what to do, for anything that is not a model, or more than a
    page can compute with.
    """
    try:
        left_out = write_handed_in(files, folder)
        vae = load_model(folder)
        _check_size(vae)
        saved = len(load_images(folder).x) if images_seal(load_config(folder)) else 0
        x, scored = some_images(vae.config.shape, dataset_of(load_config(folder), vae.config.shape))
        if saved:
            x, scored = load_images(folder).x[:_IMAGES], f"the first {min(saved, _IMAGES)} of its images"
        clean = elbo(vae, x, sample_noise(vae, 1)).total.mean().item()
    except CoreError:
        raise
    except (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise CheckpointError(f"The model cannot be computed ({said}); import it again.") from error
    if not abs(clean) < float("inf"):
        raise CheckpointError(
            f"The ELBO of {scored} is {clean}: the model overflows or divides by 0. Give the weights and "
            "the heads that it was trained with."
        )
    return HandedIn(tuple(left_out), isinstance(vae.config, WrappedConfig), saved, clean, scored)


def _check_size(vae: VAE) -> None:
    """Raises CheckpointError for a model whose values or products are too many, before any is computed."""
    values = products = 0
    for network, row in ((vae.encoder, vae.config.shape), (vae.decoder, (vae.config.latent,))):
        found = _values(network, row)
        values += sum(value.numel() for value in found)
        products += sum(products_of(network, found))
    for much, most, what in (
        (values, MOST_VALUES, "values in all layers"),
        (products, MOST_PRODUCTS, "products"),
    ):
        if much > most:
            raise CheckpointError(
                f"An image makes {much:,} {what} in this model; one that is dropped here may have "
                f"{most:,}. Run this site at home for larger ones: make run."
            )


def _values(network: Network, row: Sequence[int]) -> list[Tensor]:
    """What the layers give for one image, but for the numbers: no memory is taken."""
    sizes = [torch.empty(1, *row, device="meta", dtype=torch.float32)]
    for index, operation in enumerate(copy.deepcopy(network).to("meta")):
        sizes.append(result_of(operation, [sizes[source] for source in sources_of(network, index)]))
    return sizes


def some_images(shape: tuple[int, int, int], dataset: str = "") -> tuple[Tensor, str]:
    """Shipped images, where some have that shape, those of a data set first, else images of noise; and what
    they are, in words."""
    for name in (*filter(SHAPES.__contains__, (dataset,)), *SHAPES):
        channels, side = SHAPES[name]
        if (channels, side, side) == shape:
            try:
                return load_samples(name)[0][:_IMAGES], f"the first {_IMAGES} test images of {name}"
            except DataError:
                continue  # none are shipped
    generator = torch.Generator("cpu").manual_seed(0)
    x = torch.rand(_IMAGES, *shape, generator=generator, dtype=torch.float32, device="cpu")
    return (
        x,
        f"{_IMAGES} images of noise (none of that shape is shipped; pixels uniform, seed 0)",
    )
