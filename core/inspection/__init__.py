"""Layer by layer: what one image's ball does to a VAE, for people who want to look inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from core.attacks import Progress, Search, find_worst
from core.attacks.objective import Evaluation
from core.bounds.ball import Ball
from core.certificates.certificate import conclude
from core.certificates.elbo_bounds.alpha import default_slopes, optimise
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.elbo_bounds.robust_elbo import separate_terms
from core.certificates.methods import REPORT, Effort, stages
from core.certificates.question import check_question
from core.certificates.stage import MIXES, Stage
from core.device import plain_convolutions
from core.errors import InputError
from core.inspection.layers import Layer, Units, describe_layers, layer_names, some_values, values_of
from core.inspection.losses import CODE, REST, Losses, linear_losses
from core.inspection.relaxed import LIKELIHOOD, Plane, Relaxed, unit_counts, unit_values, values_taken
from core.isolation import isolated
from core.vae.elbo import elbo
from core.vae.model import VAE
from core.vae.threat import Threat
from core.vae.validate import check_count, check_images, check_seed

METHODS = ("ibp", "crown")
"""Whose intervals are shown: interval propagation, and the same tightened layer by layer."""

__all__ = [
    "CODE",
    "LIKELIHOOD",
    "METHODS",
    "REST",
    "Inspection",
    "Layer",
    "Losses",
    "Path",
    "Plane",
    "Relaxed",
    "Terms",
    "Units",
    "inspect_layers",
    "layer_names",
    "some_values",
    "unit_counts",
    "unit_values",
]


@dataclass(frozen=True)
class Terms:
    """An ELBO, or a bound on it, in nats: total = recon - kl."""

    recon: float
    kl: float

    @property
    def total(self) -> float:
        return self.recon - self.kl


@dataclass(frozen=True)
class Path:
    """The attack's T points as the encoder sees them: mu, logvar (T, k); elbo (T,) as the search saw it.

    best  position of the point that counts: the lowest, the clean one where nothing was gained.
    """

    mu: Tensor
    logvar: Tensor
    elbo: Tensor
    best: int


@dataclass(frozen=True)
class Inspection:
    """One image's ball, layer by layer; nats, float64.

    layers    in the order of the forward pass.
    clean, attained  the ELBO of the image, and of x_adv, (1, C, H, W).
    separate  method -> bounds on the two terms alone, from its intervals: total <= ELBO(x') for all x'.
    vacuous   method -> whether that total says nothing.
    losses    the linear bounds whose slack can be divided, from fast to tight.
    taken     what the units of each Relaxed of them take for the clean image, x_adv and the samples, in
              this order: a tensor (P, D, ...) an input, by name.
    """

    layers: tuple[Layer, ...]
    clean: Terms
    attained: Terms
    x_adv: Tensor
    path: Path
    separate: dict[str, Terms]
    vacuous: dict[str, bool]
    losses: tuple[Losses, ...]
    taken: Mapping[str, tuple[Tensor, ...]]


@isolated()
@plain_convolutions()
def inspect_layers(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    *,
    eps: float,
    target: str = "likelihood",
    norm: str = "linf",
    steps: int = 40,
    samples: int = 16,
    iterations: int = 50,
    seed: int = 0,
    progress: Progress | None = None,
) -> Inspection:
    """Intervals of every layer over the ball of one image x (1, C, H, W), by IBP and by CROWN, beside the
    values of the clean image, of the one that PGD found in `steps` steps, and of `samples` others: random
    points of the ball and, in turn, corners of it (l_2: points of its surface).

    iterations  optimisation steps of alpha-crown, whose losses are the last of `losses`.
    progress    called as progress(done, total) after each step; raise in it to cancel.

    Of a graph its values are shown in order, but for those that only stand in other places. Other arguments
    and errors as in `core.certify`. Intervals hold for the network in float64.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, draws=4)
    >>> found = core.inspect_layers(vae, x[:1], noise[:1], eps=0.05, steps=2, samples=2, iterations=2)
    >>> found.layers[0].name
    'input'
    """
    threat = Threat(eps, target, norm)
    question = check_question(vae, x, noise, threat, Effort("alpha-crown"))
    x = check_images(vae, x)
    if len(x) != 1:
        raise InputError(f"inspect_layers looks at one image; the batch has {len(x)}.")
    check_count("samples", samples, 1_000)
    tick = _Ticks(progress, steps + 1 + 3 + check_count("iterations", iterations, 10_000))
    evaluations = list[Evaluation]()
    search = Search(steps=steps, seed=seed)
    found = find_worst(
        vae, x, noise, threat, search, progress=lambda done, total: tick(), watch=evaluations.append
    )
    relaxation, known = question.relaxation(), dict[str, Stage]()
    for stage in stages(relaxation, Effort("crown")):
        known[stage.method] = stage
        tick()
    bounds = {method: _bounds(known[method]) for method in METHODS}
    ball = threat.balls(x)
    points = torch.cat([x, found.x_adv, *_samples(ball, samples, check_seed(seed))]).double()
    likelihood, scored = question.vae.likelihood, threat.scored(x)
    clean, attained = elbo(vae, x, noise), elbo(vae, found.x_adv, noise, scored)
    floor = likelihood.floor(vae.config.pixels)
    separate = {method: _separate(relaxation, bounds[method]) for method in METHODS}
    seen = values_of(question.vae, points, question.noise)
    images = points if scored is None else scored.double().expand_as(points)
    return Inspection(
        layers=describe_layers(question.vae, bounds, seen),
        clean=Terms(clean.recon.item(), clean.kl.item()),
        attained=Terms(attained.recon.item(), attained.kl.item()),
        x_adv=found.x_adv,
        path=_path(relaxation, evaluations),
        separate=separate,
        vacuous={method: _says_nothing(terms.total, floor) for method, terms in separate.items()},
        losses=tuple(_losses(relaxation, known, iterations, tick)),
        taken=values_taken(question.vae, seen, images),
    )


def _says_nothing(bound: float, floor: float) -> bool:
    value = torch.tensor(bound, dtype=torch.float64, device="cpu")
    return bool(conclude(value, "lower", floor)[2])


def _bounds(stage: Stage) -> LayerBounds:
    assert stage.bounds is not None, "they are there on the way to crown"
    return stage.bounds


class _Ticks:
    """Counts steps for a progress callback."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


