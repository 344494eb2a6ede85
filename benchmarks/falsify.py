"""Try to beat the certificates: lower <= attacked <= clean <= attacked upwards <= upper, every way.

python -m benchmarks.falsify --csv falsify.csv              # more than 200,000 combinations
python -m benchmarks.falsify --problems 1500 --seed 1       # a share of the work: problems of its own
python -m benchmarks.falsify --sides upper --attacks pgd    # upper bounds against PGD, down and up

A problem is an image of a shipped model with eps, target, norm and noise draws, all chosen at random.
Every bound on it meets every attack on it, and the point where the certificate's own linear bound is
attained; one such meeting is a combination. Bounds below the vacuous floor are checked as well, and
counted apart. Upper bounds meet the same points and the attacks that raise the ELBO. Exit code 1 on a
violation. Ctrl-C ends it with what has met by then.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

import core
from core.attacks import ATTACKS
from core.bounds.ball import Ball
from core.certificates.certificate import Certificate
from core.vae.model import VAE
from core.vae.model_images import models_by_dataset
from core.vae.threat import SIDES, SIGN
from core.vae.validate import TARGETS

EPS = {"linf": (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 1.0), "l2": (0.05, 0.2, 0.5, 1.0, 3.0)}
# One group in so many (no multiple of the number of models) is small, and goes through the quadratic or
# branch and bound, and optimised upper bounds.
DEEP = 11
SIZE, DEEP_SIZE = {"mlp": 16, "conv": 4}, 2  # convolutions cost four times as much
# Optimisation steps of alpha-crown, rounds of splits of bab: any number of them has to be sound.
ITERATIONS = 10


class Key(NamedTuple):
    model: str
    norm: str
    side: str
    method: str


@dataclass
class Tally:
    """Of one Key. closest: smallest distance, in nats, between the bound and a value that was attained."""

    combinations: int = 0
    stated: int = 0
    violations: int = 0
    closest: float = math.inf


@dataclass(frozen=True)
class Group:
    """Some images of one model under the same eps, target, norm and draws."""

    model: str
    images: list[int]
    norm: str
    eps: float
    target: str
    draws: int
    seed: int
    steps: int
    deep: str | None


def groups(models: list[str], problems: int, seed: int) -> Iterator[Group]:
    chance, left, index = random.Random(seed), problems, 0
    while left > 0:
        model = models[index % len(models)]
        deep = ("quadratic", "bab")[index // DEEP % 2] if index % DEEP == DEEP - 1 else None
        size = min(left, DEEP_SIZE if deep else SIZE[core.load_model(model).config.arch])
        norm = chance.choices(("linf", "l2"), (4, 1))[0]
        yield Group(
            model,
            chance.sample(range(500), size),
            norm,
            chance.choice(EPS[norm]),
            chance.choice(TARGETS),
            chance.choice((1, 1, 2, 4)),
            chance.randrange(1_000_000),
            chance.choice((5, 10, 20)),
            deep,
        )
        left, index = left - size, index + 1


class Trial:
    """One group: its bounds, its attacks, and what became of them."""

    def __init__(self, group: Group, vae: VAE, x: Tensor, sides: list[str], attacks: list[str]) -> None:
        self._group, self._vae, self._x = group, vae, x
        self._sides, self._attacks = sides, attacks
        self._noise = core.sample_noise(vae, group.draws, group.seed)
        self._ball = Ball(x, torch.full((len(x),), group.eps), group.norm)
        self.broken: list[str] = []

    def run(self, tallies: dict[Key, Tally]) -> None:
        clean = self._score(self._x)
        deep = self._group.deep
        lowered = {name: self._attack(name, "lower", clean) for name in self._attacks}
        if "lower" in self._sides:
            found = self._certify("lower", deep or "alpha-crown")
            self._meet(found, lowered | {"minimiser": self._minimiser(found)}, tallies)
        if "upper" in self._sides:
            found = self._certify("upper", "alpha-crown" if deep else "crown-ibp")
            upward = [name for name in self._attacks if ATTACKS[name].directed]
            raised = {f"{name} upwards": self._attack(name, "upper", clean) for name in upward}
            ends = {"clean": clean, "maximiser": self._minimiser(found)}
            self._meet(found, lowered | raised | ends, tallies)

    def _score(self, x: Tensor) -> Tensor:
        t = None if self._group.target == "likelihood" else self._x
        return core.elbo(self._vae, x, self._noise, t).total

    def _certify(self, side: str, method: str) -> Certificate:
        group = self._group
        return core.certify(
            self._vae,
            self._x,
            self._noise,
            eps=group.eps,
            target=group.target,
            method=method,
            norm=group.norm,
            side=side,
            iterations=ITERATIONS,
        )

    def _attack(self, name: str, side: str, clean: Tensor) -> Tensor:
        group = self._group
        found = core.attack(
            self._vae,
            self._x,
            self._noise,
            eps=group.eps,
            target=group.target,
            norm=group.norm,
            side=side,
            method=name,
            # strongest multiplies its steps by 25
            steps=group.steps // 5 if name == "strongest" else group.steps,
            restarts=1 if name == "strongest" else 2,
            seed=group.seed,
        )
        self._inside(found.x_adv, name)
        if not bool((SIGN[side] * found.elbo <= SIGN[side] * clean).all()):
            self.broken.append(f"{name} ends on the wrong side of the clean value, {side}: {group}")
        return found.elbo

    def _inside(self, x: Tensor, name: str) -> None:
        """A point outside the ball would prove nothing."""
        move, eps = (x - self._x).double().flatten(1), self._ball.cover().eps
        size = move.abs().amax(1) if self._group.norm == "linf" else move.norm(dim=1)
        if not bool((size <= eps).all()) or not bool(((x >= 0) & (x <= 1)).all()):
            self.broken.append(f"{name} left the ball: {self._group}")

    def _minimiser(self, found: Certificate) -> Tensor:
        assert found.minimiser is not None
        point = self._ball.project(found.minimiser.float())
        self._inside(point, "minimiser")
        return self._score(point)

    def _meet(self, found: Certificate, attained: dict[str, Tensor], tallies: dict[Key, Tally]) -> None:
        sign = SIGN[found.side]
        floor = self._vae.likelihood.floor(self._vae.config.pixels)
        for method, bound in found.by_method.items():
            tally = tallies[Key(self._group.model, self._group.norm, found.side, method)]
            stated = int((sign * bound >= floor).sum())
            for name, value in attained.items():
                room = sign * (value - bound)
                tally.combinations += len(bound)
                tally.stated += stated
                tally.closest = min(tally.closest, room.min().item())
                holds = room >= 0  # False for NaN too
                if not bool(holds.all()):
                    tally.violations += int((~holds).sum())
                    self.broken.append(f"{found.side} {method} beaten by {name}: {self._group}")


def show(tallies: dict[Key, Tally]) -> None:
    merged: dict[tuple[str, str, str], Tally] = defaultdict(Tally)
    for key, tally in tallies.items():
        into = merged[key.side, key.method, key.norm]
        into.combinations += tally.combinations
        into.stated += tally.stated
        into.violations += tally.violations
        into.closest = min(into.closest, tally.closest)
    print(
        f"{'side':<7}{'method':<13}{'norm':<6}{'combinations':>13}{'not vacuous':>13}{'violations':>12}",
        end="",
    )
    print(f"{'closest, nats':>16}")
    for (side, method, norm), t in merged.items():
        print(
            f"{side:<7}{method:<13}{norm:<6}{t.combinations:>13,}{t.stated:>13,}{t.violations:>12}{t.closest:>16.3g}"
        )


def write(path: str, tallies: dict[Key, Tally]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        names = [*Key._fields, *(field.name for field in fields(Tally))]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(key._asdict() | asdict(tally) for key, tally in tallies.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--models", nargs="+", default=models_by_dataset()["mnist"])
    add("--problems", type=int, default=3000)
    add("--seed", type=int, default=0)
    add("--sides", nargs="+", default=SIDES, choices=SIDES)
    add("--attacks", nargs="+", default=list(ATTACKS), choices=list(ATTACKS))
    add("--csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tallies: dict[Key, Tally] = defaultdict(Tally)
    broken: list[str] = []
    done = 0
    with tqdm(total=options.problems, unit="problem", disable=None) as bar, suppress(KeyboardInterrupt):
        for group in groups(options.models, options.problems, options.seed):
            vae = core.load_model(group.model)
            trial = Trial(
                group, vae, core.load_images(group.model).x[group.images], options.sides, options.attacks
            )
            try:
                trial.run(tallies)
            finally:  # Ctrl-C too
                broken += trial.broken
            done += len(group.images)
            bar.update(len(group.images))
    print(f"{done:,} of {options.problems:,} problems")
    show(tallies)
    if options.csv:
        write(options.csv, tallies)
    print(f"{sum(t.combinations for t in tallies.values()):,} combinations, {len(broken)} groups broken")
    print("\n".join(broken[:20]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
