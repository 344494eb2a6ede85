"""What the evaluation of all models found: means over images, as values that are checked when made."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

from core.attacks import ATTACKS
from core.certificates.methods import METHODS
from core.evaluation.ceiling import CEILING
from core.evaluation.evaluate import CONSTANT
from core.vae.config import ARCHITECTURES, LIKELIHOODS
from core.vae.validate import TARGETS

CLOSED_FORM = "closed-form"
QUANTITIES = {
    "clean": ("",),
    "attacked": (*ATTACKS, CLOSED_FORM),
    "certified": (*METHODS, CLOSED_FORM),
    "ceiling": (CLOSED_FORM,),
}
"""What is measured, and the methods that measure it."""
TIGHTEST = "tightest"
"""In place of a certificate's name: the best of what all of them prove, see `Results.curve`."""
CERTIFIED = ("ibp", "crown-ibp", "sabr", "mtl-ibp")
"""Recipes with an interval or linear bound in their objective."""
STANDARD = "standard"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,79}")
_WORD = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class SuiteRecord:
    """How the results were made.

    images, subset  all images, and how many of them the slow methods were run on.
    weights         model -> SHA-256 of its weights, hexadecimal.
    skipped         (model, target, method, eps) of certificates that were vacuous on the first images and
                    not tried on the others.
    """

    command: str
    dataset: str
    images: int
    subset: int
    draws: int
    seed: int
    weights: dict[str, str]
    versions: dict[str, str]
    skipped: frozenset[tuple[str, str, str, float]] = frozenset()

    def __post_init__(self) -> None:
        _check(
            0 < len(self.command) <= 4000 and self.command.replace("\n", "").isprintable(),
            "command",
            self.command,
        )
        _check(_WORD.fullmatch(self.dataset), "dataset", self.dataset)
        for field in ("images", "subset", "draws"):
            _check(_count(getattr(self, field)), field, getattr(self, field))
        _check(_count(self.seed, least=0), "seed", self.seed)
        for name, digest in self.weights.items():
            _check(_NAME.fullmatch(name), "weights", name)
            _check(isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest), "weights", digest)
        for text in self.versions.values():
            _check(isinstance(text, str) and len(text) <= 200 and text.isprintable(), "versions", text)
        for model, target, method, eps in self.skipped:
            _check(_NAME.fullmatch(model), "model", model)
            _check(target in TARGETS and method in METHODS and 0 <= eps <= 1, "a certificate", method)


@dataclass(frozen=True)
class Mean:
    """The mean ELBO over images under one threat, in nats.

    model      a name of models.csv, or the constant decoder or the ceiling of a likelihood.
    method     of the attack or the certificate; "" for clean.
    low, high  95 % confidence interval of the mean.
    vacuous    how many images have no bound; the mean is -inf if there is one. None: the first ones have
               none, and the others were not tried.
    """

    model: str
    target: str
    eps: float
    quantity: str
    method: str
    images: int
    draws: int
    mean: float
    low: float
    high: float
    vacuous: int | None

    def rounded(self, digits: int = 1) -> float:
        """The mean in so many decimals; of bounds, rounded down: what is printed is proved too."""
        if self.quantity != "certified" or math.isinf(self.mean):
            return round(self.mean, digits)
        return math.floor(self.mean * 10**digits) / 10**digits

    def __post_init__(self) -> None:
        _check(_NAME.fullmatch(self.model), "model", self.model)
        _check(self.quantity in QUANTITIES, "quantity", self.quantity)
        _check(self.method in QUANTITIES[self.quantity], "method", self.method)
        _check(
            self.target in TARGETS or (self.target, self.quantity) == ("", "clean"), "target", self.target
        )
        _check(0 <= self.eps <= 1, "eps", self.eps)
        object.__setattr__(self, "eps", float(f"{self.eps:.12g}"))  # as it can be typed
        _check(_count(self.images), "images", self.images)
        _check(_count(self.draws), "draws", self.draws)
        _check(self.vacuous is None or 0 <= self.vacuous <= self.images, "vacuous", self.vacuous)
        if self.vacuous != 0:
            _check(self.quantity == "certified" and self.mean == -math.inf, "mean", self.mean)
            return
        _check(math.isfinite(self.mean), "mean", self.mean)
        slack = 1e-9 * abs(self.mean)  # a mean and its interval may be summed in different orders
        _check(-math.inf < self.low <= self.mean + slack, "low", self.low)
        _check(self.mean - slack <= self.high < math.inf, "high", self.high)


