"""What is known of a model that a visitor brought: its operations, and where proofs stop."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
import torch
from torch import Tensor

import core
from core.certificates.methods import METHODS
from core.errors import CoreError
from core.inspection.rules import Kind, kinds_of, no_expectation, refused_methods
from core.inspection.work import crown_products
from core.network.files import parameters_of
from dashboard.addresses import costs, models
from dashboard.addresses.digit import images
from dashboard.addresses.kinds import source_of
from dashboard.server.background import Now, Show, Tell, run
from dashboard.shared import compute
from dashboard.shared.text import METHOD_NAMES

GRID = tuple(digit * 10.0**power for power in range(-6, 0) for digit in (1, 2, 5))
MEASURED = METHODS[:3]
"""Methods whose reach is measured: those that do not optimise."""


@dataclass(frozen=True)
class Report:
    """A model as the page shows it.

    operations  of each part. refused: the methods that have no rule for something in it, with the reason.
    expectation why there is no statement on all noise; "" if there is.
    """

    shape: tuple[int, int, int]
    latent: int
    likelihood: str
    weights: int
    operations: dict[str, tuple[Kind, ...]]
    refused: dict[str, str]
    expectation: str


@models.stamped(st.cache_data(max_entries=8, show_spinner=False, scope="session"))
def report(name: str) -> Report:
    """What a model is made of. Raises CoreError."""
    vae = compute.model(name)
    return Report(
        vae.config.shape,
        vae.config.latent,
        vae.config.likelihood,
        parameters_of(vae.encoder) + parameters_of(vae.decoder),
        {"encoder": kinds_of(vae.encoder), "decoder": kinds_of(vae.decoder)},
        refused_methods(vae),
        no_expectation(vae),
    )


@models.stamped(st.cache_data(max_entries=8, show_spinner=False, scope="session"))
def reach(name: str, _show: Show) -> dict[str, float | None]:
    """By method the largest eps of GRID at which a proof says something of the model's first image, or of a
    grey one; 0 for none, None where it is too dear for a page. Raises CoreError."""

    vae, x = compute.model(name), _image(name)
    noise, eps = core.sample_noise(vae, 1), torch.tensor(GRID, dtype=torch.float64, device="cpu")
    many = x.expand(len(GRID), -1, -1, -1)

    def work(tell: Tell) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for place, method in enumerate(MEASURED):
            said = Now(place / len(MEASURED), f"how far {METHOD_NAMES[method]} goes")
            tell(said)
            if method == "crown" and crown_products(vae) * len(GRID) > costs.MOST:
                found[method] = None
                continue
            proved = core.certify(
                vae, many, noise, eps=eps, method=method, progress=lambda done, total, said=said: tell(said)
            )
            holds = (~proved.vacuous).tolist()
            found[method] = max((radius for radius, so in zip(GRID, holds, strict=True) if so), default=0.0)
        return found

    return run(work, _show, model=name)


def _image(name: str) -> Tensor:
    """The first image that a model is shown with, else a grey one, (1, C, H, W)."""
    source = source_of([name])
    try:
        return images(source).x[:1]
    except CoreError:
        return torch.full((1, *source.shape), 0.5, dtype=torch.float32, device="cpu")
