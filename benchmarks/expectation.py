"""What the certificate on the expectation costs beside the one on given draws, and whether it holds.

python -m benchmarks.expectation --images 10 --methods ibp crown --csv expectation.csv

slack = (certificate on `--draws` given draws) - (certificate on the expectation), same method, in nats.
Each expectation is compared with the mean over 100,000 fresh draws at the point that PGD found: a
violation is a certificate above that mean by more than four standard errors. Exit code 1 if there is one.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from dataclasses import asdict, dataclass, fields
from itertools import product

import torch
from torch import Tensor

import core
from benchmarks.images import spread
from core.certificates.methods import METHODS
from core.vae.elbo import as_double
from core.vae.latent import kl_divergence, reparameterise
from core.vae.model import VAE
from core.vae.validate import TARGETS

FRESH, CHUNK = 100_000, 2_000


@dataclass(frozen=True)
class Line:
    """Means over the images, in nats; seconds of processor time an image, for the expectation.

    room  smallest distance between the certificate and the mean over fresh draws at the attack's point.
    """

    model: str
    target: str
    eps: float
    method: str
    images: int
    attained: float
    on_draws: float
    expectation: float
    slack: float
    room: float
    vacuous: int
    violations: int
    seconds: float


@torch.no_grad()
def fresh_mean(vae: VAE, x: Tensor, t: Tensor) -> tuple[float, float]:
    """Mean ELBO of one point over fresh draws, and its standard error."""
    model, x, t = as_double(vae), x.double(), t.double()
    mu, logvar = model.encode(x)
    kl = kl_divergence(mu, logvar)
    values = []
    for noise in core.sample_noise(vae, FRESH, seed=987_654_321).double().split(CHUNK):
        z = reparameterise(mu, logvar, noise[:, None])
        values.append(model.likelihood.log_prob(t, model.decode(z.flatten(0, 1))) - kl)
    each = torch.cat(values)
    return each.mean().item(), each.std().item() / math.sqrt(len(each))


def measure(model: str, target: str, eps: float, method: str, options: argparse.Namespace) -> Line:
    vae, (_, x) = core.load_model(model), spread(options.images)
    noise = core.sample_noise(vae, options.draws)
    found = core.attack(vae, x, noise, eps=eps, target=target)
    given = core.certify(vae, x, noise, eps=eps, target=target, method=method).lower
    began = time.process_time()
    proved = core.certify(
        vae,
        x,
        noise,
        eps=eps,
        target=target,
        method=method,
        states="expectation",
        alpha=options.alpha,
        draws=options.sample,
    )
    seconds = (time.process_time() - began) / len(x)
    scored = found.x_adv if target == "likelihood" else x
    pairs = zip(found.x_adv.split(1), scored.split(1), strict=True)
    means = [fresh_mean(vae, point, t) for point, t in pairs]
    rooms = [mean - low for (mean, _), low in zip(means, proved.lower.tolist(), strict=True)]
    broken = sum(room < -4 * error for room, (_, error) in zip(rooms, means, strict=True))
    return Line(
        model,
        target,
        eps,
        method,
        len(x),
        found.elbo.mean().item(),
        given.mean().item(),
        proved.lower.mean().item(),
        (given - proved.lower).mean().item(),
        min(rooms),
        int(proved.vacuous.sum()),
        broken,
        seconds,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--models", nargs="+", default=["mnist-mlp-robust-0.1", "mnist-conv-robust-0.1"])
    add("--images", type=int, default=10, help="spread over the classes")
    add("--eps", type=float, nargs="+", default=[0.05, 0.1])
    add("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    add("--methods", nargs="+", choices=METHODS[:4], default=["ibp", "crown"])
    add("--draws", type=int, default=64, help="given draws to compare with")
    add("--sample", type=int, default=16_384, help="draws of the certificate on the expectation")
    add("--alpha", type=float, default=0.01)
    add("--csv", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for setting in product(options.models, options.targets, options.eps, options.methods):
        line = measure(*setting, options)
        lines.append(line)
        print(
            f"{line.model:<24}{line.target:<15}{line.eps:>6g} {line.method:<12}draws {line.on_draws:9.2f}  "
            f"expectation {line.expectation:9.2f}  slack {line.slack:6.2f}  room {line.room:7.2f}  "
            f"violations {line.violations}  {line.seconds:5.1f} s",
            flush=True,
        )
    with open(options.csv, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Line)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(line) for line in lines)
    return 1 if any(line.violations for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
