"""Every cell of benchmarks.cells against images of its ball: is a certificate ever beaten?

python -m benchmarks.grid --jobs 2 --images 3 --csv grid.csv    # the whole grid, hours
python -m benchmarks.grid --networks mlp conv                                   # a part of it
python -m benchmarks.grid --networks "mlp, normalised" "conv, normalised" --csv grid-normalised.csv
python -m benchmarks.grid --likelihoods gaussian --csv grid.csv    # these rows anew, the others stay

A case is a network, an image and an eps. Its bounds meet the clean image, random ones, and what attacks
that lower and that raise the ELBO arrive at, from the clean image and from where the bound itself is
attained; one such meeting is a comparison. Where float32 is covered the images are scored in float32 as
well. Bounds on all noise meet fresh draws. Questions without a proof have to be refused. Slow methods get
one image and one eps, in turns, after the others. Exit code 1 on a violation; Ctrl-C ends it
with what has met by then.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

import core
from benchmarks.cells import (
    AXES,
    EPS,
    LIKELIHOODS,
    NETWORKS,
    NORMALISED,
    NORMS,
    PARABOLAS,
    SIDES,
    SIGMAS,
    TARGETS,
    Cell,
    cells,
    images,
    network_of,
)
from core.bounds.ball import Ball
from core.certificates import noise_certificate as sampled
from core.certificates.certificate import Certificate
from core.errors import InputError, UnsoundBoundError, UnsupportedLayerError
from core.vae.elbo import as_double, elbo_terms, elbo_terms_by_draw

RANDOM, STEPS, ITERATIONS, DRAWS = 8, 8, 4, 2
ATTACKS = ("pgd", "apgd", "vertex")
# Statements on all noise are wrong by chance with probability ALPHA; so many FRESH draws meet them.
ALPHA, DELTA, SAMPLE, FRESH, ERRORS = 1e-9, 0.1, 200, 400, 7.0
# How many draws linear bounds lift an expectation on, in place of 128, and in how many steps: each of them
# costs a proof, and any number is sound.
sampled._REFINED, sampled._ITERATIONS = 4, 2


NAMES = [*NETWORKS, *NORMALISED]
COUNTS = ("cases", "comparisons", "stated", "attacked", "refused")


@dataclass
class Tally:
    """Of one cell. stated: comparisons of a bound that is not vacuous. attacked: those with an attack that
    goes the bound's way. closest: nats between a bound and what was attained, at the least."""

    cases: int = 0
    comparisons: int = 0
    stated: int = 0
    attacked: int = 0
    refused: int = 0
    violations: list[str] = field(default_factory=list)
    closest: float = torch.inf

    def add(self, other: Tally) -> None:
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.violations += other.violations
        self.closest = min(self.closest, other.closest)


@dataclass(frozen=True)
class Question:
    """What cells of one likelihood, target and norm have in common, for one network and eps.

    images  numbers of those of benchmarks.cells.images. slow: whether it is for the slow cells."""

    network: str
    likelihood: str
    sigma: float
    target: str
    norm: str
    eps: float
    seed: int
    images: tuple[int, ...]
    slow: bool = False

    def cells(self) -> Iterator[Cell]:
        own, parabolas = (self.likelihood, self.target, self.norm, self.slow), self.network in NETWORKS
        mine = (c for c in cells() if (c.likelihood, c.target, c.norm, c.slow) == own)
        return (c for c in mine if parabolas or c.method not in PARABOLAS)