@dataclass(frozen=True)
class ModelRow:
    """One model: how it was trained, and its clean terms over all test images, in nats.

    eps, target  what it was trained against. constant: the constant decoder there.
    """

    model: str
    arch: str
    likelihood: str
    latent: int
    recipe: str
    eps: float
    target: str
    kappa: float | None
    parameters: int
    active_units: int
    clean: float | None
    recon: float | None
    kl: float | None
    constant: float | None

    def __post_init__(self) -> None:
        _check(
            _NAME.fullmatch(self.model) and not self.model.startswith((CONSTANT, CEILING)),
            "model",
            self.model,
        )
        _check(self.arch in ARCHITECTURES, "arch", self.arch)
        _check(self.likelihood in LIKELIHOODS, "likelihood", self.likelihood)
        _check(_WORD.fullmatch(self.recipe), "recipe", self.recipe)
        _check(0 <= self.eps <= 1, "eps", self.eps)
        object.__setattr__(self, "eps", float(f"{self.eps:.12g}"))  # as it can be typed
        _check(self.target in (*TARGETS, ""), "target", self.target)
        for field in ("latent", "parameters", "active_units"):
            _check(_count(getattr(self, field), least=0), field, getattr(self, field))

    @property
    def kind(self) -> str:
        """The recipe; STANDARD for the plain ELBO."""
        return STANDARD if self.recipe == "plain" else self.recipe

    @property
    def robust(self) -> bool:
        return self.kind in CERTIFIED


