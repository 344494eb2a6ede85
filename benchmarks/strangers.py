"""Models of strangers, trained by their own packages, taken in and measured: certified, attacked, timed.

python -m benchmarks.strangers --data data --public public-vaes \\
    --csv assets/results/strangers.csv --largest assets/results/strangers-largest.csv

pythae 0.1.2 (its usual network, and its convolutional and residual ones for MNIST), disent 0.8.0 (its
conv network, digits made 64 by 64), and two trained models of the public YannDubs/disentangling-vae, whose
folders are in --public (digits made 32 by 32). What is not there is left out, and named. To have the
packages beside the project: pip install --no-deps --target DIR pythae==0.1.2 disent==0.8.0 cloudpickle
imageio h5py pydantic pydantic_core annotated_types typing-inspection scipy scikit-learn joblib
threadpoolctl lightning pytorch-lightning lightning-utilities torchmetrics pyyaml, and DIR on PYTHONPATH.

Each is trained for one epoch of --train-images images, once, into --models; taken in by every way there is
(python -m core import --pythae, the same with a build, core.wrap); its outputs are compared with the
module's own. Then each method bounds the ELBO of --images digits (benchmarks.images) under one draw, beside
what the strongest attack reaches; and of the first digit there is the largest eps of 1, 2, 5, 10, ...
millionths with a bound that is not vacuous. Seconds are the CPU's. Rows are added to the files; those there
are skipped.
"""

from __future__ import annotations

import argparse
import csv
import math
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

import core
from benchmarks.images import spread
from benchmarks.strangers_models import Taken, strangers
from core.data.samples import load_dataset
from core.training.train import resized

METHODS = ("ibp", "crown-ibp", "crown", "alpha-crown")
TOGETHER = (METHODS[:1], METHODS[1:2], METHODS[2:])
"""Methods of which one is on the way to the other are computed, and timed, together."""
EPS = (0.001, 0.004)
LADDER = tuple(float(f"{step}e{power}") for power in range(-6, 0) for step in (1, 2, 5))


@dataclass(frozen=True)
class Row:
    """Means over images, nats.

    ways, refused, apart  as in `Taken`.
    images     those that were done in time; where none was, the values are NaN.
    certified  -inf where one of the bounds is vacuous, of which there are `vacuous`. gap: attacked minus
               certified, of the images whose bound is not. seconds: of one image, with the methods before.
    violations  images whose bound is above what the attack reached, or above the clean ELBO.
    """

    model: str
    ways: str
    refused: str
    apart: float
    method: str
    eps: float
    images: int
    clean: float
    attacked: float
    certified: float
    gap: float
    vacuous: int
    violations: int
    seconds: float


