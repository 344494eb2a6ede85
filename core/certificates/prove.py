"""certify and refine: from a question about images to a Certificate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from core.bounds.interval import Interval
from core.certificates.certificate import Certificate, conclude
from core.certificates.elbo_bounds.layer_bounds import LateIntervals, LayerInterval
from core.certificates.elbo_bounds.robust_elbo import ROWS, separate_terms
from core.certificates.guard import Guard
from core.certificates.methods import METHODS, Clock, Effort, reports, stages
from core.certificates.noise_certificate import DRAWS, Guarantee, noise_certificate
from core.certificates.question import Question, check_question
from core.certificates.stage import Stage, interval_worst
from core.device import plain_convolutions
from core.errors import Cancelled
from core.isolation import isolated, isolated_steps
from core.vae.model import VAE
from core.vae.threat import Threat

# Images x draws that are relaxed together: several times as fast as one by one.
_TOGETHER = 64
# Images whose linear bounds are tightened and optimised together.
_OPTIMISED = 16
# Methods whose intervals are those of interval propagation, which can be computed again.
_INTERVALS = METHODS[:2]

Progress = Callable[[int, int], None]
"""Called with (steps done, of how many); raise core.errors.Cancelled in it to stop."""


@isolated()
def certify(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    *,
    eps: float | Tensor,
    target: str = "likelihood",
    method: str = "ibp",
    norm: str = "linf",
    side: str = "lower",
    states: str = "draws",
    arithmetic: str = "float64",
    alpha: float = 0.01,
    delta: float = 0.05,
    draws: int = 16_384,
    seed: int = 0,
    iterations: int = 50,
    seconds: float = math.inf,
    progress: Progress | None = None,
) -> Certificate:
    """A bound on the ELBO that no x' in the ball of radius eps can pass.

    x       images (B, C, H, W) in [0, 1].
    noise   draws (S, k); for states "draws" the bound holds for the mean over exactly these draws.
    eps     radius, a number in [0, 1] or one an image (B,); up to sqrt(pixels) for norm "l2".
    target  "likelihood" scores x' itself, "reconstruction" the clean image x.
    method  "ibp": interval propagation, the paper's robust ELBO.
            "crown-ibp": one backward pass of linear bounds over those intervals.
            "crown": the intervals tightened layer by layer by linear bounds of their own.
            "alpha-crown": the slopes of the last pass optimised.
            "quadratic": bounds of the layers by semidefinite relaxation of the encoder (`sdp_tightening`),
            then the ELBO as one quadratic of pixels and relaxation errors (`elbo_quadratic`), for norm
            "linf" and side "lower"; elsewhere it is alpha-crown.
            "bab": branch and bound on the posterior over the same bounds, after three times the steps of
            quadratic where linear bounds are far off. Each is at least as tight as the ones before it, but
            bab as quadratic only where it starts with that.
    norm    "linf": at most eps a pixel; "l2": at most eps in Euclidean distance. Cut to [0, 1] in both.
    side    "lower": no attack gets below; "upper": no x' in the ball looks more likely than this.
    states  "draws", or "expectation" and "coverage", which take `draws` noise draws of their own, made
            with `seed`, and do not use `noise`; see Certificate. Only for side "lower".
    arithmetic  precision of the forward pass that the bound has to cover: "float64", what `elbo` and
            the scores of `attack` are evaluated in, or "float32", the network as it is deployed.
    alpha, delta  see Certificate.states.
    iterations  optimisation steps of alpha-crown, a quarter of those of quadratic, rounds of splits of bab.
    seconds  time for one image; the methods from alpha-crown on stop there with the best bound so far.
    progress  called as progress(done, total); where it raises Cancelled the best bounds so far are
            returned (for states "draws"; a sample that is not whole proves nothing), any other exception
            passes through.

    Computed in float64 and widened, step by step, by the most that rounding in that arithmetic can
    do in any order of summation (core.bounds.rounding); `margin` says what this costs. It assumes IEEE
    arithmetic, sums of products in any order.

    Raises InputError for arguments that are not as above, UnsupportedLayerError for a model with a layer
    that the method has no rule for, UnsupportedModelError for one whose call is not what its layers compute
    (vae.consistency), UnsoundBoundError where an image of the ball beats what was found: a fault of ours,
    in place of a false certificate (core.certificates.guard).

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, draws=4)
    >>> proved = core.certify(vae, x, noise, eps=0.05, method="crown-ibp")
    >>> bool((proved.lower <= core.attack(vae, x, noise, eps=0.05, steps=10).elbo).all())
    True
    >>> proved.statement(0)[:60]
    "For every image x' with pixels in [0, 1] within 0.05 of this"
    """
    threat, effort = Threat(eps, target, norm, side), Effort(method, arithmetic, iterations, seconds)
    return prove(vae, x, noise, threat, effort, Guarantee(states, alpha, delta, draws, seed), progress)


@isolated()
@plain_convolutions()
def prove(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    threat: Threat,
    effort: Effort,
    guarantee: Guarantee = DRAWS,
    progress: Progress | None = None,
) -> Certificate:
    """Certify images with what `certify` was asked as values."""
    question = check_question(vae, x, noise, threat, effort)
    if guarantee.states != "draws":
        return noise_certificate(question, guarantee, progress)
    run = _Run(question)
    for _ in run.steps():
        try:
            if progress is not None:
                progress(run.done, run.total)
        except Cancelled:
            break
    return run.certificate()


@isolated_steps
def refine(
    vae: VAE,
    x: Tensor,
    noise: Tensor,
    *,
    eps: float | Tensor,
    target: str = "likelihood",
    method: str = "alpha-crown",
    norm: str = "linf",
    side: str = "lower",
    arithmetic: str = "float64",
    iterations: int = 50,
    seconds: float = math.inf,
    clock: Clock = time.monotonic,
) -> Iterator[Certificate]:
    """The certificates on the way to `certify`, each at least as tight as the one before.

    The first, by interval propagation, comes at once. Stop iterating when it is tight enough. Arguments
    and errors are those of `certify`. clock counts the seconds: time.thread_time leaves out what other
    threads compute meanwhile.

    >>> vae = core.load_model("mnist-mlp-robust-0.1")
    >>> x, noise = core.load_samples("mnist")[0][:2], core.sample_noise(vae, draws=4)
    >>> for proved in core.refine(vae, x[:1], noise, eps=0.05, iterations=10):
    ...     if proved.lower.item() > -300:
    ...         break
    >>> proved.method in ("ibp", "crown-ibp", "crown", "alpha-crown")
    True
    """
    with plain_convolutions():
        effort = Effort(method, arithmetic, iterations, seconds, clock)
        run = _Run(check_question(vae, x, noise, Threat(eps, target, norm, side), effort))
        steps = run.steps()
    while True:
        with plain_convolutions():  # for the step alone: the caller's own work goes on between two
            if next(steps, StopIteration) is StopIteration:
                return
            found = run.certificate()
        yield found


class _Run:
    """All images of a question, some at a time; keeps the last stage of each part."""

    def __init__(self, question: Question) -> None:
        self._question = question
        count, draws = len(question.asked.eps), len(question.noise)
        some = max(1, _TOGETHER // draws)
        # Beyond alpha-crown what is computed is of one image each.
        together = {"ibp": ROWS, "crown-ibp": some, "crown": min(some, _OPTIMISED)}
        together["alpha-crown"] = together["crown"]
        size = together.get(question.effort.method, 1)
        self._parts = [slice(start, start + size) for start in range(0, count, size)]
        self.done, self.total = 0, reports(question.effort, draws) * len(self._parts)
        self._guard = Guard(question)
        self._stages: list[Stage] = []
        self._values: list[dict[str, Tensor]] = []

    @torch.no_grad()
    def steps(self) -> Iterator[None]:
        """Yields after every step; the first one gives every image its interval bound."""
        left = []
        for part in self._parts:
            run = self._stages_of(part)
            first = next(run)
            self._stages.append(_without_intervals(first))
            self._values.append({"ibp": first.value})
            # Of many parts none waits for its turn with its intervals: they are computed again then.
            left.append(run if len(self._parts) == 1 else None)
        self.done = len(self._parts)
        yield
        for index, run in enumerate(left if self._question.effort.method != "ibp" else []):
            done = len(left) + (index + 1) * (self.total // len(left) - 1)
            for stage in run or islice(self._stages_of(self._parts[index]), 1, None):
                self._stages[index] = _without_intervals(stage)
                self._values[index][stage.method] = stage.value
                self.done = min(self.done + 1, done)
                yield
            self.done = done

    def _stages_of(self, part: slice) -> Iterator[Stage]:
        relaxation, effort = self._question.relaxation(part), self._question.effort
        run = stages(relaxation, replace(effort, seconds=effort.seconds * len(relaxation.ball.eps)))
        return (_within(stage, relaxation.arithmetic.largest) for stage in run)

    def certificate(self) -> Certificate:
        """What is proved so far."""
        question, found = self._question, list(self._stages)
        threat, likelihood, pixels = question.threat, question.vae.likelihood, question.vae.config.pixels
        names = [name for name in METHODS if any(name in values for values in self._values)]
        by_method = {name: torch.cat([_up_to(name, v) for v in self._values]) for name in names}
        floor = likelihood.floor(pixels)
        terms = [self._terms(part, stage) for part, stage in zip(self._parts, found, strict=True)]
        recon, kl = (torch.cat(column) for column in zip(*terms, strict=True))
        points = [stage.minimiser for stage in found if stage.minimiser is not None]
        minimiser = torch.cat(points) if len(points) == len(found) else None
        value = torch.cat([stage.value for stage in found])
        self._guard.check(value, minimiser, names[-1])
        lower, upper, vacuous = conclude(value, threat.side, floor)
        return Certificate(
            lower=lower,
            upper=upper,
            vacuous=vacuous,
            side=threat.side,
            recon=recon,
            kl=kl,
            margin=torch.cat([stage.margin for stage in found]),
            method=names[-1],
            by_method={name: question.weight * value for name, value in by_method.items()},
            states="draws",
            target=threat.target,
            eps=question.asked.eps,
            norm=threat.norm,
            draws=len(question.noise),
            arithmetic=question.effort.arithmetic,
            intervals=LateIntervals(lambda: self._named(found)),
            minimiser=None if minimiser is None else question.asked.project(minimiser),
            witness=tuple(s for stage in found for s in stage.slopes or (None,) * len(stage.value)),
        )

    def _terms(self, part: slice, stage: Stage) -> tuple[Tensor, Tensor]:
        relaxation = self._question.relaxation(part)
        weight, arithmetic = relaxation.weight, relaxation.arithmetic
        if stage.bounds is None:
            terms = interval_worst(relaxation)
        else:
            terms = separate_terms(relaxation.vae, stage.bounds, relaxation.scored, weight, arithmetic)
        worst, best = (-torch.inf, torch.inf) if weight > 0 else (torch.inf, 0.0)
        recon = terms.recon.nan_to_num(nan=worst, posinf=worst, neginf=worst)
        return recon, terms.kl.nan_to_num(nan=best, posinf=best, neginf=best)

    @isolated()
    @plain_convolutions()
    @torch.no_grad()
    def _named(self, found: list[Stage]) -> list[LayerInterval]:
        parts = []
        for part, stage in zip(self._parts, found, strict=True):
            bounds = stage.bounds or self._question.relaxation(part).interval_bounds()
            parts.append(bounds.named(self._question.vae))
        return _joined(parts)


def _within(stage: Stage, largest: float) -> Stage:
    """A stage without bounds so large that the network's difference of two finite terms may overflow."""
    return replace(stage, value=torch.where(stage.value.abs() < largest / 2, stage.value, -torch.inf))


def _without_intervals(stage: Stage) -> Stage:
    return replace(stage, bounds=None) if stage.method in _INTERVALS else stage


def _up_to(method: str, values: dict[str, Tensor]) -> Tensor:
    """The bound after a method, or after the last one before it that was taken."""
    *_, last = (values[name] for name in METHODS[: METHODS.index(method) + 1] if name in values)
    return last


def _joined(parts: list[list[LayerInterval]]) -> list[LayerInterval]:
    """The images of several parts one after the other, layer by layer."""
    joined = []
    for layers in zip(*parts, strict=True):
        name = layers[0].name
        images = 1 if name.per_draw else 0
        ends = [torch.cat(end, images) for end in zip(*(_ends(x) for x in layers), strict=True)]
        joined.append(LayerInterval(name, Interval(ends[0], ends[1])))
    return joined


def _ends(layer: LayerInterval) -> tuple[Tensor, Tensor]:
    return layer.interval.lower, layer.interval.upper