@dataclass(frozen=True)
class Results:
    """All that was evaluated. `entries` and `means` are in the order of the files."""

    folder: Path
    suite: SuiteRecord
    entries: tuple[ModelRow, ...]
    means: tuple[Mean, ...]

    @cached_property
    def _lines(self) -> dict[tuple[str, str, str, str, int], tuple[Mean, ...]]:
        found: dict[tuple[str, str, str, str, int], list[Mean]] = {}
        for mean in sorted(self.means, key=lambda mean: mean.eps):
            key = (mean.model, mean.target, mean.quantity, mean.method, mean.images)
            found.setdefault(key, []).append(mean)
        return {key: tuple(line) for key, line in found.items()}

    def line(
        self, model: str, target: str, quantity: str, method: str, images: int | None
    ) -> tuple[Mean, ...]:
        """Means by eps, ascending; empty if there are none over so many images."""
        return () if images is None else self._lines.get((model, target, quantity, method, images), ())

    def curve(
        self, model: str, target: str, quantity: str, method: str, images: int | None
    ) -> tuple[Mean, ...]:
        """The line and what is known besides: at eps 0 all is clean, and what was skipped is vacuous.

        method TIGHTEST: at each eps the largest mean that a certificate proves there or at a larger eps,
        whose ball contains the smaller one.
        """
        if method == TIGHTEST:
            return self._tightest(model, target, quantity, images)
        line = {mean.eps: mean for mean in self.line(model, target, quantity, method, images)}
        clean = None if images is None else self.clean(model, target, 0, images)
        skipped = self._skipped.get((model, target, method), ())
        if images is None or clean is None or not (line or skipped):
            return tuple(line.values())
        base = replace(clean, target=target, eps=0, quantity=quantity, method=method)
        line.setdefault(0, base)
        lost = {"mean": -math.inf, "low": -math.inf, "high": -math.inf, "vacuous": None}
        for eps in skipped:
            line.setdefault(eps, replace(base, eps=eps, **lost))
        return tuple(line[eps] for eps in sorted(line))

    def _tightest(self, model: str, target: str, quantity: str, images: int | None) -> tuple[Mean, ...]:
        curves = (self.curve(model, target, quantity, method, images) for method in METHODS)
        known = [mean for curve in curves for mean in curve]
        found, best = [], None
        for eps in sorted({mean.eps for mean in known}, reverse=True):
            here = [replace(best, eps=eps)] if best is not None else []
            best = max((*here, *(mean for mean in known if mean.eps == eps)), key=lambda mean: mean.mean)
            found.append(best)
        return tuple(found[::-1])

    @cached_property
    def _skipped(self) -> dict[tuple[str, str, str], list[float]]:
        found: dict[tuple[str, str, str], list[float]] = {}
        for model, target, method, eps in self.suite.skipped:
            found.setdefault((model, target, method), []).append(eps)
        return found

    def clean(self, model: str, target: str, eps: float, images: int) -> Mean | None:
        """Clean depends neither on eps nor on the target, but for the constant decoder, which is fitted."""
        line = self.line(model, target, "clean", "", images)
        if exact := [mean for mean in line if mean.eps == eps]:
            return exact[0]
        if model.startswith(CONSTANT):
            return None
        others = (self.line(model, other, "clean", "", images) for other in ("", *TARGETS))
        return next((mean for means in (line, *others) for mean in means), None)

    def sizes(self, target: str, attack: str, certificate: str) -> tuple[int | None, int | None]:
        """Over how many images to show an attack and a certificate: the most that both cover.

        The most of each where they have none in common; None for one that was not run. Of numbers of images
        only those count that a method covers of the most models.
        """
        attacked = self._images(target, "attacked", attack)
        certified = self._images(target, "certified", certificate)
        if both := attacked & certified:
            return max(both), max(both)
        return max(attacked, default=None), max(certified, default=None)

    def decoder(self, likelihood: str, target: str, images: int | None) -> tuple[str, int | None]:
        """The constant decoder of a likelihood, and over how many images it was evaluated: over so many if
        it was, else over the most."""
        name = f"{CONSTANT}-{likelihood}"
        found = {key[4] for key in self._lines if key[:3] == (name, target, "certified")}
        return name, images if images in found else max(found, default=None)

    def ceiling(self, likelihood: str, target: str, images: int | None) -> tuple[Mean, ...]:
        """The ceiling of a likelihood over the images of `decoder`, by eps; empty if not computed."""
        _, over = self.decoder(likelihood, target, images)
        return self.line(f"{CEILING}-{likelihood}", target, "ceiling", CLOSED_FORM, over or 0)

    def _images(self, target: str, quantity: str, method: str) -> set[int]:
        methods = METHODS if method == TIGHTEST else (method,)
        lines = {(*key[:3], key[4]) for key in self._lines if key[3] in methods}
        models = Counter(images for _, *asked, images in lines if asked == [target, quantity])
        return {images for images, count in models.items() if count == max(models.values())}

    def methods(self, quantity: str) -> tuple[str, ...]:
        """Attacks or certificates that were run on models, from fast to tight."""
        used = {mean.method for mean in self.means if mean.quantity == quantity}
        return tuple(m for m in QUANTITIES[quantity] if m in used and m != CLOSED_FORM)

    @property
    def radii(self) -> tuple[float, ...]:
        return tuple(sorted({mean.eps for mean in self.means}))

    def entry(self, model: str) -> ModelRow:
        return next(entry for entry in self.entries if entry.model == model)


def frontier(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the points that no other point beats in one value and equals in the other, by the
    first value, ascending."""
    best, kept = -math.inf, []
    for i in sorted(range(len(points)), key=lambda i: points[i], reverse=True):
        if points[i][1] > best:
            best = points[i][1]
            kept.append(i)
    return kept[::-1]


def as_csv(means: Iterable[Mean]) -> str:
    """Rows in the form of summary.csv."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, [field.name for field in fields(Mean)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(mean) for mean in means)
    return file.getvalue()


def _count(value: object, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def _check(good: object, field: str, value: object) -> None:
    if not good:
        raise ValueError(f"{field} is {str(value)[:80]!r}")
