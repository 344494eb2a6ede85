"""Rows of clean, attacked and certified ELBO: one per model, image, eps and target."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, TextIO, TypeVar

import torch
from torch import Tensor

from core.attacks import Search, find_worst
from core.certificates.methods import Effort
from core.certificates.prove import prove
from core.data.files import check_file, open_stream, streams, writing
from core.device import find_device
from core.errors import InputError
from core.evaluation.ceiling import highest_worst
from core.isolation import isolated_steps
from core.training.baseline import fit_constant_decoder
from core.vae.checkpoint import find_model, load_model
from core.vae.elbo import elbo, sample_noise
from core.vae.likelihood import Likelihood
from core.vae.model import VAE
from core.vae.threat import Threat
from core.vae.validate import TARGETS, check_images, check_labels

CONSTANT = "constant-decoder"
BATCH = 250


@dataclass(frozen=True)
class Row:
    """One image under one threat. ELBOs in nats, mean over `draws` draws made with `seed`.

    attack, certificate  the methods; "closed-form" for the constant decoder, where both are exact.
    certified            proved lower bound for these draws, -inf where vacuous.
    seconds              wall time of attack and certificate, shared evenly by the images of a batch.
    ceiling              no model with this likelihood stays above it, see `core.ceiling`: a limit, and not
                         proved of this one; inf where densities have no maximum.
    """

    model: str
    image: int
    label: int
    eps: float
    target: str
    draws: int
    seed: int
    clean: float
    attack: str
    attacked: float
    certificate: str
    certified: float
    seconds: float
    ceiling: float = math.inf


@isolated_steps
def evaluate(
    models: Sequence[str | Path],
    x: Tensor,
    y: Tensor,
    *,
    eps: Sequence[float],
    targets: Sequence[str] = TARGETS,
    draws: int = 1,
    seed: int = 0,
    attack: str = "pgd",
    steps: int = 40,
    restarts: int = 1,
    certificate: str = "ibp",
    levels: Tensor | None = None,
    device: str = "cpu",
) -> Iterator[Row]:
    """Evaluate models, one after the other, on images x (N, C, H, W) with labels y (N,).

    Rows come as they are computed: for every model, target and eps, all images in order. With
    `levels` (the training set's histogram, see core.data.samples.load_levels) every likelihood among the
    models gets rows of the constant decoder that was fitted for that eps and target. device is "cpu" or
    "cuda".

    What is named twice, a model, an eps or a target, is evaluated once.

    Raises the errors of `load_model`, `attack` and `certify`, all models being loaded first; InputError for
    labels that are not one an image.

    >>> x, y = core.load_samples("mnist")
    >>> rows = core.evaluate(["mnist-mlp-robust-0.1"], x[:2], y[:2], eps=[0.05], steps=10)
    >>> all(row.certified <= row.attacked <= row.clean for row in rows)
    True
    """
    check_labels(x, y)
    models = _each_once(models)
    if getattr(eps, "ndim", 1) != 1 or not isinstance(eps, Iterable) or isinstance(targets, str):
        raise InputError("eps and targets are lists: eps=[0.1], targets=['likelihood'].")
    eps = tuple(dict.fromkeys(radius + 0.0 if isinstance(radius, float) else radius for radius in eps))
    targets = tuple(dict.fromkeys(targets))
    short = [Path(name).name for name in models]
    named = [n if short.count(n) == 1 else str(name) for n, name in zip(short, models, strict=True)]
    place = find_device(device)
    loaded = {key: load_model(name).to(place) for key, name in zip(named, models, strict=True)}
    for vae in loaded.values():
        check_images(vae, x)
    common, search = {"draws": draws, "seed": seed}, Search(attack, steps, restarts, seed)
    if levels is not None:
        for likelihood in {_likelihood_name(vae): vae.likelihood for vae in loaded.values()}.items():
            yield from _constant_rows(likelihood, x, y, levels, eps, targets, common)
    for name, vae in loaded.items():
        noise = sample_noise(vae, draws, seed)
        # In the attack's own batches: another batch size changes the last bits of a score.
        clean = torch.cat([elbo(vae, part, noise).total for part in x.split(BATCH)])
        for target, radius, start in product(targets, eps, range(0, len(x), BATCH)):
            part = slice(start, start + BATCH)
            began = time.perf_counter()
            threat = Threat(radius, target)
            found = find_worst(vae, x[part], noise, threat, search)
            proved = prove(vae, x[part], noise, threat, Effort(certificate))
            seconds = (time.perf_counter() - began) / len(x[part])
            asked = {"model": name, "eps": radius, "target": target, "seconds": seconds} | common
            methods = {"attack": attack, "certificate": certificate}
            top = highest_worst(vae.likelihood, x[part], threat)
            yield from _rows(start, y[part], clean[part], found.elbo, proved.lower, top, **asked, **methods)


def _likelihood_name(vae: VAE) -> str:
    return vae.config.likelihood + "-learned" * vae.config.learned_variance


def _each_once(models: Sequence[str | Path]) -> list[str | Path]:
    """The models by the first name that each is given."""
    if isinstance(models, str | Path):
        raise InputError(f"models is {str(models)!r}; give a list of names or folders.")
    names: dict[Path, str | Path] = {}
    for name in models:
        names.setdefault(find_model(name).resolve(), name)
    return list(names.values())


def _constant_rows(
    likelihood: tuple[str, Likelihood],
    x: Tensor,
    y: Tensor,
    levels: Tensor,
    eps: Sequence[float],
    targets: Sequence[str],
    common: dict[str, Any],
) -> Iterator[Row]:
    name, kind = likelihood
    exact = x.double()
    for target, radius in product(targets, eps):
        began = time.perf_counter()
        constant = fit_constant_decoder(levels, kind, radius, target)
        clean, worst = constant.elbo(exact), constant.lower(exact, radius, target)
        seconds = (time.perf_counter() - began) / len(x)
        threat = {"model": f"{CONSTANT}-{name}", "eps": radius, "target": target, "seconds": seconds}
        methods = {"attack": "closed-form", "certificate": "closed-form"}
        top = highest_worst(kind, x, Threat(radius, target))
        yield from _rows(0, y, clean, worst, worst, top, **threat, **common, **methods)


def _rows(
    start: int, y: Tensor, clean: Tensor, attacked: Tensor, certified: Tensor, ceiling: Tensor, **same: Any
) -> Iterator[Row]:
    """One row per image, the first being image `start`; `same` is what they share."""
    found = (clean, attacked, certified, ceiling)
    columns = zip(y.tolist(), *(values.tolist() for values in found), strict=True)
    for image, (label, *values) in enumerate(columns, start):
        yield Row(
            image=image,
            label=label,
            **dict(zip(("clean", "attacked", "certified", "ceiling"), values, strict=True)),
            **same,
        )


Line = TypeVar("Line", "Row", "Summary")


def write_rows(rows: Iterable[Line], path: Path | str, kind: type[Line]) -> Iterator[Line]:
    """Write each row (or summary) to a CSV file as it passes, flushed; yields it on.

    A file that is there is kept until there is a first row: a mistyped option empties nothing.

    Raises OutputError if the file cannot be written.
    """
    check_file(path)
    with writing(path), _growing(path) as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        for index, row in enumerate(rows):
            if index == 0:
                if not streams(path):
                    file.truncate(0)
                writer.writeheader()
            writer.writerow(asdict(row))
            file.flush()
            yield row


@contextmanager
def _growing(path: Path | str) -> Iterator[TextIO]:
    """Text that is added to a file, or to a stream."""
    if streams(path):
        with open_stream(path) as stream:
            file = io.TextIOWrapper(stream, "utf-8", "backslashreplace", newline="", write_through=True)
            yield file
            file.detach()
    else:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("a", newline="", encoding="utf-8", errors="backslashreplace") as file:
            yield file


@dataclass(frozen=True)
class Summary:
    """Means over the images of one (model, target, eps), in nats. `vacuous` counts the images
    without a bound; certified is -inf if there is one, the ceiling inf if an image has none."""

    model: str
    target: str
    eps: float
    images: int
    clean: float
    attacked: float
    certified: float
    vacuous: int
    ceiling: float = math.inf


def summarise(rows: Iterable[Row]) -> list[Summary]:
    """Group rows by model, target and eps, in order of appearance."""
    groups: dict[tuple[str, str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.model, row.target, row.eps), []).append(row)
    return [
        Summary(
            *key,
            images=len(group),
            clean=fmean(row.clean for row in group),
            attacked=fmean(row.attacked for row in group),
            certified=fmean(row.certified for row in group),
            vacuous=sum(row.certified == -torch.inf for row in group),
            ceiling=fmean(row.ceiling for row in group),
        )
        for key, group in groups.items()
    ]
