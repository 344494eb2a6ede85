"""What a suite computes, cut into jobs that can be done in any order by any process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.errors import CheckpointError, InputError
from core.vae.checkpoint import WEIGHTS, find_model, load_config, load_model
from core.vae.validate import TARGETS, check_images, check_labels

FORMAT = 1
COLUMNS = {
    "clean": ("clean", "recon", "kl"),
    "full": ("attacked_pgd", "certified_ibp", "certified_crown-ibp"),
    "subset": ("attacked_strongest", "certified_alpha-crown"),
    "own": ("certified_alpha-crown_all",),
}
"""What jobs of a kind yield: one value an image, in nats. `recon` and `kl` are the two terms of `clean`;
a name is quantity_method, and ends in "_all" where the method has another column on the first images."""

# CPU seconds an image of the shipped models, one thread; for progress only.
_COSTS = {
    "mlp": {"clean": 0.0001, "full": 0.0026, "subset": 0.45, "own": 0.05},
    "conv": {"clean": 0.0004, "full": 0.0047, "subset": 0.75, "own": 0.15},
}
_TRAINING = ("recipe", "eps", "target", "kappa")


@dataclass(frozen=True)
class Suite:
    """Everything that decides what is computed of a model and some images, and in which batches.

    eps         l_inf radii; the clean ELBO, radius 0, comes with them.
    steps       of pgd, on all images.
    subset      how many of the first images the attack `strongest` and the certificate alpha-crown get.
    effort      steps of `strongest`, each 25 gradients. iterations: of alpha-crown.
    block       images a job for all images, subset_block for the subset. They belong to the result: another
                batch size changes the last bits.
    probes      a certificate that is vacuous on that many first images is not computed on the others.
    gain        alpha-crown is computed on all images of a model under the threat that it was trained for if
                its mean over the first images is above crown-ibp's by that many nats at least. Models whose
                training gave the bound a small share of the loss are not seen by crown-ibp alone.
    """

    name: str = "paper"
    eps: tuple[float, ...] = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
    targets: tuple[str, ...] = TARGETS
    draws: int = 1
    seed: int = 0
    steps: int = 10
    subset: int = 40
    effort: int = 40
    iterations: int = 20
    block: int = 250
    subset_block: int = 10
    probes: Mapping[str, int] = field(default_factory=lambda: {"crown-ibp": 16, "alpha-crown": 2})
    gain: float = 10.0


SUITES = {"paper": Suite()}


class Data(NamedTuple):
    """Images x (N, C, H, W), labels y (N,), and the histogram of the training set, see `load_levels`."""

    x: Tensor
    y: Tensor
    levels: Tensor


class Job(NamedTuple):
    """One block of images of one model; `start` is the first. The kinds are those of COLUMNS."""

    model: str
    target: str
    eps: float
    kind: str
    start: int


@dataclass(frozen=True)
class SuiteModel:
    """A model: its weights' sha256, its VAEConfig as a dict, what config.json says of its training."""

    name: str
    folder: Path
    digest: str
    config: dict[str, Any]
    training: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """A suite for given models and images. `jobs` maps every job to its number of images, in order.

    header  what a log has to begin with to belong to this plan. device: see `find_device`.
    """

    suite: Suite
    device: str
    dataset: str
    entries: dict[str, SuiteModel]
    images: int
    header: dict[str, Any]
    jobs: dict[Job, int]

    @property
    def subset(self) -> int:
        return min(self.suite.subset, self.images)

    def cost(self, job: Job) -> float:
        """About how many CPU seconds a job takes."""
        return _COSTS[self.entries[job.model].config["arch"]][job.kind] * self.jobs[job]


def make_plan(
    models: Sequence[str | Path], x: Tensor, y: Tensor, suite: Suite, dataset: str, device: str = "cpu"
) -> Plan:
    """Raises the errors of `load_model`, InputError for images that a model cannot take."""
    check_labels(x, y)
    entries: dict[str, SuiteModel] = {}
    for model in models:
        entry = _entry(model, x)
        if entries.get(entry.name, entry).folder != entry.folder:
            raise InputError(f"Two models are called {entry.name}; rename one of the folders.")
        entries[entry.name] = entry
    pixels = hashlib.sha256(x.numpy().tobytes() + y.numpy().tobytes()).hexdigest()
    header = {
        "format": FORMAT,
        "suite": asdict(suite),
        "images": {"dataset": dataset, "count": len(x), "sha256": pixels},
        "models": {entry.name: {"sha256": entry.digest, **entry.config} for entry in entries.values()},
        "machine": {"torch": torch.__version__, "device": device},
    }
    jobs = _jobs(entries.values(), suite, len(x))
    return Plan(suite, device, dataset, entries, len(x), json.loads(json.dumps(header)), jobs)


def _entry(model: str | Path, x: Tensor) -> SuiteModel:
    folder = find_model(model).resolve()
    config = load_config(folder)
    check_images(load_model(folder), x)
    training = config.get("training")
    if not isinstance(training, dict) or not all(key in training for key in _TRAINING):
        raise CheckpointError(
            f"{folder} does not say in its config.json how it was trained ({', '.join(_TRAINING)}); "
            "train it with this version, or leave it out."
        )
    return SuiteModel(folder.name, folder, weights_digest(folder), config["model"], training)


def weights_digest(folder: Path) -> str:
    """sha256 of a model's weights. Raises CheckpointError if they cannot be read."""
    try:
        return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"{folder / WEIGHTS} cannot be read ({error.strerror}).") from error


def _jobs(models: Iterable[SuiteModel], suite: Suite, images: int) -> dict[Job, int]:
    blocks = {
        "clean": (images, suite.block),
        "full": (images, suite.block),
        "subset": (min(suite.subset, images), suite.subset_block),
        "own": (images, suite.block),
    }
    jobs: dict[Job, int] = {}
    for model in models:
        threats = [("", 0.0, "clean"), *product(suite.targets, suite.eps, ("full", "subset"))]
        own = model.training["target"], model.training["eps"]
        if own in product(suite.targets, suite.eps) and images > suite.subset:
            threats.append((*own, "own"))
        for target, eps, kind in threats:
            count, size = blocks[kind]
            for start in range(0, count, size):
                jobs[Job(model.name, target, eps, kind, start)] = min(size, count - start)
    return jobs