class Trial:
    """A question, its points, and their scores."""

    def __init__(self, question: Question) -> None:
        q = self.question = question
        self.vae = network_of(q.network).build(q.likelihood, q.sigma, q.seed)
        self.x = images(self.vae, q.seed)[list(q.images)]
        self.noise = core.sample_noise(self.vae, DRAWS, q.seed)
        self.ball = Ball(self.x, torch.full((len(q.images),), q.eps, dtype=torch.float64), q.norm)
        self._networks = {"float32": self.vae, "float64": as_double(self.vae)}
        self._points: dict[str, list[tuple[bool, dict[str, Tensor]]]] = {}

    def certify(self, cell: Cell) -> Certificate:
        return core.certify(
            self.vae,
            self.x,
            self.noise,
            eps=self.question.eps,
            target=cell.target,
            method=cell.method,
            norm=cell.norm,
            side=cell.side,
            states=cell.states,
            arithmetic=cell.arithmetic,
            alpha=ALPHA,
            delta=DELTA,
            draws=SAMPLE,
            seed=self.question.seed,
            iterations=ITERATIONS,
        )

    def scores(self, x: Tensor) -> dict[str, Tensor]:
        """ELBO of each image (B,) float64, computed in each arithmetic."""
        t = x if self.question.target == "likelihood" else self.x
        found = {}
        for name, vae in self._networks.items():
            kind = torch.float32 if name == "float32" else torch.float64
            recon, kl = elbo_terms(vae, x.to(kind), self.noise.to(kind)[:, None], t.to(kind))
            found[name] = (recon - kl).double()
        return found

    def attack(self, side: str, start: Tensor | None = None, method: str = "pgd") -> Tensor:
        q = self.question
        found = core.attack(
            self.vae,
            self.x,
            self.noise,
            eps=q.eps,
            target=q.target,
            norm=q.norm,
            side=side,
            method=method,
            steps=STEPS,
            seed=q.seed,
            start=start,
        )
        return found.x_adv

    def points(self, side: str) -> list[tuple[bool, dict[str, Tensor]]]:
        """For bounds of a side: whether an attack of this side made the images, and their scores."""
        if not self._points:
            generator = torch.Generator("cpu").manual_seed(self.question.seed)
            drawn = [self.ball.random(generator) for _ in range(RANDOM)]
            still = [self.scores(x) for x in (self.x, *drawn)]
            arrived = [
                (other, self.scores(self.attack(other, method=method)))
                for other in SIDES
                for method in ATTACKS
            ]
            for way in SIDES:
                ends = [(way == other, found) for other, found in arrived]
                self._points[way] = [*((False, found) for found in still), *ends]
        return self._points[side]

    @cached_property
    def fresh(self) -> list[tuple[bool, Tensor]]:
        """For the images and what lowers them: ELBOs under fresh draws, (FRESH, B) float64."""
        noise = core.sample_noise(self.vae, FRESH, self.question.seed + 1_000).double()[:, None]
        found = []
        for attacked, x in ((False, self.x), (True, self.attack("lower"))):
            t = x if self.question.target == "likelihood" else self.x
            recon, kl = elbo_terms_by_draw(self._networks["float64"], x.double(), noise, t.double())
            value = (recon - kl).nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
            found.append((attacked, value))
        return found


def meet(trial: Trial, cell: Cell, tally: Tally) -> None:
    """Ask a cell's question, and compare what is proved with what is attained."""
    tally.cases += len(trial.x)
    try:
        proved = trial.certify(cell)
    except (InputError, UnsupportedLayerError) as error:
        tally.refused += 1
        if not cell.refused:
            tally.violations.append(f"{cell} refuses {trial.question}: {error}")
        return
    except UnsoundBoundError as error:
        tally.violations.append(f"{cell} of {trial.question}: {error}")
        return
    if cell.refused:
        tally.violations.append(f"{cell} has an answer to {trial.question}, and nobody has proved it")
        return
    compare = _compare_draws if cell.states == "draws" else _compare_noise
    for attacked, room in compare(trial, cell, proved):
        tally.comparisons += len(room)
        tally.attacked += attacked * len(room)
        tally.stated += int((~proved.vacuous).sum())
        if cell.states == "draws":  # of the others chance is a part
            tally.closest = min(tally.closest, room.nan_to_num(torch.inf).min().item())
        for index in (~(room >= 0)).nonzero().flatten().tolist():  # NaN is no success
            tally.violations.append(
                f"{cell} is beaten by {-room[index].item():.4g} nats, image {index} of {trial.question}"
            )


def _compare_draws(trial: Trial, cell: Cell, proved: Certificate) -> Iterable[tuple[bool, Tensor]]:
    """How far inside the bound each point is, (B,) nats: at least 0."""
    points = trial.points(cell.side)
    if proved.minimiser is not None:
        start = trial.ball.project(proved.minimiser.float())
        points = [*points, (True, trial.scores(start))]
        if cell.method == "crown":
            points.append((True, trial.scores(trial.attack(cell.side, start))))
    for attacked, found in points:
        for arithmetic in {"float64", cell.arithmetic}:
            value = found[arithmetic]
            # A pass that overflows has no likelihood: no bound from below holds for it, any from above.
            value = value.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
            same = value == proved.bound  # infinities too
            yield attacked, (cell.sign * (value - proved.bound)).masked_fill(same, 0)


def _compare_noise(trial: Trial, cell: Cell, proved: Certificate) -> Iterable[tuple[bool, Tensor]]:
    """The same against fresh draws, with room for chance."""
    for attacked, value in trial.fresh:
        if cell.states == "coverage":
            beaten = (value < proved.lower).double().mean(0)
            yield attacked, DELTA + ERRORS * (DELTA / FRESH) ** 0.5 - beaten
        else:
            most = value.mean(0) + ERRORS * value.std(0).nan_to_num(torch.inf) / FRESH**0.5
            room = most + 1e-9 * (1 + most.abs()) - proved.lower
            yield attacked, room.masked_fill(proved.lower == -torch.inf, torch.inf)


