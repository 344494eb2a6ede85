"""A small evaluation as the suite writes it, with made-up numbers of plausible size."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

HEADER = "model,target,eps,quantity,method,images,draws,mean,low,high,vacuous"
TABLE_HEADER = (
    "model,arch,likelihood,latent,recipe,eps,target,kappa,parameters,active_units,clean,recon,kl,constant"
)
RADII = (0.0, 0.01, 0.05, 0.1, 0.2)
IMAGES, SUBSET = 1000, 50
FAR = 0.05
"""Beyond this eps the linear certificate of a model without a proof in its training is not computed."""
TARGETS = ("likelihood", "reconstruction")


class Made(NamedTuple):
    """One model and how it was trained."""

    name: str
    recipe: str = "plain"
    eps: float = 0.0
    target: str = "likelihood"

    @property
    def likelihood(self) -> str:
        return "gaussian" if "gaussian" in self.name else "bernoulli"


MODELS = (
    Made("mnist-mlp-standard"),
    Made("mnist-mlp-robust-0.1", "ibp", 0.1),
    Made("mnist-mlp-robust-rec-0.1", "ibp", 0.1, "reconstruction"),
    Made("mnist-conv-adversarial-0.1", "adversarial", 0.1),
    Made("mnist-conv-beta-4", "beta"),
    Made("mnist-conv-gaussian-standard"),
)


def write_results(
    folder: Path,
    models: Sequence[Made] = MODELS,
    radii: Sequence[float] = RADII,
    images: int = IMAGES,
    weights: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Fill a folder with the files of an evaluation; returns it."""
    (folder / "samples").mkdir(parents=True)
    suite = {"format": 1, "command": "python -m some.suite --data data\npython -m some.table"}
    suite |= {"dataset": "mnist", "images": images, "subset": SUBSET, "draws": 1, "seed": 0}
    suite["not_computed"] = [
        {
            "model": m.name,
            "target": target,
            "method": "crown-ibp",
            "eps": [eps for eps in radii if eps > FAR],
        }
        for m in models
        for target in TARGETS
        if m.recipe != "ibp"
    ]
    suite |= {"weights": {m.name: "0" * 64 for m in models} | dict(weights), "versions": {"torch": "2"}}
    (folder / "suite.json").write_text(json.dumps(suite))
    rows = [row for model in models for row in _rows(model, radii, images)]
    for likelihood in {model.likelihood for model in models}:
        rows += _constant(likelihood, radii, images)
    (folder / "summary.csv").write_text("\n".join((HEADER, *rows, "")))
    (folder / "models.csv").write_text("\n".join((TABLE_HEADER, *map(_entry, models), "")))
    for model in models:
        _picture(folder / "samples" / f"{model.name}-prior.png", 2, 3)
        _picture(folder / "samples" / f"{model.name}-reconstructions.png", 4, 3)
    return folder


def _entry(model: Made) -> str:
    arch, kappa = _arch(model), 0.5 if model.recipe == "ibp" else ""
    clean = _clean(model)
    numbers = f"{kappa},1000000,{7 if model.eps else 16},{clean},{clean + 10},10.0,{_worst(model)}"
    return f"{model.name},{arch},{model.likelihood},16,{model.recipe},{model.eps},{model.target},{numbers}"


def _arch(model: Made) -> str:
    return model.name.split("-")[1]


def _clean(model: Made) -> float:
    if model.likelihood == "gaussian":
        return 1500.0 - 3000 * model.eps
    drop = {"reconstruction": 400.0, "likelihood": 900.0}[model.target]
    share = 1.0 if model.recipe == "ibp" else 0.4
    return (
        -98.0 - share * drop * model.eps - (20.0 if "beta" in model.name else 0.0) + 4 * len(_arch(model))
    )


def _worst(model: Made) -> float:
    return _constant_at(model.likelihood, model.target, model.eps)


def _rows(model: Made, radii: Sequence[float], images: int) -> Iterator[str]:
    for target in TARGETS:
        for eps in radii:
            clean = _clean(model)
            # Robust models lose little, if it is what they were trained for.
            trained = model.eps > 0 and model.target == target
            steep = {"likelihood": (1450.0, 6600.0), "reconstruction": (60.0, 1800.0)}[target]
            steepness = steep[0 if trained else 1] * (1.0 if model.recipe == "ibp" or not trained else 1.5)
            attacked = clean - steepness * eps - 500 * max(0.0, eps - model.eps) * eps
            proved = attacked - 150 * eps - 20_000 * max(0.0, eps - model.eps) ** 2
            vacuous = model.recipe != "ibp"
            threat = f"{model.name},{target},{eps}"
            for over in (images, SUBSET):
                yield _line(threat, "clean", "", over, clean)
            if eps == 0:
                continue
            yield _line(threat, "certified", "ibp", images, -math.inf if vacuous else proved)
            yield _line(threat, "attacked", "pgd", images, attacked)
            yield _line(threat, "attacked", "strongest", SUBSET, attacked - 20 * eps)
            if not vacuous or eps <= FAR:
                yield _line(
                    threat, "certified", "crown-ibp", images, proved + 50 * eps - 8e4 * vacuous * eps
                )
            tight = attacked - 30 * eps - 4e4 * vacuous * eps**2
            yield _line(threat, "certified", "alpha-crown", SUBSET, tight)


def _constant(likelihood: str, radii: Sequence[float], images: int) -> Iterator[str]:
    for target in TARGETS:
        for eps in radii:
            threat = f"constant-decoder-{likelihood},{target},{eps}"
            clean, worst = (
                _constant_at(likelihood, "reconstruction", 0),
                _constant_at(likelihood, target, eps),
            )
            for over in (images, SUBSET):
                yield _line(threat, "clean", "", over, clean - 500 * eps * (target == "likelihood"))
            if eps > 0:
                yield _line(threat, "attacked", "closed-form", images, worst)
                yield _line(threat, "certified", "closed-form", images, worst)


def _constant_at(likelihood: str, target: str, eps: float) -> float:
    scale, level = (10.0, -500.0) if likelihood == "gaussian" else (1.0, -200.0)
    return level - scale * (1620.0 * eps if target == "likelihood" else 0.0)


def _line(threat: str, quantity: str, method: str, images: int, mean: float) -> str:
    margin, vacuous = 60 / math.sqrt(images), images if math.isinf(mean) else 0
    return f"{threat},{quantity},{method},{images},1,{mean},{mean - margin},{mean + margin},{vacuous}"


def _picture(path: Path, rows: int, columns: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28 * rows, 28 * columns), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
