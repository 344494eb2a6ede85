"""The second program on honest certificates and on those of a program with a fault.

    OMP_NUM_THREADS=1 python -m benchmarks.second_opinion [--count 100] [--conv 20]

Honest: `count` certificates of each covered method, `conv` of them of convolutional models, over targets,
sides, norms, radii and images; all have to be accepted. Seconds are medians of CPU time for reading,
matrices and bound, on one core, without the start of Python. False: `count` certificates for a Gaussian
model, upper and reconstruction, with a fault put back into `LinearBounds.planes` that was shipped once; all
have to be rejected. Exits with 1 if one is not.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

import core
from core.certificates.elbo_bounds.relaxation import LinearBounds
from core.certificates.guard import Guard
from core.claims import checker
from core.claims.making import make_claim
from core.vae.model_images import models_by_dataset

METHODS = ("ibp", "crown-ibp", "crown", "alpha-crown")
ITERATIONS = 10


@contextmanager
def fault() -> Iterator[None]:
    """Drops what a plane has for a scored image that stands still, and the guard that would see it."""
    planes = LinearBounds.planes

    def faulty(self: LinearBounds, *args: Any) -> tuple[Tensor, Tensor, Tensor]:
        (slope, constant, lost), r = planes(self, *args), self.relaxation
        if r.t is None:
            return slope, constant, lost
        draws = len(r.noise)
        t = r.scored.map(lambda v: v.repeat(draws, 1, 1, 1))
        on_t = r.vae.likelihood.plane(t, self.bounds.decoder[-1], args[1], r.weight)[1] / draws
        on_t = on_t.unflatten(1, (draws, -1)).flatten(3).sum(1)
        return slope, constant - (on_t * r.t.flatten(1)).sum(2), lost

    with mock.patch.object(LinearBounds, "planes", faulty), mock.patch.object(Guard, "check"):
        yield


def questions(models: list[str]) -> Iterator[dict[str, Any]]:
    """Different ones without end, each with a model and an image."""
    sizes = itertools.cycle((0.005, 0.01, 0.02, 0.03))
    asked = itertools.cycle(
        itertools.product(("likelihood", "reconstruction"), ("lower", "upper"), ("linf", "l2"))
    )
    for index, model, eps, (target, side, norm) in zip(
        itertools.count(), itertools.cycle(models), sizes, asked, strict=False
    ):
        radius = eps if norm == "linf" else 5 * eps
        yield {
            "model": model,
            "index": index % 100,
            "eps": radius,
            "target": target,
            "side": side,
            "norm": norm,
        }


def certified(model: str, index: int, method: str, **asked: Any) -> tuple[str | None, float]:
    """A certificate as a file, or None where nothing is proved, and its bound."""
    vae, x = core.load_model(model), core.load_samples("mnist")[0][index : index + 1]
    noise = core.sample_noise(vae, 1, index)
    found = core.certify(vae, x, noise, method=method, iterations=ITERATIONS, **asked)
    if found.vacuous[0]:
        return None, found.bound.item()
    claim = make_claim(model, x, found, draws=1, seed=index, iterations=ITERATIONS)
    return claim.to_json(), found.bound.item()


def checked(content: str, path: Path) -> tuple[int, float]:
    """Exit code and CPU seconds."""
    path.write_text(content)
    start = time.process_time()
    try:
        with np.errstate(all="ignore"):
            checker.check(path)
        code = 0
    except checker.Stop as stop:
        code = stop.args[0]
    return code, time.process_time() - start


def honest(method: str, models: list[str], count: int, path: Path) -> tuple[int, float, int]:
    """How many of `count` certificates are accepted, the median of seconds, and the largest file."""
    codes, seconds, largest = list[int](), list[float](), 0
    for question in questions(models):
        content, _ = certified(method=method, **question)
        if content is None:
            continue
        code, took = checked(content, path)
        codes, seconds, largest = [*codes, code], [*seconds, took], max(largest, len(content))
        if len(codes) == count:
            break
    return codes.count(0), median(seconds), largest


def false(count: int, path: Path) -> tuple[int, int]:
    """How many of `count` certificates that claim more than is proved are rejected, and how many of them
    the image itself beats."""
    # The model whose bounds the fault improves: not those of the standard one.
    models = ["mnist-mlp-gaussian-mtl-0.1"]
    rejected = beaten = made = 0
    for index, (model, method, eps) in enumerate(
        itertools.cycle(itertools.product(models, METHODS[1:], (0.03, 0.05, 0.1)))
    ):
        asked = {"eps": eps, "target": "reconstruction", "side": "upper", "method": method}
        with fault():
            content, bound = certified(model, index % 100, **asked)
        if content is None or bound >= certified(model, index % 100, **asked)[1] - 0.01:
            continue  # not more than is proved
        vae, x = core.load_model(model), core.load_samples("mnist")[0][index % 100 :][:1]
        beaten += core.elbo(vae, x, core.sample_noise(vae, 1, index % 100)).total.item() > bound
        rejected += checked(content, path)[0] == checker.FAILS
        made += 1
        if made == count:
            return rejected, beaten
    raise AssertionError


def main() -> int:
    parser = argparse.ArgumentParser(
        description="The second program, on honest certificates and on false ones."
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--conv", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    right = True
    print(f"{'method':<12} {'models':<6} {'accepted':>9} {'median s':>9} {'largest file':>13}")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.json"
        for method, (arch, count) in itertools.product(
            METHODS, (("mlp", options.count - options.conv), ("conv", options.conv))
        ):
            models = [model for model in models_by_dataset()["mnist"] if arch in model]
            accepted, seconds, size = honest(method, models, count, path)
            right = right and accepted == count
            print(
                f"{method:<12} {arch:<6} {accepted:>4}/{count:<4} {seconds:>9.2f} {size:>13,}", flush=True
            )
        rejected, beaten = false(options.count, path)
        right = right and rejected == options.count
        print(
            f"false: {rejected}/{options.count} rejected; {beaten} of them are beaten by the image itself"
        )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
