"""Thin adapters around core, with caches: digits, models, attack and interval bounds; results.

Tighter bounds are in tighter_bounds.py. There are no other caches; locks and threads are in server/.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import streamlit as st
import torch

import core
from core.certificates.noise_certificate import Guarantee
from core.claims.making import claim_of_proof
from core.claims.opinion import Opinion, second_opinion
from core.errors import CoreError, DataError
from core.evaluation import results_files
from core.evaluation.ceiling import CEILING
from core.evaluation.curve import Proof
from core.evaluation.evaluate import CONSTANT as DECODER
from core.evaluation.results import Results
from core.training.metrics import model_metrics
from core.vae.checkpoint import load_config, model_config
from core.vae.config import ARCHITECTURES
from core.vae.latent import reparameterise
from core.vae.model import VAE
from core.vae.threat import Draws
from dashboard.addresses import models, session_models
from dashboard.addresses.digit import Digit, cached, images
from dashboard.addresses.explorer import ProofSettings, Settings, State
from dashboard.addresses.kinds import SHIPPED_IMAGES, Source, kinds
from dashboard.addresses.models import Stamp
from dashboard.server.background import Now, Show, Tell, run
from dashboard.shared import first_view, own_text
from dashboard.shared.images import grey, in_markdown, pictures
from dashboard.shared.result import Known, Result, Terms
from dashboard.shared.text import CONSTANT, model_label

ALPHA, DELTA, SAMPLE = 0.01, 0.05, 16_384
"""Of what is proved of the noise at large: 1 - confidence, 1 - coverage, and how many draws it takes."""
CHECK_SECONDS = 120.0
"""For the second program, which takes seconds for few draws, and longer for many."""
SAMPLE_PIXELS = 1200
"""About how wide pictures of many digits are made."""


def samples(source: Source = SHIPPED_IMAGES) -> tuple[np.ndarray, np.ndarray]:
    """The images of a source: pictures in [0, 1], see `shared.images`, labels (N,), -1 where there are no
    classes. Raises CoreError."""
    found = images(source)
    return pictures(found.x), found.y.numpy()


@st.cache_data(max_entries=500, show_spinner=False)
def thumbnail(source: Source, index: int) -> str:
    """An image as Markdown."""
    return in_markdown(samples(source)[0][index], f"test image {index}")


@models.stamped(st.cache_resource(max_entries=8, show_spinner=False))
def model(name: str) -> VAE:
    """A model that is available; shared by all sessions, so nobody may change it. Raises CoreError."""
    return core.load_model(models.folder(name))


@models.stamped(st.cache_data(max_entries=4, show_spinner=False))
def labels(names: tuple[str, ...]) -> dict[str, str]:
    """Models' names for people, no two the same: a list of choices tells them apart by these."""
    short = {name: _label(name) for name in names}
    often = Counter(short.values())
    return {name: text if often[text] == 1 else f"{text}, {name}" for name, text in short.items()}


def _label(name: str) -> str:
    """What the configuration says of the model; of one that is not shipped, where it is too."""
    try:
        config = load_config(models.folder(name))
        if session_models.is_brought(name):
            return own_text.brought(model_config(config, models.folder(name)).shape, name)
        if config["model"]["arch"] not in ARCHITECTURES:  # it would be shown as it is
            return name
        label = model_label(config["model"], config["training"])
    except (CoreError, KeyError, TypeError, ValueError):
        return name
    return f"{label}, {name}" if models.is_own(name) else label


def comparable(names: Sequence[str]) -> bool:
    """Whether the ELBOs of models have a common scale; yes if all but one of them cannot be read."""
    return len({kind.likelihood for kind in kinds(names).values()} - {""}) < 2


def evaluations() -> tuple[dict[str, Results], list[str]]:
    """The evaluations that there are by data set, MNIST's first, and what is wrong with those of others.
    Raises DataError where MNIST's cannot be read."""
    found, wrong = {results_files.MNIST: results()}, list[str]()
    for dataset, folder in results_files.folders().items():
        if dataset not in found and folder.is_dir():
            try:
                found[dataset] = results(dataset)
            except DataError as error:
                wrong.append(str(error))
    return found, wrong


def results(dataset: str = results_files.MNIST) -> Results:
    """The evaluation of all models of a data set; read again when its files change. Raises DataError."""
    return _results(dataset, _stamp(dataset))[0]


def changed(dataset: str) -> list[str]:
    """Shipped models that are not those that were evaluated."""
    return _results(dataset, _stamp(dataset))[1]


@st.cache_resource(max_entries=4, show_spinner=False)
def _results(dataset: str, stamp: Stamp) -> tuple[Results, list[str]]:
    found = results_files.read_results(results_files.folders()[dataset])
    if found.suite.dataset != dataset:
        raise DataError(f"The results in {found.folder} are of {found.suite.dataset}, not of {dataset}.")
    return found, results_files.changed(found)


def evaluated(found: Results) -> dict[str, str]:
    """The names for people of the models in an evaluation, of the constant decoder and of the ceiling."""
    limits = {DECODER: CONSTANT, CEILING: CEILING.capitalize()}
    return labels(tuple(entry.model for entry in found.entries)) | limits


