"""Thin adapters around core.inspect_layers, with caches; tensors become arrays here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch

import core
from core.certificates.elbo_bounds.layer_bounds import LayerName
from core.errors import CoreError
from core.inspection import METHODS, Inspection, Layer, Terms, Units, layer_names
from dashboard.addresses.digit import Digit, cached
from dashboard.addresses.inspect import Layout, Question
from dashboard.addresses.models import stamped
from dashboard.server.background import Now, Show, Tell, run
from dashboard.shared.compute import model, samples

STEPS, SAMPLES, ITERATIONS = 40, 16, 50
"""Of the attack, of the ball, of alpha-CROWN: as on the explorer, as far as it has them."""
EACH = 4
"""Digits of each class in the latent plane."""


@dataclass(frozen=True)
class Seen:
    """One layer as arrays, D = 1 row before z and a row a draw from there on.

    key        of the URL. name, kind: as in core.inspection.Layer.
    lower, upper  method -> (D, ...), infinite where there is no end.
    clean, attacked  (D, ...). sampled (N, D, ...), for vectors only: pictures do not show them.
    widths     method -> mean width. reached: mean spread of the values seen.
    """

    key: str
    name: LayerName
    kind: str
    lower: Mapping[str, np.ndarray]
    upper: Mapping[str, np.ndarray]
    clean: np.ndarray
    attacked: np.ndarray
    sampled: np.ndarray
    widths: Mapping[str, float]
    reached: float
    units: Mapping[str, Units]

    @property
    def flat(self) -> bool:
        """Whether it is a vector, not maps."""
        return self.clean.ndim == 2


@dataclass(frozen=True)
class Lost:
    """A linear bound, its own worst image's ELBO, and what lies between by relaxation; nats.

    vacuous  the bound says nothing; its parts still have shares.
    """

    method: str
    proved: float
    elbo: float
    parts: Mapping[str, float]
    vacuous: bool


@dataclass(frozen=True)
class View:
    """All that the page shows of one image. Path: mu, logvar (T, k), the best of them at `best`."""

    layers: tuple[Seen, ...]
    clean: Terms
    attained: Terms
    separate: Mapping[str, Terms]
    vacuous: Mapping[str, bool]
    losses: tuple[Lost, ...]
    mu: np.ndarray
    logvar: np.ndarray
    best: int

    def layer(self, key: str) -> Seen:
        return next((layer for layer in self.layers if layer.key == key), self.layers[0])


@dataclass(frozen=True)
class Posteriors:
    """Of some shipped digits: mu, std (N, k), labels and positions (N,)."""

    mu: np.ndarray
    std: np.ndarray
    labels: np.ndarray
    index: np.ndarray


@cached(16)
def inspect(name: str, digit: Digit, question: Question, _show: Show) -> View:
    """Look at one image; from the cache if it was done before."""
    vae, q = model(name), question

    def work(tell: Tell) -> View:
        found = core.inspect_layers(
            vae,
            digit.image(),
            core.sample_noise(vae, q.draws, q.seed),
            eps=q.eps,
            target=q.target,
            norm=q.norm,
            steps=STEPS,
            samples=SAMPLES,
            iterations=ITERATIONS,
            seed=q.seed,
            progress=lambda done, total: tell(Now(done / total, f"step {done} of {total}")),
        )
        return _arrays(found, vae.likelihood.floor(vae.config.pixels))

    return run(work, _show, model=name)


def layout(name: str) -> Layout:
    """What the page can show of a model; nothing where the model cannot be read."""
    try:
        return _layout(name)
    except CoreError:
        return Layout(0, ())


@stamped(st.cache_data(max_entries=16, show_spinner=False))
def _layout(name: str) -> Layout:
    vae = model(name)
    return Layout(vae.config.latent, tuple(_key(*layer) for layer in layer_names(vae)))


@stamped(st.cache_data(max_entries=16, show_spinner=False))
def posteriors(name: str) -> Posteriors:
    """The first digits of each class as the model's encoder sees them."""
    images, labels = samples()
    index = np.sort(np.concatenate([np.flatnonzero(labels == label)[:EACH] for label in range(10)]))
    with torch.no_grad():
        mu, logvar = model(name).encode(torch.from_numpy(images[index])[:, None])
    return Posteriors(mu.numpy(), (logvar / 2).exp().numpy(), labels[index], index)


def _arrays(found: Inspection, floor: float) -> View:
    path = found.path
    return View(
        layers=tuple(map(_seen, found.layers)),
        clean=found.clean,
        attained=found.attained,
        separate=found.separate,
        vacuous=found.vacuous,
        losses=tuple(Lost(x.method, x.proved, x.elbo, x.parts, x.proved < floor) for x in found.losses),
        mu=_array(path.mu),
        logvar=_array(path.logvar),
        best=path.best,
    )


def _seen(layer: Layer) -> Seen:
    flat = layer.clean.ndim == 2
    return Seen(
        key=_key(layer.name, layer.kind),
        name=layer.name,
        kind=layer.kind,
        lower={method: _array(layer.bounds[method].lower) for method in METHODS},
        upper={method: _array(layer.bounds[method].upper) for method in METHODS},
        clean=_array(layer.clean),
        attacked=_array(layer.attacked),
        sampled=_array(layer.sampled if flat else layer.sampled[:0]),
        widths={method: layer.width(method) for method in METHODS},
        reached=layer.reached,
        units=layer.units,
    )


def _key(name: LayerName, kind: str) -> str:
    """ "encoder 1 Linear" -> "encoder-1"; what every model has is called by its kind."""
    return f"{name.part}-{name.place}" if kind in ("affine", "relu") else kind


def _array(values: torch.Tensor) -> np.ndarray:
    """For display: float32; what is larger than that has no end."""
    return values.float().numpy()
