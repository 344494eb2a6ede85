"""Thin adapters around core.inspect_layers, with caches; tensors become arrays here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch

import core
from core.certificates.elbo_bounds.layer_bounds import LayerName
from core.errors import CoreError
from core.inspection import (
    LIKELIHOOD,
    METHODS,
    Inspection,
    Layer,
    Terms,
    Units,
    layer_names,
    some_values,
    unit_counts,
)
from dashboard.addresses.digit import Digit, cached, images
from dashboard.addresses.inspect import Layout, Question
from dashboard.addresses.kinds import Source
from dashboard.addresses.models import stamped
from dashboard.inspector import bends
from dashboard.inspector.bends import Bend, Unit
from dashboard.server.background import Now, Show, Tell, run
from dashboard.shared.compute import model

STEPS, SAMPLES, ITERATIONS = 40, 16, 50
"""Of the attack, of the ball, of alpha-CROWN: as on the explorer, as far as it has them."""
EACH, MOST_OTHERS = 4, 40
"""Images of each class in the latent plane, and of all together."""


@dataclass(frozen=True)
class Seen:
    """One layer as arrays, D = 1 row before z and a row a draw from there on.

    key        of the URL. name, kind: as in core.inspection.Layer.
    lower, upper  method -> (D, ...), infinite where there is no end.
    clean, attacked  (D, ...). sampled (N, D, ...), for vectors only: pictures do not show them.
    widths     method -> mean width; took: the same of what it takes, 0 for the input. reached: mean spread
               of the values seen.
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
    took: Mapping[str, float]
    op: str = ""

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
    bends: tuple[Bend, ...] = ()

    def layer(self, key: str) -> Seen:
        """The layer of a key; of the likelihood what it scores."""
        natural = next((layer for layer in self.layers if layer.kind == "natural"), self.layers[0])
        return next((layer for layer in self.layers if layer.key == key), natural)

    def costliest(self, method: str) -> str:
        """The layer whose lines cost this bound most, the likelihood aside; "mu" where there is none."""
        inside = [bend for bend in self.bends if bend.key != LIKELIHOOD and method in bend.by]
        return max(inside, key=lambda bend: bend.by[method].total).key if inside else "mu"

    def bend(self, key: str) -> Bend | None:
        """What is not linear at a layer, or comes next after it."""
        bent = {bend.key: bend for bend in self.bends}
        return bent.get(_leads([layer.key for layer in self.layers], bent).get(key, ""))


def _leads(layers: Sequence[str], bent: Iterable[str]) -> dict[str, str]:
    """Layer -> itself if it is bent, else the next one that is; the likelihood is the last of them."""
    order, known = [*layers, LIKELIHOOD], {*bent}
    return {
        key: next((later for later in order[place:] if later in known), "")
        for place, key in enumerate(order)
    }


@dataclass(frozen=True)
class Posteriors:
    """Of some images: mu, std (N, k), labels and positions (N,); the names of the classes, if any."""

    mu: np.ndarray
    std: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    classes: tuple[str, ...] = tuple("0123456789")

    def mark(self, place: int) -> str:
        """What stands for an image in the plane: its class in short, else its number."""
        if not self.classes:
            return str(self.index[place])
        name = self.classes[self.labels[place]]
        return name if len(name) <= 4 else f"{name[:3]}."

    def called(self, place: int) -> str:
        """The same in full."""
        said = f"test image {self.index[place]}"
        name = self.classes[self.labels[place]] if self.classes else ""
        return f"{said}, {'a ' if name.isdigit() else ''}{name}" if name else said


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
    counts = {bends.key_of(bend): count for bend, count in unit_counts(vae, some_values(vae)).items()}
    leads = _leads([_key(*layer) for layer in layer_names(vae)], counts)
    return Layout(vae.config.latent, tuple(leads), tuple(counts.get(lead, 0) for lead in leads.values()))


def unit(name: str, bend: Bend, method: str, row: int, at: int) -> Unit:
    """One unit of a model, with its function drawn."""
    return bends.unit(model(name), bend, method, row, at)


@stamped(st.cache_data(max_entries=16, show_spinner=False))
def posteriors(name: str, source: Source) -> Posteriors:
    """The first images of each class, or of all, as the model's encoder sees them."""
    found = images(source)
    labels, each = found.y.numpy(), EACH if found.classes else MOST_OTHERS
    index = np.concatenate([np.flatnonzero(labels == label)[:each] for label in np.unique(labels)])
    index = np.sort(index)[:MOST_OTHERS]
    with torch.no_grad():
        mu, logvar = model(name).encode(found.x[index])
    return Posteriors(mu.numpy(), (logvar / 2).exp().numpy(), labels[index], index, found.classes)


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
        bends=bends.bends_of(found.losses, found.taken),
    )


def _seen(layer: Layer) -> Seen:
    pictured = layer.clean.ndim == 4 and layer.clean[0, 0].numel() > 1

    def shown(values: torch.Tensor, rows: int = 1) -> np.ndarray:
        return _array(values if pictured else values.flatten(rows))

    return Seen(
        key=_key(layer.name, layer.kind),
        name=layer.name,
        kind=layer.kind,
        lower={method: shown(layer.bounds[method].lower) for method in METHODS},
        upper={method: shown(layer.bounds[method].upper) for method in METHODS},
        clean=shown(layer.clean),
        attacked=shown(layer.attacked),
        sampled=shown(layer.sampled[:0] if pictured else layer.sampled, 2),
        widths={method: layer.width(method) for method in METHODS},
        reached=layer.reached,
        units=layer.units,
        took=layer.took,
        op=layer.op,
    )


def _key(name: LayerName, kind: str) -> str:
    """ "encoder 1 Linear" -> "encoder-1"; what every model has is called by its kind."""
    return f"{name.part}-{name.place}" if kind in ("affine", "relu", "curve") else kind


def _array(values: torch.Tensor) -> np.ndarray:
    """For display: float32; what is larger than that has no end."""
    return values.float().numpy()