def sample(dataset: str, name: str, kind: str) -> bytes:
    """A picture of a model of a data set as PNG, its pixels crisp. Raises DataError."""
    return _sample(dataset, name, kind, _stamp(dataset))


@st.cache_data(max_entries=64, show_spinner=False)
def _sample(dataset: str, name: str, kind: str, stamp: Stamp) -> bytes:
    pixels = results_files.read_sample(results(dataset), name, kind)
    return grey(pixels / 255, scale=max(1, SAMPLE_PIXELS // pixels.shape[1]))


def _stamp(dataset: str) -> Stamp:
    """Changes when the files of an evaluation do. As a parameter it has no leading _, which would keep it
    out of a cache's key."""
    folder = results_files.folders()[dataset]
    try:
        files = (*sorted(folder.glob("*.*")), *sorted(folder.glob("samples/*.png")))
        return str(folder), *((file.name, file.stat().st_mtime_ns) for file in files)
    except OSError:  # reading them will say what is wrong
        return (str(folder),)


@models.stamped(st.cache_data(max_entries=16, show_spinner=False))
def usual_threshold(name: str, source: Source = SHIPPED_IMAGES) -> float:
    """The 5 % quantile of the ELBO of clean test images, else of the source's, rounded down to whole nats:
    a threshold is what is printed of it, or "proved above" would say more than is proved."""
    metrics: Any = load_config(models.folder(name)).get("metrics")
    try:
        known = float(metrics["elbo_quantiles"]["0.05"])
    except (KeyError, TypeError, ValueError, OverflowError):
        known = math.nan
    if math.isfinite(known):
        return float(math.floor(known))
    x = images(source).x
    return float(math.floor(model_metrics(model(name), x, eps=0)["elbo_quantiles"]["0.05"]))


@cached(1000)
def explore(name: str, digit: Digit, settings: Settings, grid: tuple[float, ...], _show: Show) -> Result:
    """Attack and certify one image at every radius; from the cache if it was done before."""
    if (found := first_view.result(name, digit, settings, grid)) is not None:
        return found
    s = settings
    vae, x, noise = question(name, digit, s.proof)

    def work(tell: Tell) -> Result:
        curve = core.elbo_curve(
            vae,
            x,
            noise,
            grid,
            target=s.target,
            norm=s.norm,
            side=s.side,
            method=s.attack,
            steps=s.steps,
            restarts=s.restarts,
            seed=s.seed,
            progress=lambda done, total: tell(Now(done / total, f"attack, step {done} of {total}")),
        )
        scored = None if s.target == "likelihood" else x.expand(len(grid), -1, -1, -1)
        clean, attained = core.elbo(vae, x, noise), core.elbo(vae, curve.x_adv, noise, scored)
        return Result(
            curve=curve,
            image=pictures(x)[0],
            attacked=pictures(curve.x_adv),
            recon_image=_reconstruct(vae, x, noise)[0],
            recon_attacked=_reconstruct(vae, curve.x_adv, noise),
            clean=Terms(clean.recon.numpy(), clean.kl.numpy()),
            terms=Terms(attained.recon.numpy(), attained.kl.numpy()),
        )

    return run(work, _show, fast=True, model=name)


def known(name: str, label: str, colour: str, state: State, show: Show) -> Known:
    """What the explorer knows at once of a model; label: what people call it. Raises CoreError."""
    found = explore(name, state.digit, state.settings, state.grid, show)
    threshold = usual_threshold(name, state.source) if state.threshold is None else state.threshold
    return Known(name, found.curve, found, threshold, name=label, colour=colour)


def question(name: str, digit: Digit, settings: ProofSettings) -> tuple[VAE, torch.Tensor, torch.Tensor]:
    """A model, an image (1, C, H, W) and the noise draws (S, k)."""
    vae = model(name)
    return vae, digit.image(), settings.noise(vae)


def claim(name: str, digit: Digit, settings: ProofSettings, proof: Proof, states: str = "draws") -> str:
    """The certificate of a proof as a file, see core.claims.claim. No cache: it is called after the run."""
    return claim_of_proof(
        models.folder(name),
        digit.image(),
        proof,
        settings.threat(proof.eps),
        Draws(settings.draws, settings.seed),
        Guarantee(states, ALPHA, DELTA, SAMPLE, settings.seed),
    ).to_json()


@cached(500)
def opinion(name: str, digit: Digit, certificate: str, _show: Show) -> Opinion:
    """What a second program says of a certificate of that model and digit, see `core.claims.opinion`."""

    def work(tell: Tell) -> Opinion:
        tell(Now(0.0, "a second program checks the certificate"))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "certificate.json"
            path.write_text(certificate, encoding="utf-8")
            return second_opinion(path, models.folder(name), seconds=CHECK_SECONDS)

    return run(work, _show, model=name)


@torch.no_grad()
def _reconstruct(vae: VAE, x: torch.Tensor, noise: torch.Tensor) -> np.ndarray:
    """Expected images under the decoder, mean over the draws, as pictures (B, ...)."""
    z = reparameterise(*vae.encode(x), noise[:, None])
    mean = vae.likelihood.mean(vae.decode(z.flatten(0, 1)))
    return pictures(mean.unflatten(0, z.shape[:2]).mean(0))
