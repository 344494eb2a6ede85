"""How a bound is computed: six methods, each starting from the one before it, from fast to tight."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch

from core.bounds.rounding import ARITHMETICS, proved
from core.certificates.elbo_bounds.alpha import default_slopes, optimise
from core.certificates.elbo_bounds.branching import Branching, take_images
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes, used
from core.certificates.semidefinite.build_quadratic import QuadraticBuilder
from core.certificates.semidefinite.dual_ascent import DualAscent
from core.certificates.semidefinite.sdp_tightening import sharpened
from core.certificates.stage import (
    Stage,
    better_stage,
    interval_stage,
    interval_stage_with_bounds,
    plane_stage,
)
from core.vae.elbo import elbo_terms
from core.vae.validate import check_choice, check_count, check_seconds

Clock = Callable[[], float]
"""Seconds since some moment, as time.monotonic."""

# Optimisation steps between two bounds that are reported.
REPORT = 10
# Steps of the quadratic for each of the iterations that are asked for.
QUADRATIC = {"quadratic": 4, "bab": 6}
# Steps between two proofs for the quadratic, each as dear as ten of them; no more than so large a value.
_PROVE, _LARGEST = 50, 1e6


@dataclass(frozen=True)
class Method:
    """One step from the bounds of the methods before it to a tighter one.

    run         takes that step: improves a `_Work` and yields where a bound can be reported.
    reports     about how often it yields, for progress; takes the effort and the number of draws.
    optimises   whether it gets tighter with iterations, and so starts only while there is time.
    exact_forms whether it takes layers as affine forms, equal up to bounded errors (semidefinite.zonotope).
    """

    name: str
    run: Callable[[_Work], Iterator[None]]
    reports: Callable[[Effort, int], int]
    optimises: bool = False
    exact_forms: bool = False


@dataclass
class _Work:
    """How far a run has come: the bounds of all layers, the slopes and the best stage so far.

    end  when the time is over, on the effort's clock.
    """

    relaxation: Relaxation
    effort: Effort
    stage: Stage
    bounds: LayerBounds
    end: float
    slopes: Slopes = field(default_factory=Slopes)

    def late(self, end: float | None = None) -> bool:
        return self.effort.clock() > (self.end if end is None else end)


def stages(relaxation: Relaxation, effort: Effort) -> Iterator[Stage]:
    """Bounds for B balls, each at least as tight as the one before; the first needs no backward pass.

    The seconds of the effort count from when the second bound began; methods that optimise end with them.
    """
    if effort.method == "ibp":
        yield interval_stage(relaxation)
        return
    stage, bounds = interval_stage_with_bounds(relaxation)
    yield stage
    # Not before: many balls may wait for their turn behind this yield.
    work = _Work(relaxation, effort, stage, bounds, effort.clock() + effort.seconds)
    for method in steps_to(effort.method)[1:]:
        if method.optimises and method.name != OPTIMISING[0] and work.late():
            return
        for _ in method.run(work):
            yield work.stage


def _take_planes(work: _Work) -> Iterator[None]:
    """Linear bounds over the intervals of interval propagation."""
    work.stage = plane_stage(work.stage, work.relaxation, work.bounds, "crown-ibp")
    yield


def _tighten_layers(work: _Work) -> Iterator[None]:
    """Intervals by linear bounds of their own, layer by layer."""
    relaxation, tight = work.relaxation, list[LayerBounds]()
    for images in relaxation.together(work.bounds):
        if tight:
            yield
        tight.append(relaxation.take(images).tighten(work.bounds.take(images)))
    work.bounds = LayerBounds.joined(tight)
    work.stage = plane_stage(work.stage, work.relaxation, work.bounds, "crown")
    yield


def _optimise_slopes(work: _Work, name: str = "alpha-crown") -> Iterator[None]:
    """The slopes of the linear bound; what counts is the bound from what float32 can hold of them, which
    is what a certificate's witness holds."""
    relaxation, bounds, iterations = work.relaxation, work.bounds, work.effort.iterations
    work.slopes, linear = default_slopes(relaxation, bounds), LinearBounds(relaxation, bounds)
    for done, _ in enumerate(optimise(relaxation.exact(), bounds, work.slopes, iterations), 1):
        late = work.late()
        if done % REPORT == 0 or done == iterations or late:
            held = work.slopes.to(torch.float32).to(work.stage.value.dtype)
            assert held.mix is not None
            found = better_stage(work.stage, linear, held, held.mix[None], name)
            work.stage = replace(found, slopes=_better_slopes(work, found, held))
            yield
        if late:
            return


def _better_slopes(work: _Work, found: Stage, held: Slopes) -> tuple[Slopes | None, ...]:
    """The slopes of the images whose bounds they have raised; for the others those of before."""
    before = work.stage.slopes or (None,) * len(found.value)
    better = (found.value > work.stage.value).nonzero()[:, 0]
    if len(better) == 0:
        return before
    exact, after = used(held, work.bounds, work.relaxation.vae), list(before)
    for index in better.split(1):
        after[int(index)] = take_images(exact, index, work.bounds.draws)
    return tuple(after)


