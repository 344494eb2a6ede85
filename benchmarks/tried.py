"""What was tried: one row for each trained folder, with the command that trains it again.

python -m benchmarks.tried runs/* --data data --csv assets/results/tried.csv

Each model meets the radius and the target that it was trained for, or --eps and --target, over the first
1,000 test images with one noise draw (seed 0): clean, attacked by PGD (40 steps), proved by ibp and by
crown-ibp, and the constant decoder for that question. Rows are added to the file; folders that are in it
are skipped.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

import core
from core.data.samples import load_dataset, load_levels
from core.training.baseline import fit_constant_decoder
from core.training.metrics import active_units
from core.vae.checkpoint import load_config

IMAGES = 1000


@dataclass(frozen=True)
class Tried:
    """Means in nats."""

    name: str
    recipe: str
    target: str
    eps: float
    clean: float
    attacked: float
    ibp: float
    crown_ibp: float
    constant: float
    active_units: int
    command: str


def measure(folder: Path, x: torch.Tensor, eps: float | None, target: str | None) -> Tried:
    """One row: the model of a folder over images x (N, C, H, W)."""
    config: dict[str, Any] = load_config(folder)
    training = config["training"]
    question: dict[str, Any] = {"eps": eps or training["eps"], "target": target or training["target"]}
    vae = core.load_model(folder)
    noise = core.sample_noise(vae, draws=1, seed=0)
    proved = core.certify(vae, x, noise, method="crown-ibp", **question)
    levels, likelihood = load_levels(training["dataset"]), vae.likelihood
    constant = fit_constant_decoder(levels, likelihood, question["eps"], question["target"])
    return Tried(
        name=folder.name,
        recipe=training["recipe"],
        **question,
        clean=core.elbo(vae, x, noise).total.mean().item(),
        attacked=core.attack(vae, x, noise, steps=40, **question).elbo.mean().item(),
        ibp=proved.by_method["ibp"].mean().item(),
        crown_ibp=proved.lower.mean().item(),
        constant=constant.lower(x.double(), question["eps"], question["target"]).mean().item(),
        active_units=active_units(vae, x),
        command=config["command"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--eps", type=float)
    parser.add_argument("--target")
    parser.add_argument("--csv", type=Path, required=True)
    options = parser.parse_args()
    known = set()
    if options.csv.exists():
        with options.csv.open(newline="") as file:
            known = {row["name"] for row in csv.DictReader(file)}
    x = load_dataset("mnist", "test", options.data)[0][:IMAGES]
    with options.csv.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Tried)], lineterminator="\n")
        if not known:
            writer.writeheader()
        for folder in options.folders:
            if folder.name in known:
                continue
            row = asdict(measure(folder, x, options.eps, options.target))
            row = {key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()}
            writer.writerow(row)
            file.flush()
            print(" ".join(str(row[key]) for key in list(row)[:-1]), flush=True)


if __name__ == "__main__":
    main()
