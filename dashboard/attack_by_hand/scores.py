"""A painting as an image of the ball, and what models say of it. Nothing of the browser's is believed but
where it painted. No Streamlit in here but the caches."""

from __future__ import annotations

import numpy as np
import streamlit as st
import torch
from torch import Tensor

import core
from core.bounds.ball import Ball
from core.device import plain_convolutions
from core.isolation import isolated
from core.vae import elbo
from core.vae.elbo import as_double
from core.vae.model import VAE
from core.vae.threat import Threat
from dashboard.addresses.digit import Digit, cached
from dashboard.addresses.explorer import ProofSettings, Settings
from dashboard.addresses.models import stamped
from dashboard.addresses.paint import UNITS
from dashboard.server.background import Now, Show, Tell, run
from dashboard.shared import compute

_LEAST = 2.0**-20
"""The first part of a change that is given up where rounding has put it out of the ball."""
FIRST = "fgsm"
"""The attack of one step that a painting may start from."""


def painted(x: Tensor, levels: np.ndarray, threat: Threat) -> Tensor:
    """The image (1, C, H, W), float32, that a painting makes of x: its nearest one in the ball.

    levels  (C, H, W) in units of `paint.UNITS`, of any size whatever. threat: with one radius.
    """
    change = torch.from_numpy(levels.astype(np.float64) / UNITS)[None]
    ball = threat.balls(x)
    exact = Ball(x.double(), ball.eps, ball.norm).project((x.double() + change).clamp(0, 1))
    point = exact.float()
    if threat.norm == "linf":
        # A rounding to float32 may leave the ball: one step towards the middle is back in it.
        beyond = (point.double() - x.double()).abs() > ball.eps
        point = torch.where(beyond, torch.nextafter(point, x), point)
    way, lost = point - x, _LEAST
    while not bool(ball.holds(point)):
        point, lost = x + way * (1 - lost), min(1.0, 2 * lost)
    return point


def as_levels(x: Tensor, point: Tensor) -> np.ndarray:
    """The painting (C, H, W) that makes an image of x, (1, C, H, W) both, as near as units allow."""
    change = (point.double() - x.double())[0].numpy() * UNITS
    away = np.sign(change) * np.ceil(np.abs(change) - 1e-3)
    return np.clip(away, -UNITS, UNITS).astype("<i2")


@stamped(st.cache_resource(max_entries=4, show_spinner=False))
def _double(name: str) -> VAE:
    """A model in float64: to copy it takes ten times as long as to score an image."""
    return as_double(compute.model(name))


@isolated()
@plain_convolutions()
@torch.no_grad()
def score(model: str, digit: Digit, settings: ProofSettings, point: Tensor) -> float:
    """The ELBO of an image (1, C, H, W) in nats, as `core.elbo` has it, on the question's own draws."""
    vae, x = _double(model), digit.image()
    clean = settings.threat(0.0).scored(x)
    scored = point if clean is None else clean
    noise = settings.noise(vae).double()[:, None]
    return elbo.score(vae, point.double(), noise, scored.double()).total.item()


@cached(500)
def first_step(name: str, digit: Digit, settings: ProofSettings, eps: float, _show: Show) -> np.ndarray:
    """The painting (C, H, W) of the attack of one step."""
    vae, x, noise = compute.question(name, digit, settings)

    def work(tell: Tell) -> np.ndarray:
        tell(Now(0.0, "one step of the attack"))
        asked = {"eps": eps, "target": settings.target, "norm": settings.norm, "method": FIRST}
        return as_levels(x, core.attack(vae, x, noise, **asked).x_adv)

    return run(work, _show, fast=True, model=name)


def go_on(model: str, digit: Digit, settings: Settings, eps: float, start: Tensor, show: Show) -> float:
    """What PGD attains, in nats, when it starts from an image (1, C, H, W) as well."""
    vae, x, noise = compute.question(model, digit, settings.proof)

    def work(tell: Tell) -> float:
        found = core.attack(
            vae,
            x,
            noise,
            eps=eps,
            target=settings.target,
            norm=settings.norm,
            steps=settings.steps,
            seed=settings.seed,
            start=start,
            progress=lambda done, total: tell(Now(done / total, "the machine goes on")),
        )
        return found.elbo.item()

    return run(work, show, fast=True, model=model)