def _samples(ball: Ball, count: int, seed: int) -> Iterator[Tensor]:
    """Draw random points and, in turn, corners in random directions."""
    generator = torch.Generator("cpu").manual_seed(seed)
    for index in range(count):
        if index % 2 == 0:
            yield ball.random(generator)
        else:
            way = torch.randn(ball.center.shape, generator=generator, dtype=ball.center.dtype, device="cpu")
            yield ball.project(ball.minimiser(way.to(ball.center.device)))


@torch.no_grad()
def _path(relaxation: Relaxation, evaluations: list[Evaluation]) -> Path:
    """The posteriors of the points that the search proposed."""
    mu, logvar = relaxation.vae.encode(torch.cat([e.point for e in evaluations]).double())
    values = torch.cat([e.elbo for e in evaluations]).double()
    return Path(mu, logvar, values, int(values.nan_to_num(nan=torch.inf).argmin()))


def _separate(relaxation: Relaxation, bounds: LayerBounds) -> Terms:
    """The worst case of each term alone; a bound that is no number bounds nothing."""
    terms = separate_terms(
        relaxation.vae, bounds, relaxation.scored, relaxation.weight, relaxation.arithmetic
    )
    recon = terms.recon.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
    kl = terms.kl.nan_to_num(nan=torch.inf, posinf=torch.inf)
    return Terms(recon.item(), kl.item())


@torch.no_grad()
def _losses(
    relaxation: Relaxation, known: dict[str, Stage], iterations: int, tick: _Ticks
) -> Iterator[Losses]:
    """Divide the slack of linear bounds over the intervals of each method, then of optimised ones."""
    bounds, best = _bounds(known["crown"]), None
    mixes = bounds.decoder[-1].lower.new_tensor(MIXES).view(-1, 1, 1, 1, 1)
    found = linear_losses(relaxation, _bounds(known["ibp"]), Slopes(), mixes, "crown-ibp")
    if found is not None:
        yield found
    found = linear_losses(relaxation, bounds, Slopes(), mixes, "crown")
    if found is None:
        return  # slopes do not mend intervals without ends
    yield found
    slopes = default_slopes(relaxation, bounds)
    assert slopes.mix is not None
    for done, _ in enumerate(optimise(relaxation.exact(), bounds, slopes, iterations), 1):
        if done % REPORT == 0 or done == iterations:
            now = linear_losses(relaxation, bounds, slopes, slopes.mix[None], "alpha-crown")
            if now is not None and (best is None or now.proved > best.proved):
                best = now
        tick()
    if best is not None:
        yield best
