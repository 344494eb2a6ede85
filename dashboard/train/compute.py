"""A thin adapter around core: one visitor's training, on the images that are shipped."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import streamlit as st
import torch
from torch import Tensor

import core
from core.data.samples import levels
from core.evaluation.ceiling import highest_worst, share_of_way
from core.evaluation.epochs import Watch, Watched, watch_epochs
from core.training.baseline import fit_constant_decoder
from core.training.metrics import model_metrics
from core.training.resume import record
from core.training.settings import TrainSettings
from core.vae.config import VAEConfig
from core.vae.latent import reparameterise
from core.vae.likelihood import Bernoulli
from core.vae.model import VAE
from core.vae.threat import Threat
from dashboard.addresses.digit import images
from dashboard.addresses.kinds import USUAL_DATASET, shipped
from dashboard.addresses.train import STANDARD, Lecture
from dashboard.server.background import Now, Tell
from dashboard.server.long_runs import LongRun
from dashboard.shared.images import pictures

HELD_OUT = 5
"""Every fifth image is not trained on."""
SHOWN = 5
"""So many of these are shown."""
LATENT, BATCH, RATE = 8, 25, 5e-3
METHOD = "crown-ibp"
WARMUP, RAMP = 0.1, 0.5
"""Shares of the epochs: before eps leaves 0, and until it has grown."""


@dataclass(frozen=True)
class Snapshot:
    """An epoch as it is shown: mean ELBOs of the held-out images, nats; `rows` of pictures (4, SHOWN, H, W)
    of 256 grey levels: images, their reconstructions, attacked ones, and theirs."""

    epoch: int
    clean: float
    attained: float
    proved: float
    rows: np.ndarray


class Training(LongRun[Snapshot]):
    """A training with these settings. vae: the model of the last whole epoch, if there is one."""

    def __init__(self, asked: Lecture) -> None:
        self.asked = asked
        self.vae: VAE | None = None
        super().__init__(self._epochs)

    def _epochs(self, tell: Tell) -> Iterator[Snapshot]:
        x, held_out = split(self.asked.dataset)
        watch = Watch(held_out, self.asked.eps, method=METHOD)
        for seen in watch_epochs(settings(self.asked), x, watch, lambda what: tell(Now(0.0, what))):
            self.vae = seen.vae
            yield snapshot(seen, watch)

    def write(self, folder: Path) -> None:
        """Put the model into a folder, as `core.save_model` does, and what is known of its training; not
        the command, which would train on other images."""
        assert self.vae is not None
        learned = settings(self.asked)
        known = record(learned, len(self.items) - 1)["training"]
        known["images"] = f"the shipped test images but every {HELD_OUT}th, from image 0 on"
        metrics = model_metrics(self.vae, split(learned.dataset)[1], learned.eps)
        core.save_model(self.vae, folder, {"training": known, "metrics": metrics})

    def archive(self) -> bytes:
        """The folder as a zip file."""
        content = io.BytesIO()
        with TemporaryDirectory() as place, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
            folder = Path(place) / self.name
            self.write(folder)
            for path in sorted(folder.iterdir()):
                file.write(path, f"{self.name}/{path.name}")
        return content.getvalue()

    @property
    def name(self) -> str:
        """Of its folder."""
        asked = self.asked
        of = "" if asked.dataset == USUAL_DATASET else f"{asked.dataset}-"
        return f"lecture-{of}{asked.recipe}-{asked.eps:g}-seed-{asked.seed}-epoch-{len(self.items) - 1}"


def settings(asked: Lecture) -> TrainSettings:
    """What core trains with. Raises ConfigError."""
    plain = asked.recipe == STANDARD
    return TrainSettings(
        model=VAEConfig(latent=LATENT, widths=(asked.width,)),
        dataset=asked.dataset,
        eps=0.0 if plain else asked.eps,
        recipe=TrainSettings.recipe if plain else asked.recipe,
        epochs=asked.epochs,
        warmup=WARMUP * asked.epochs,
        ramp=RAMP * asked.epochs,
        batch=BATCH,
        lr=RATE,
        seed=asked.seed,
    )


def split(dataset: str) -> tuple[Tensor, Tensor]:
    """The images of a data set to learn from, and those that judge; they have nothing in common. Raises
    CoreError."""
    x = images(shipped(dataset)).x
    judges = torch.arange(len(x), dtype=torch.int64, device="cpu") % HELD_OUT == 0
    return x[~judges], x[judges]


@dataclass(frozen=True)
class Limits:
    """Between what a robust model of the images that judge can be, means of worst ELBOs, nats.

    constant  the constant decoder that is best for the images to learn from. ceiling: no model is above.
    """

    constant: float
    ceiling: float

    def share(self, proved: float) -> float:
        """How far that is on the way from the one to the other."""
        return share_of_way(proved, self.constant, self.ceiling)


@st.cache_data(max_entries=8, show_spinner=False)
def limits(dataset: str, eps: float) -> Limits:
    """The limits of a data set for that eps. Raises CoreError."""
    x, held_out = split(dataset)
    decoder = fit_constant_decoder(levels(x), Bernoulli(), eps)
    worst = decoder.lower(held_out.double(), eps, "likelihood")
    highest = highest_worst(Bernoulli(), held_out, Threat(eps))
    return Limits(worst.mean().item(), highest.mean().item())


def judges(dataset: str) -> np.ndarray:
    """The held-out images that are shown, as a row of pictures, see `Snapshot.rows`."""
    return _levels(split(dataset)[1][:SHOWN])


def classes(dataset: str) -> tuple[str, ...]:
    """What they are."""
    found = images(shipped(dataset))
    return tuple(found.name_of(index) for index in range(0, SHOWN * HELD_OUT, HELD_OUT))


def snapshot(seen: Watched, watch: Watch) -> Snapshot:
    """What is kept of an epoch: 16 kB."""
    x, attacked = watch.x[:SHOWN], seen.x_adv[:SHOWN]
    rows = [_levels(part) for x in (x, attacked) for part in (x, _reconstructed(seen, x))]
    means = (values.mean().item() for values in (seen.clean, seen.attained, seen.proved))
    return Snapshot(seen.report.epoch, *means, rows=np.stack(rows))


@torch.no_grad()
def _reconstructed(seen: Watched, x: Tensor) -> Tensor:
    """Expected images under the decoder, mean over the draws."""
    z = reparameterise(*seen.vae.encode(x), seen.noise[:, None])
    mean = seen.vae.likelihood.mean(seen.vae.decode(z.flatten(0, 1)))
    return mean.unflatten(0, z.shape[:2]).mean(0)


def _levels(x: Tensor) -> np.ndarray:
    return np.round(pictures(x) * 255).astype(np.uint8)
