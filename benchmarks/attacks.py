"""What each attack attains on the shipped models, and how many gradients it takes.

python -m benchmarks.attacks --images 100 --csv attacks.csv

Every attack sees the same images, draws and balls. foolbox and torchattacks run too where they are
installed (no part of this project: pip install --target DIR --no-deps foolbox eagerpy GitPython gitdb
smmap scipy torchattacks requests, and DIR on PYTHONPATH), and are scored like our own: float64 ELBO over
the same draws.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from itertools import product

import torch
from torch import Tensor, nn

import core
from core.attacks import ATTACKS
from core.attacks.base import FRESH
from core.bounds.ball import NORMS
from core.vae.elbo import elbo_terms
from core.vae.model import VAE
from core.vae.validate import TARGETS

REFERENCE = "pgd 10x200"
# An attack is at least as low as another if it is lower or above it by no more than this.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Line:
    """Means over the images of one (model, target, norm, eps, attack), in nats.

    gradients  per image. no_lower  share of the images where `strongest` is at least as low.
    """

    model: str
    target: str
    norm: str
    eps: float
    attack: str
    gradients: int
    clean: float
    attained: float
    fresh: float
    no_lower: float
    seconds: float


@dataclass(frozen=True)
class Setting:
    vae: VAE
    x: Tensor
    noise: Tensor
    eps: float
    target: str
    norm: str

    def score(self, x_adv: Tensor, noise: Tensor | None = None) -> Tensor:
        t = None if self.target == "likelihood" else self.x
        return core.elbo(self.vae, x_adv, self.noise if noise is None else noise, t).total


Outcome = tuple[Tensor, Tensor, int]
"""ELBO on the draws, ELBO on fresh draws, gradients an image."""


def ours(method: str, steps: int, restarts: int) -> Callable[[Setting], Outcome]:
    def run(s: Setting) -> Outcome:
        found = core.attack(
            s.vae,
            s.x,
            s.noise,
            eps=s.eps,
            target=s.target,
            norm=s.norm,
            method=method,
            steps=steps,
            restarts=restarts,
        )
        return found.elbo, found.elbo_fresh, found.gradients

    return run


class TwoLogits(nn.Module):
    """The ELBO as a classifier: logits (ELBO, 0), so that the cross-entropy of class 0 is -ELBO (which is
    large and positive), and raising it lowers the ELBO."""

    def __init__(self, s: Setting) -> None:
        super().__init__()
        self.vae, self._s = s.vae, s

    def forward(self, x: Tensor) -> Tensor:
        s = self._s
        recon, kl = elbo_terms(s.vae, x, s.noise[:, None], x if s.target == "likelihood" else s.x)
        return torch.stack([recon - kl, torch.zeros_like(kl)], 1)


def peer(s: Setting, x_adv: Tensor, steps: int) -> Outcome:
    fresh = core.sample_noise(s.vae, len(s.noise), FRESH)
    return s.score(x_adv.detach()), s.score(x_adv.detach(), fresh), steps


def foolbox_pgd(s: Setting) -> Outcome:
    fb = importlib.import_module("foolbox")
    kind = fb.attacks.LinfPGD if s.norm == "linf" else fb.attacks.L2PGD
    model = fb.PyTorchModel(TwoLogits(s).eval(), bounds=(0, 1))
    labels = torch.zeros(len(s.x), dtype=torch.long)
    x_adv = kind(steps=200).run(model, s.x, fb.criteria.Misclassification(labels), epsilon=s.eps)
    return peer(s, x_adv, 200)


def torchattacks_pgd(s: Setting) -> Outcome:
    ta, model = importlib.import_module("torchattacks"), TwoLogits(s).eval()
    labels = torch.zeros(len(s.x), dtype=torch.long)
    if s.norm == "linf":
        attack = ta.PGD(model, eps=s.eps, alpha=s.eps / 40, steps=200)
    else:
        attack = ta.PGDL2(model, eps=s.eps, alpha=s.eps / 40, steps=200)
    return peer(s, attack(s.x, labels), 200)


def attacks() -> dict[str, Callable[[Setting], Outcome]]:
    """Name -> attack; our own at their defaults, and what else is installed."""
    runs = {name: ours(name, 40, 1) for name in ATTACKS}
    runs[REFERENCE] = ours("pgd", 200, 10)
    for package, run in {"foolbox": foolbox_pgd, "torchattacks": torchattacks_pgd}.items():
        if importlib.util.find_spec(package) is not None:
            runs[f"{package} pgd 200"] = run
    return runs


def measure(model: str, s: Setting) -> list[Line]:
    clean = s.score(s.x).mean().item()
    found: dict[str, tuple[Outcome, float]] = {}
    for name, run in attacks().items():
        began = time.perf_counter()
        found[name] = run(s), time.perf_counter() - began
    best = found["strongest"][0][0]
    return [
        Line(
            model,
            s.target,
            s.norm,
            s.eps,
            name,
            gradients,
            clean,
            value.mean().item(),
            fresh.mean().item(),
            (best <= value + TOLERANCE).double().mean().item(),
            seconds,
        )
        for name, ((value, fresh, gradients), seconds) in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--models", nargs="+", default=["mnist-mlp-standard", "mnist-mlp-robust-0.1"])
    add("--images", type=int, default=100)
    add("--first", type=int, default=0, help="number of the first image")
    add("--eps", type=float, nargs="+", default=[0.01, 0.05, 0.1])
    add("--norm", choices=NORMS, default="linf")
    add("--draws", type=int, default=4)
    add("--csv", required=True)
    options = parser.parse_args()
    x = core.load_samples("mnist")[0][options.first : options.first + options.images]
    lines: list[Line] = []
    for model, target, eps in product(options.models, TARGETS, options.eps):
        vae = core.load_model(model)
        noise = core.sample_noise(vae, options.draws)
        lines += measure(model, Setting(vae, x, noise, eps, target, options.norm))
        show(lines[-len(attacks()) :])
    with open(options.csv, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Line)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(line) for line in lines)
    print(f"share of all images where strongest is at least as low, within {TOLERANCE:g} nats:")
    for name in attacks():
        shares = [line.no_lower for line in lines if line.attack == name]
        print(f"  {name:<24} {sum(shares) / len(shares):.4f}  (lowest setting {min(shares):.4f})")


def show(lines: list[Line]) -> None:
    first = lines[0]
    print(f"{first.model}, {first.target}, {first.norm} eps {first.eps:g}, clean {first.clean:.3f} nats")
    print(f"  {'attack':<24} {'gradients':>9} {'attained':>10} {'fresh':>10} {'no lower':>9} {'s':>7}")
    for line in lines:
        print(
            f"  {line.attack:<24} {line.gradients:>9} {line.attained:>10.4f} {line.fresh:>10.3f} "
            f"{line.no_lower:>9.3f} {line.seconds:>7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