def _quadratic_step(work: _Work) -> Iterator[None]:
    """Semidefinite bounds of the layers for half of the time, slopes over them, then the quadratic."""
    relaxation, method = work.relaxation, work.effort.method
    if not _tame(relaxation, work.bounds):
        return
    half = (work.effort.clock() + work.end) / 2
    for sharper in sharpened(relaxation, work.bounds, work.effort.iterations):
        work.bounds = sharper
        yield
        if work.late(half):
            break
    work.bounds = relaxation.tighten_decoder(work.bounds)
    yield from _optimise_slopes(work, "quadratic")
    if method == "quadratic" or _far(relaxation, work.stage):
        yield from _optimise_quadratic(work)


def _branch(work: _Work) -> Iterator[None]:
    """Branch and bound on the posterior."""
    for value in Branching(work.relaxation, work.bounds, work.slopes).run(work.effort.iterations):
        best = torch.maximum(work.stage.value, proved(value))
        work.stage = Stage(best, "bab", work.bounds, work.stage.minimiser, work.stage.margin)
        yield
        if work.late():
            return


def _reports(effort: Effort) -> int:
    return -(-effort.iterations // REPORT)


def _quadratic_reports(effort: Effort, draws: int) -> int:
    """Of the encoder's layers, then two of the decoder's draw by draw, a chunk or two each; of the slopes;
    of the quadratic."""
    return 5 + 3 * draws + (1 + QUADRATIC[effort.method]) * _reports(effort) + 1


TABLE = (
    Method("ibp", lambda work: iter(()), lambda effort, draws: 1),
    Method("crown-ibp", _take_planes, lambda effort, draws: 1),
    Method("crown", _tighten_layers, lambda effort, draws: 1),
    Method("alpha-crown", _optimise_slopes, lambda effort, draws: _reports(effort), optimises=True),
    Method("quadratic", _quadratic_step, _quadratic_reports, optimises=True, exact_forms=True),
    Method("bab", _branch, lambda effort, draws: effort.iterations, optimises=True, exact_forms=True),
)
"""From fast to tight; each starts from what the ones before it found."""
METHODS = tuple(method.name for method in TABLE)
OPTIMISING = tuple(method.name for method in TABLE if method.optimises)
FORMS = tuple(method.name for method in TABLE if method.exact_forms)


@dataclass(frozen=True)
class Effort:
    """How a bound is computed, and for how long.

    method      a name in METHODS. arithmetic: the one of the forward pass that it has to cover.
    iterations  optimisation steps of alpha-crown, a quarter of those of quadratic, rounds of splits of bab.
    seconds     for one image; clock counts them.

    Raises InputError for what these cannot be.
    """

    method: str = "ibp"
    arithmetic: str = "float64"
    iterations: int = 50
    seconds: float = math.inf
    clock: Clock = time.monotonic

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_choice("arithmetic", self.arithmetic, tuple(ARITHMETICS))
        object.__setattr__(self, "iterations", check_count("iterations", self.iterations))
        object.__setattr__(self, "seconds", check_seconds(self.seconds))


def steps_to(method: str) -> tuple[Method, ...]:
    """The methods on the way to one, itself included."""
    return TABLE[: METHODS.index(method) + 1]


def reports(effort: Effort, draws: int) -> int:
    """About how many bounds `stages` gives, for progress."""
    return sum(method.reports(effort, draws) for method in steps_to(effort.method))


def _far(relaxation: Relaxation, stage: Stage) -> bool:
    """Whether a bound is farther below the ELBO at its minimiser than half of what that is below clean:
    leaves of linear bounds would then be too many."""
    if stage.minimiser is None:
        return True
    points = torch.cat([relaxation.ball.center, stage.minimiser])
    scored = points if relaxation.moves else relaxation.ball.center.expand_as(points)
    recon, kl = elbo_terms(relaxation.vae, points, relaxation.noise, scored)
    clean, worst = relaxation.weight * (recon - kl)
    return bool(worst - stage.value > (clean - worst) / 2)


def _tame(relaxation: Relaxation, bounds: LayerBounds) -> bool:
    """Whether the quadratic is worth its while: it is one of a box, bounds ELBOs from below, and squares
    what it is given."""
    largest = max(x.magnitude.max().item() for x in [*bounds.encoder, *bounds.decoder])
    return relaxation.ball.norm == "linf" and relaxation.weight > 0 and largest < _LARGEST


def _optimise_quadratic(work: _Work) -> Iterator[None]:
    """For a single ball: optimises the quadratic, proves what it has arrived at from time to time."""
    relaxation, bounds = work.relaxation, work.bounds
    steps = work.effort.iterations * QUADRATIC[work.effort.method]
    point = relaxation.ball.center if work.stage.minimiser is None else work.stage.minimiser
    search = DualAscent(QuadraticBuilder(relaxation, bounds), point, work.slopes, steps)

    def state(stage: Stage) -> Stage:
        value, margin = search.prove()
        better = value > stage.value
        margin = torch.where(better, margin, stage.margin)
        return Stage(torch.where(better, value, stage.value), "quadratic", bounds, stage.minimiser, margin)

    for done, _ in enumerate(search.run()):
        if work.late():
            break
        if done > 0 and done % _PROVE == 0:
            work.stage = state(work.stage)
        if done % REPORT == 0:
            yield
    work.stage = state(work.stage)
    yield
