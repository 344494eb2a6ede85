"""One job: a block of images of one model under one threat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.attacks import attack
from core.certificates.certificate import Certificate, conclude
from core.certificates.prove import certify
from core.device import find_device
from core.errors import CheckpointError
from core.evaluation.suite.plan import Job, Suite, SuiteModel, weights_digest
from core.vae.checkpoint import load_model
from core.vae.elbo import elbo, sample_noise
from core.vae.model import VAE

Values = dict[str, list[float]]
"""Columns of a job, a value an image, -inf where vacuous. What was not computed is absent."""


@dataclass(frozen=True)
class Images:
    """What a job looks at: its block of images, and the first images of all, (B, C, H, W) each."""

    block: np.ndarray
    first: np.ndarray


class Worker:
    """Computes jobs; on the CPU the same job gives the same bits in every process, with one thread.

    Keeps the model of its last job, and what the first images say of certificates.
    """

    def __init__(self, suite: Suite, entries: dict[str, SuiteModel], device: str) -> None:
        self._suite, self._entries, self._device = suite, entries, find_device(device)
        self._loaded: tuple[str, VAE] | None = None
        self._says: dict[tuple[Job, str], bool] = {}
        self._gained: dict[Job, bool] = {}

    def compute(self, job: Job, images: Images) -> Values:
        """Raises CheckpointError or ModelNotFoundError if the model is gone or was changed."""
        vae, x, first = self._model(job.model), _tensor(images.block), _tensor(images.first)
        if job.kind == "clean":
            found = elbo(vae, x, self._noise(vae))
            columns = {"clean": found.total, "recon": found.recon, "kl": found.kl}
        elif job.kind == "full":
            columns = {"attacked_pgd": self._attacked(vae, x, job, "pgd", self._suite.steps)}
            linear = self._says_anything(vae, first, job, "crown-ibp")
            proved = self._proved(vae, x, job, "crown-ibp" if linear else "ibp")
            floor = vae.likelihood.floor(vae.config.pixels)
            columns["certified_ibp"] = conclude(proved.by_method["ibp"], "lower", floor)[0]
            if linear:
                columns["certified_crown-ibp"] = proved.lower
        elif job.kind == "own":
            gains = self._gains(vae, first, job)
            columns = (
                {"certified_alpha-crown_all": self._proved(vae, x, job, "alpha-crown").lower}
                if gains
                else {}
            )
        else:
            columns = {"attacked_strongest": self._attacked(vae, x, job, "strongest", self._suite.effort)}
            if self._says_anything(vae, first, job, "alpha-crown"):
                columns["certified_alpha-crown"] = self._proved(vae, x, job, "alpha-crown").lower
        return {name: column.tolist() for name, column in columns.items()}

    def _says_anything(self, vae: VAE, first: Tensor, job: Job, method: str) -> bool:
        """Whether a certificate bounds any of the first images of all: one answer for all blocks."""
        key = (job._replace(kind="", start=0), method)
        if key not in self._says:
            proved = self._proved(vae, first[: self._suite.probes[method]], job, method)
            self._says[key] = not bool(proved.vacuous.all())
        return self._says[key]

    def _gains(self, vae: VAE, first: Tensor, job: Job) -> bool:
        """Whether alpha-crown proves so much more than crown-ibp on the first images that all get it."""
        key = job._replace(start=0)
        if key not in self._gained:
            tight, fast = (self._proved(vae, first, job, m).lower for m in ("alpha-crown", "crown-ibp"))
            gain = tight.mean() - fast.mean()  # NaN where both are vacuous
            self._gained[key] = bool(tight.isfinite().all() and gain >= self._suite.gain)
        return self._gained[key]

    def _attacked(self, vae: VAE, x: Tensor, job: Job, method: str, steps: int) -> Tensor:
        noise, seed = self._noise(vae), self._suite.seed
        threat = {"eps": job.eps, "target": job.target}
        return attack(vae, x, noise, **threat, method=method, steps=steps, seed=seed).elbo

    def _proved(self, vae: VAE, x: Tensor, job: Job, method: str) -> Certificate:
        noise, iterations = self._noise(vae), self._suite.iterations
        threat = {"eps": job.eps, "target": job.target}
        return certify(vae, x, noise, **threat, method=method, iterations=iterations)

    def _noise(self, vae: VAE) -> Tensor:
        return sample_noise(vae, self._suite.draws, self._suite.seed)

    def _model(self, name: str) -> VAE:
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = name, load_entry(self._entries[name]).to(self._device)
        return self._loaded[1]


def load_entry(entry: SuiteModel) -> VAE:
    """The model that the plan was made for. Raises CheckpointError if it has other weights by now."""
    if weights_digest(entry.folder) != entry.digest:
        raise CheckpointError(f"{entry.folder} was changed while it was evaluated.")
    return load_model(entry.folder)


def _tensor(images: np.ndarray) -> Tensor:
    # A copy lies in memory as in every other process, on which the last bits may depend.
    return torch.from_numpy(images).clone()
