"""What a claim asks, as values: the folder of its model, its image, its noise."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from core.claims.claim import Claim, check_name
from core.errors import ClaimError
from core.vae.checkpoint import find_model, list_models
from core.vae.elbo import sample_noise
from core.vae.model import VAE


@contextmanager
def asking() -> Iterator[None]:
    """What goes wrong here is the question's fault."""
    try:
        yield
    except (ValueError, RuntimeError) as error:  # InputError and binascii.Error are ValueErrors
        raise ClaimError(f"The certificate asks what cannot be asked: {str(error).rstrip('.')}.") from error


def folder_of(claim: Claim, model: str | Path | None) -> Path:
    """The folder of a claim's model; model: its folder, where it is not a shipped one's.

    Raises ClaimError for a model that is not shipped and not named."""
    if model is None and claim.model not in list_models():
        raise ClaimError(
            f"No shipped model is called {claim.model[:80]!r}; name the folder of its weights."
        )
    folder = find_model(claim.model if model is None else model)
    check_name(claim, folder.name)
    return folder


def image_of(vae: VAE, image: str) -> Tensor:
    """(1, C, H, W) float32 from a file's base64. Raises ClaimError for what is no such image."""
    with asking():
        raw = bytearray(base64.b64decode(image, validate=True))
        return torch.frombuffer(raw, dtype=torch.float32).view(1, *vae.config.shape)


def noise_of(vae: VAE, claim: Claim) -> Tensor:
    """(S, k) float32. Raises ClaimError for a number of draws that there cannot be."""
    # What plays no part in a proof is 0 in a claim; functions want numbers that make sense all the same.
    with asking():
        return sample_noise(vae, claim.draws if claim.states == "draws" else 1, claim.seed)