@dataclass(frozen=True)
class Largest:
    """The largest eps of LADDER with a bound that is not vacuous, for the first image; 0: none. At the one
    after it (NaN: there is none) the bound is vacuous, or was not there in time (`late`)."""

    model: str
    method: str
    eps: float
    certified: float
    after: float
    late: bool


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in what is inside when the CPU has worked on it for so long."""

    def over(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Table:
    """Rows of a CSV file, by some of their values as text; the file is added to."""

    def __init__(self, path: Path, kind: type, keys: Sequence[str]) -> None:
        self._path, self._names, self._keys = path, [field.name for field in fields(kind)], keys
        if not path.exists():
            path.write_text(",".join(self._names) + "\n", encoding="utf-8")
        with path.open(newline="", encoding="utf-8") as file:
            self.rows = {tuple(row[key] for key in keys): row for row in csv.DictReader(file)}

    def add(self, row: Any) -> None:
        values = {name: f"{v:.6g}" if isinstance(v, float) else str(v) for name, v in asdict(row).items()}
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._names, lineterminator="\n").writerow(values)
        self.rows[tuple(values[key] for key in self._keys)] = values
        print(" ".join(values.values()), flush=True)


def bounds(taken: Taken, index: int, eps: float, methods: Sequence[str]) -> dict[str, tuple[float, float]]:
    """What is proved of one image after each method, and the seconds until then."""
    began, x, found = time.process_time(), taken.x[index : index + 1], dict[str, tuple[float, float]]()
    for proved in core.refine(taken.vae, x, taken.noise, eps=eps, method=methods[-1]):
        found[proved.method] = proved.lower.item(), time.process_time() - began
    return {method: found[method] for method in methods}


def measure(taken: Taken, eps: float, table: Table, most: float) -> None:
    """The rows of a model and an eps."""
    name, vae = taken.name, taken.vae
    left = [[m for m in group if (name, m, f"{eps:g}") not in table.rows] for group in TOGETHER]
    if not any(left):
        return
    clean = core.elbo(vae, taken.x, taken.noise).total
    attacked = core.attack(vae, taken.x, taken.noise, eps=eps, method="strongest").elbo
    for group in filter(None, left):
        done = list[dict[str, tuple[float, float]]]()
        try:
            with at_most(most):
                for index in range(len(clean)):
                    done.append(bounds(taken, index, eps, group))
        except TimeoutError:
            print(f"{name} {eps:g} {'+'.join(group)}: over after {most:g} s", flush=True)
        top, bottom = clean[: len(done)], attacked[: len(done)]
        for method in group:
            lower = clean.new_tensor([found[method][0] for found in done])
            table.add(
                Row(
                    name,
                    "+".join(taken.ways),
                    "+".join(taken.refused),
                    taken.apart,
                    method,
                    eps,
                    len(done),
                    top.mean().item(),
                    bottom.mean().item(),
                    lower.mean().item(),
                    (bottom - lower)[lower.isfinite()].mean().item(),
                    int(lower.isinf().sum()),
                    int(((lower > bottom) | (lower > top)).sum()),
                    clean.new_tensor([found[method][1] for found in done]).mean().item(),
                )
            )


def search(taken: Taken, table: Table, most: float) -> None:
    """A model's largest radii: by bisection, from the one that the method before it has."""
    known, below, lower = dict[tuple[str, float], float](), -1, math.nan

    def prove(method: str, eps: float) -> float:
        """The bound on the first image; NaN where it is not there in time."""
        if (method, eps) not in known:
            together = next(group for group in TOGETHER if method in group)
            known.update({(each, eps): math.nan for each in together})
            with suppress(TimeoutError), at_most(most):
                found = bounds(taken, 0, eps, together)
                known.update({(each, eps): bound for each, (bound, _) in found.items()})
        return known[method, eps]

    for method in METHODS:
        if (row := table.rows.get((taken.name, method))) is not None:
            radius, lower = float(row["eps"]), float(row["certified"])
            below = LADDER.index(radius) if radius > 0 else -1
            continue
        above, late = len(LADDER), False
        while above - below > 1:
            middle = (below + above) // 2
            found = prove(method, LADDER[middle])
            if math.isfinite(found):
                below, lower = middle, found
            else:
                above, late = middle, math.isnan(found)
        after = LADDER[above] if above < len(LADDER) else math.nan
        table.add(Largest(taken.name, method, LADDER[below] if below >= 0 else 0.0, lower, after, late))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = tuple(stranger.name for stranger in strangers())
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of MNIST")
    parser.add_argument("--public", type=Path, help="folder of the public models")
    parser.add_argument(
        "--models", type=Path, default=Path("runs/strangers"), help="folder of the trained ones"
    )
    parser.add_argument("--train-images", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--most-seconds", type=float, default=1300, help="for a method's images at one eps")
    parser.add_argument("--proof-seconds", type=float, default=420, help="for one proof of the largest eps")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--largest", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(options.csv, Row, ("model", "method", "eps"))
    radii = Table(options.largest, Largest, ("model", "method"))
    for stranger in strangers():
        if stranger.name not in options.only:
            continue
        if missing := stranger.missing(options.public):
            print(f"{stranger.name}: {missing}", flush=True)
            continue
        folder = stranger.folder(options.models, options.public)
        if not folder.exists():
            assert stranger.train is not None
            x = load_dataset("mnist", "train", options.data)[0][: options.train_images]
            torch.manual_seed(0)
            stranger.train(resized(x, stranger.settings["shape"]), folder)
        taken = Taken(stranger, folder, resized(spread(options.images)[1], stranger.settings["shape"]))
        for eps in EPS:
            measure(taken, eps, table, options.most_seconds)
        search(taken, radii, options.proof_seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