def questions(
    networks: Iterable[str], likelihoods: Iterable[str], count: int, seed: int
) -> Iterator[Question]:
    """All of them; the widths of Gaussian likelihoods take turns."""
    turn = itertools.count()
    for network in networks:
        index = NAMES.index(network)
        sigma = SIGMAS[(index + seed) % len(SIGMAS)]
        for likelihood, target, norm in itertools.product(likelihoods, TARGETS, NORMS):
            about, first = (network, likelihood, sigma, target, norm), next(turn)
            for eps in EPS:
                yield Question(*about, eps, seed + index, tuple(range(count)))
            which = first % len(EPS)
            yield Question(*about, EPS[which], seed + index, (which,), slow=True)


def run(asked: Iterable[Question]) -> dict[Cell, Tally]:
    """The tallies of all cells that are asked about."""
    tallies: dict[Cell, Tally] = defaultdict(Tally)
    for question in asked:
        trial = Trial(question)
        for cell in question.cells():
            meet(trial, cell, tallies[cell])
    return tallies


def show(tallies: dict[Cell, Tally]) -> None:
    """Lines for each value of each axis, then the sums."""
    columns = ("comparisons", "not vacuous", "attacked", "violations", "closest")
    print(f"{'':<24}" + "".join(f"{column:>13}" for column in columns))
    for axis, names in zip(Cell._fields, AXES, strict=True):
        for name in names:
            part = [tally for cell, tally in tallies.items() if getattr(cell, axis) == name]
            sums = _sums(part)
            closest = min((tally.closest for tally in part), default=torch.inf)
            print(
                f"{axis + ' ' + name:<24}{sums['comparisons']:>13,}{sums['stated']:>13,}"
                f"{sums['attacked']:>13,}{sums['violations']:>13,}{closest:>13.3g}"
            )
    sums = _sums(tallies.values())
    upper = _sums(tally for cell, tally in tallies.items() if cell.side == "upper")
    print(
        f"{len(tallies):,} cells, {sums['refused']:,} questions refused as they have to be, "
        f"{sums['cases']:,} cases x cells, {sums['comparisons']:,} comparisons, "
        f"{upper['attacked']:,} of them of upper bounds with an attack upward, "
        f"{sums['violations']:,} violations"
    )


def _sums(tallies: Iterable[Tally]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for tally in tallies:
        for name in COUNTS:
            sums[name] += getattr(tally, name)
        sums["violations"] += len(tally.violations)
    return sums


def write(path: Path, tallies: dict[Cell, Tally], likelihoods: Collection[str]) -> None:
    """The rows of these likelihoods; those of others that the file has stay as they are."""
    rows = dict[Cell, list[str]]()
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            _, *known = csv.reader(file)
        for row in known:
            cell = Cell(*row[: len(AXES)])
            if cell.likelihood not in likelihoods:
                rows[cell] = row
    for cell, tally in tallies.items():
        counts = [str(getattr(tally, name)) for name in COUNTS]
        rows[cell] = [*cell, *counts, str(len(tally.violations)), f"{tally.closest:.3g}"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*Cell._fields, *COUNTS, "violations", "closest"])
        writer.writerows(rows[cell] for cell in cells() if cell in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--networks", nargs="+", default=list(NETWORKS), choices=NAMES)
    add("--likelihoods", nargs="+", default=LIKELIHOODS, choices=LIKELIHOODS)
    add("--images", type=int, default=4, choices=range(1, 6))
    add("--seed", type=int, default=0)
    add("--jobs", type=int, default=1, help="processes")
    add("--csv", type=Path)
    options = parser.parse_args()
    asked = sorted(  # all networks and kinds of questions early on, slow ones last
        questions(options.networks, options.likelihoods, options.images, options.seed),
        key=lambda q: (q.slow, (EPS.index(q.eps) + NAMES.index(q.network)) % len(EPS)),
    )
    tallies: dict[Cell, Tally] = defaultdict(Tally)
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        jobs = [pool.submit(run, [question]) for question in asked]
        try:
            for job in tqdm(as_completed(jobs), total=len(jobs), unit="question", mininterval=5):
                for cell, tally in job.result().items():
                    tallies[cell].add(tally)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
    tallies = {cell: tallies[cell] for cell in cells() if cell in tallies}
    show(tallies)
    if options.csv:
        write(options.csv, tallies, options.likelihoods)
    broken = [line for tally in tallies.values() for line in tally.violations]
    print("\n".join(broken[:40]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
