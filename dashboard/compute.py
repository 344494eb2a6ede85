"""Thin adapters around core, and the only place with caches and locks."""

from __future__ import annotations

import base64
import contextvars
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
import torch

import core
from core.checkpoint import load_config
from core.curve import Curve
from core.errors import CoreError
from core.latent import reparameterise
from core.metrics import model_metrics
from core.model import VAE
from dashboard.images import grey
from dashboard.state import Settings

# One thread a computation: two visitors would otherwise fight for the cores, which costs far more
# than one visitor alone gains. As many computations as there are cores may run at once.
torch.set_num_threads(1)
_SLOTS = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))

Report = Callable[[float, str], None]
"""Called with (share done, what is being done); may raise to cancel."""


@dataclass(frozen=True)
class Terms:
    """The two parts of an ELBO, nats: total = recon - kl. Arrays (E,)."""

    recon: np.ndarray
    kl: np.ndarray


@dataclass(frozen=True)
class Result:
    """What the page shows of one model and one image, over the radii of `curve`.

    attacked       (E, H, W) images; recon_attacked likewise.
    terms          "clean", "attained", "proved".
    statements     what the certificate says at each radius.
    """

    curve: Curve
    image: np.ndarray
    attacked: np.ndarray
    recon_image: np.ndarray
    recon_attacked: np.ndarray
    terms: dict[str, Terms]
    statements: list[str]

    def at(self, eps: float) -> int:
        """Position of a radius that the curve has."""
        return int((self.curve.eps - eps).abs().argmin())


@st.cache_data(max_entries=1, show_spinner=False)
def samples() -> tuple[np.ndarray, np.ndarray]:
    """The shipped digits: images (N, H, W) in [0, 1], labels (N,)."""
    x, y = core.load_samples("mnist")
    return x[:, 0].numpy(), y.numpy()


@st.cache_data(max_entries=500, show_spinner=False)
def thumbnail(index: int) -> str:
    """A digit as Markdown, for the label of a choice."""
    png = base64.b64encode(grey(samples()[0][index], scale=2)).decode()
    return f"![test image {index}](data:image/png;base64,{png})"


@st.cache_resource(max_entries=8, show_spinner=False)
def model(name: str) -> VAE:
    """A shipped model; shared by all sessions, so nobody may change it."""
    return core.load_model(name)


@st.cache_data(max_entries=4, show_spinner=False)
def labels(names: tuple[str, ...]) -> dict[str, str]:
    """Models' names for people, no two the same: a list of choices tells them apart by these."""
    short = {name: _label(name) for name in names}
    often = Counter(short.values())
    return {name: text if often[text] == 1 else f"{text}, {name}" for name, text in short.items()}


def _label(name: str) -> str:
    """What the configuration says of the model."""
    try:
        config = load_config(name)
        arch, training = str(config["model"]["arch"]).upper(), config["training"]
        if training["eps"] == 0:
            return f"Standard {arch}"
        kind = "" if training["target"] == "likelihood" else ", reconstruction"
        return f"Robust {arch} (eps {training['eps']:g}{kind})"
    except (CoreError, KeyError, TypeError, ValueError):
        return name


@st.cache_data(max_entries=16, show_spinner=False)
def usual_threshold(name: str) -> float:
    """The 5 % quantile of the ELBO of clean test digits, nats."""
    metrics: Any = load_config(name).get("metrics")
    try:
        return float(metrics["elbo_quantiles"]["0.05"])
    except (KeyError, TypeError, ValueError):
        x, _ = core.load_samples("mnist")
        return model_metrics(model(name), x, eps=0)["elbo_quantiles"]["0.05"]


def explore(name: str, index: int, settings: Settings, grid: tuple[float, ...], report: Report) -> Result:
    """Attack and certify one image at every radius; from the cache if it was done before."""
    # A cached function records every st call inside it, to play it again on a hit. Progress is not to
    # be played again, so it is reported from a context that is outside of the recording.
    outside = contextvars.copy_context()
    last = 0.0

    def throttled(share: float, what: str) -> None:
        nonlocal last
        if time.monotonic() - last > 0.1:
            last = time.monotonic()
            outside.run(report, share, what)

    return _explore(name, index, settings, grid, throttled)


@st.cache_data(max_entries=256, show_spinner=False)
def _explore(name: str, index: int, settings: Settings, grid: tuple[float, ...], _report: Report) -> Result:
    vae, s = model(name), settings
    x = core.load_samples("mnist")[0][index : index + 1]
    noise = core.sample_noise(vae, draws=s.draws, seed=s.seed)
    eps = torch.tensor(grid, dtype=torch.float64)
    with _slot(_report), torch.inference_mode(False):
        curve = core.elbo_curve(
            vae,
            x,
            noise,
            eps,
            target=s.target,
            method=s.attack,
            steps=s.steps,
            restarts=s.restarts,
            seed=s.seed,
            progress=lambda done, total: _report(done / total, f"attack, step {done} of {total}"),
        )
        copies = x.expand(len(eps), -1, -1, -1)
        scored = None if s.target == "likelihood" else copies
        clean = core.elbo(vae, x, noise)
        attained = core.elbo(vae, curve.x_adv, noise, scored)
        proved = core.certify(vae, copies, noise, eps=eps, target=s.target)
    return Result(
        curve=curve,
        image=x[0, 0].numpy(),
        attacked=curve.x_adv[:, 0].numpy(),
        recon_image=_reconstruct(vae, x, noise)[0],
        recon_attacked=_reconstruct(vae, curve.x_adv, noise),
        terms={
            "clean": Terms(clean.recon.numpy(), clean.kl.numpy()),
            "attained": Terms(attained.recon.numpy(), attained.kl.numpy()),
            "proved": Terms(proved.recon.numpy(), proved.kl.numpy()),
        },
        statements=[proved.statement(i) for i in range(len(eps))],
    )


@torch.no_grad()
def _reconstruct(vae: VAE, x: torch.Tensor, noise: torch.Tensor) -> np.ndarray:
    """Expected image under the decoder, mean over the draws: (B, H, W)."""
    z = reparameterise(*vae.encode(x), noise[:, None])
    mean = vae.likelihood.mean(vae.decode(z.flatten(0, 1)))
    return mean.unflatten(0, z.shape[:2]).mean(0)[:, 0].numpy()


@contextmanager
def _slot(report: Report) -> Iterator[None]:
    """Wait for a free core, visibly and interruptibly."""
    while not _SLOTS.acquire(timeout=0.2):
        report(0.0, "waiting for other visitors' computations")
    try:
        yield
    finally:
        _SLOTS.release()
