"""How tight each certificate is on the shipped models, and what it costs.

python -m benchmarks.certificates --eps 0.05 0.1 --csv certificates.csv --rows images.csv
python -m benchmarks.certificates --models mnist-mlp-standard --eps 0.02 --targets likelihood \\
    --methods crown alpha-crown bab --iterations 10000 --seconds 60 --csv bab.csv

gap/drop = (attained - certified) / (clean - attained): how much of the damage is open, where the attack
`strongest` attained what it attained. Exit code 1 if a certificate was beaten.
"""

from __future__ import annotations

import argparse
import csv
import math
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import product
from typing import Any

import torch
from tqdm import tqdm

import core
from benchmarks.images import spread
from core.certificates.methods import METHODS
from core.vae.validate import TARGETS


@dataclass(frozen=True)
class Row:
    """One image under one method, in nats; certified is -inf where vacuous."""

    model: str
    target: str
    eps: float
    method: str
    image: int
    clean: float
    attained: float
    certified: float
    seconds: float

    @property
    def ratio(self) -> float:
        drop = self.clean - self.attained
        return (self.attained - self.certified) / drop if drop > 0 else math.nan


@dataclass(frozen=True)
class Line:
    """One (model, target, eps, method). Means over the images that are not vacuous; seconds over all.

    gap_drop        mean gap / mean drop. mean_gap_drop: mean over the images of gap / drop.
    violations      images with certified > attained, or attained > clean.
    """

    model: str
    target: str
    eps: float
    method: str
    images: int
    clean: float
    attained: float
    certified: float
    gap_drop: float
    mean_gap_drop: float
    seconds: float
    vacuous: int
    violations: int


def summary(rows: list[Row]) -> Line:
    first, stated = rows[0], [row for row in rows if row.certified > -math.inf]

    def mean(value: Callable[[Row], float], of: list[Row] = stated) -> float:
        return statistics.fmean(map(value, of)) if of else math.nan

    clean, attained, certified = (
        mean(lambda r, key=key: getattr(r, key)) for key in ("clean", "attained", "certified")
    )
    drop = clean - attained
    return Line(
        first.model,
        first.target,
        first.eps,
        first.method,
        len(rows),
        clean,
        attained,
        certified,
        (attained - certified) / drop if drop > 0 else math.nan,
        mean(lambda r: r.ratio),
        mean(lambda r: r.seconds, rows),
        len(rows) - len(stated),
        # Not "certified > attained": NaN is a violation.
        sum(not row.certified <= row.attained <= row.clean for row in rows),
    )


def measure(model: str, target: str, eps: float, options: argparse.Namespace, number: int) -> list[Row]:
    """The rows of one image, one for each method."""
    torch.set_num_threads(1)
    vae, x = core.load_model(model), core.load_samples("mnist")[0][number : number + 1]
    noise = core.sample_noise(vae, options.draws)
    clean = core.elbo(vae, x, noise).total.item()
    attained = core.attack(vae, x, noise, eps=eps, target=target, method="strongest").elbo.item()
    rows: list[Row] = []
    for method in options.methods:
        began = time.perf_counter()
        lower = core.certify(
            vae,
            x,
            noise,
            eps=eps,
            target=target,
            method=method,
            iterations=options.iterations,
            seconds=options.seconds,
        ).lower.item()
        seconds = time.perf_counter() - began
        rows.append(Row(model, target, eps, method, number, clean, attained, lower, seconds))
    return rows


def write(path: str, kind: type, lines: Sequence[Any]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(line) for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--models", nargs="+", default=["mnist-mlp-robust-0.1", "mnist-conv-robust-0.1"])
    add("--images", type=int, default=100, help="spread over the classes")
    add("--eps", type=float, nargs="+", default=[0.05, 0.1])
    add("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    add("--draws", type=int, default=4)
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS[:-1]))
    add(
        "--iterations",
        type=int,
        default=50,
        help="of alpha-crown, a quarter of those of quadratic, rounds of bab",
    )
    add("--seconds", type=float, default=math.inf, help="an image, from alpha-crown on")
    add("--jobs", type=int, default=1, help="images at once, each on a core of its own")
    add("--csv", required=True)
    add("--rows", help="a second file with one row for each image")
    options = parser.parse_args()
    numbers, _ = spread(options.images)
    rows: list[Row] = []
    lines: list[Line] = []
    print(
        f"{'model':<26}{'target':<15}{'eps':>6} {'method':<12}{'clean':>9}{'attained':>10}{'certified':>11}"
        f"{'gap/drop':>9}{'(mean)':>8}{'s/image':>9}{'vacuous':>8}{'violated':>9}"
    )
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, context) as pool:
        for model, target, eps in product(options.models, options.targets, options.eps):
            images = pool.map(partial(measure, model, target, eps, options), numbers)
            found = list(tqdm(images, model, len(numbers), leave=False, disable=None))
            rows += [row for image in found for row in image]
            for of_method in zip(*found, strict=True):
                line = summary(list(of_method))
                lines.append(line)
                print(
                    f"{model:<26}{target:<15}{eps:>6g} {line.method:<12}{line.clean:>9.2f}"
                    f"{line.attained:>10.2f}{line.certified:>11.2f}{line.gap_drop:>9.4f}"
                    f"{line.mean_gap_drop:>8.4f}{line.seconds:>9.3f}{line.vacuous:>8}{line.violations:>9}",
                    flush=True,
                )
            write(options.csv, Line, lines)
            if options.rows:
                write(options.rows, Row, rows)
    return 1 if any(line.violations for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
