"""How a bound is computed: six methods, each starting from the one before it, from fast to tight."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.bounds.rounding import proved
from core.certificates.elbo_bounds.alpha import default_slopes, optimise
from core.certificates.elbo_bounds.branching import Branching
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes, used
from core.certificates.elbo_bounds.robust_elbo import RobustELBO, interval_terms, separate_terms
from core.certificates.semidefinite.build_quadratic import QuadraticBuilder
from core.certificates.semidefinite.dual_ascent import DualAscent
from core.certificates.semidefinite.sdp_tightening import sharpened
from core.vae.elbo import elbo_terms

Clock = Callable[[], float]
"""Seconds since some moment, as time.monotonic."""

METHODS = ("ibp", "crown-ibp", "crown", "alpha-crown", "quadratic", "bab")
OPTIMISING = METHODS[3:]
"""Those that get tighter with iterations."""
FORMS = METHODS[4:]
"""Those that take layers as affine forms, equal up to bounded errors (semidefinite.zonotope)."""

# Optimisation steps between two bounds that are reported.
REPORT = 10
# Steps of the quadratic for each of the iterations that are asked for.
QUADRATIC = {"quadratic": 4, "bab": 6}
# Steps between two proofs for the quadratic, each as dear as ten of them; no more than so large a value.
_PROVE, _LARGEST = 50, 1e6
# Planes at the likelihood that are tried before any optimisation.
MIXES = (0.5, 1.0, 0.0)


@dataclass(frozen=True)
class Stage:
    """A bound on weight * ELBO and what it rests on.

    value      (B,) lower bound. method: the step that was just taken.
    bounds     of every layer; None for "ibp" alone, where they would be many and nothing rests on them.
    minimiser  (B, C, H, W): where the linear bound is attained; None for interval propagation.
    margin     (B,) what the last step gave up for rounding.
    slopes     those that were optimised, if the value is from them, as float32 can hold them.
    """

    value: Tensor
    method: str
    bounds: LayerBounds | None
    minimiser: Tensor | None
    margin: Tensor
    slopes: Slopes | None = None


def stages(
    relaxation: Relaxation, method: str, iterations: int, seconds: float, clock: Clock = time.monotonic
) -> Iterator[Stage]:
    """Bounds for B balls, each at least as tight as the one before; the first needs no backward pass.

    iterations  optimisation steps of alpha-crown, a quarter of those of quadratic, rounds of splits of bab.
    seconds     the methods from alpha-crown on end when that many have passed since the second bound began.
    clock       counts them.
    """
    if method == "ibp":
        exact, found = interval_worst(relaxation.exact()), interval_worst(relaxation)
        yield _interval_stage(exact, found, relaxation.weight)
        return
    stage, bounds = _intervals(relaxation)
    yield stage
    end = clock() + seconds  # not before: many balls may wait for their turn behind this yield
    stage = _planes(stage, relaxation, bounds, "crown-ibp")
    yield stage
    if method == "crown-ibp":
        return
    bounds = relaxation.tighten(bounds)
    stage = _planes(stage, relaxation, bounds, "crown")
    yield stage
    if method not in OPTIMISING:
        return
    slopes = default_slopes(relaxation, bounds)
    for better in _alpha(stage, relaxation, bounds, slopes, iterations, end, clock, "alpha-crown"):
        stage = better
        yield stage
    if method == "alpha-crown" or clock() > end:
        return
    if _tame(relaxation, bounds):
        half = (clock() + end) / 2
        for sharper in sharpened(relaxation, bounds, iterations):
            bounds = sharper
            yield stage
            if clock() > half:
                break
        bounds = relaxation.tighten_decoder(bounds)
        slopes = default_slopes(relaxation, bounds)
        for better in _alpha(stage, relaxation, bounds, slopes, iterations, end, clock, "quadratic"):
            stage = better
            yield stage
        if method == "quadratic" or _far(relaxation, stage):
            for better in _quadratic(
                stage, relaxation, bounds, slopes, iterations * QUADRATIC[method], end, clock
            ):
                stage = better
                yield stage
    if method == "bab" and clock() < end:
        for value in Branching(relaxation, bounds, slopes).run(iterations):
            best = torch.maximum(stage.value, proved(value))
            stage = Stage(best, "bab", bounds, stage.minimiser, stage.margin)
            yield stage
            if clock() > end:
                return


def _alpha(
    stage: Stage,
    relaxation: Relaxation,
    bounds: LayerBounds,
    slopes: Slopes,
    iterations: int,
    end: float,
    clock: Clock,
    method: str,
) -> Iterator[Stage]:
    """Optimises the slopes of the linear bound in place; bounds are from what float32 can hold of them,
    which is what a certificate's witness holds."""
    for done, _ in enumerate(optimise(relaxation.exact(), bounds, slopes, iterations), 1):
        late = clock() > end
        if done % REPORT == 0 or done == iterations or late:
            held = slopes.to(torch.float32).to(stage.value.dtype)
            assert held.mix is not None
            found = _better(stage, relaxation, bounds, held, held.mix[None], method)
            better = bool((found.value > stage.value).all())
            stage = replace(found, slopes=used(held, bounds) if better else stage.slopes)
            yield stage
        if late:
            return


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


def _quadratic(
    stage: Stage,
    relaxation: Relaxation,
    bounds: LayerBounds,
    slopes: Slopes,
    steps: int,
    end: float,
    clock: Clock,
) -> Iterator[Stage]:
    """For a single ball: optimises the quadratic, proves what it has arrived at from time to time."""
    point = relaxation.ball.center if stage.minimiser is None else stage.minimiser
    search = DualAscent(QuadraticBuilder(relaxation, bounds), point, slopes, steps)

    def state() -> Stage:
        value, margin = search.prove()
        better = value > stage.value
        margin = torch.where(better, margin, stage.margin)
        return Stage(torch.where(better, value, stage.value), "quadratic", bounds, stage.minimiser, margin)

    for done, _ in enumerate(search.run()):
        if clock() > end:
            break
        if done > 0 and done % _PROVE == 0:
            stage = state()
        if done % REPORT == 0:
            yield stage
    stage = state()
    yield stage


def interval_worst(relaxation: Relaxation) -> RobustELBO:
    """The worst case of each term by interval propagation alone."""
    box, arithmetic = relaxation.ball.box, relaxation.arithmetic
    return interval_terms(
        relaxation.vae, box, relaxation.noise, relaxation.scored, relaxation.weight, arithmetic
    )


def _intervals(relaxation: Relaxation) -> tuple[Stage, LayerBounds]:
    def terms(relaxed: Relaxation, bounds: LayerBounds) -> RobustELBO:
        weight, arithmetic = relaxed.weight, relaxed.arithmetic
        return separate_terms(relaxed.vae, bounds, relaxed.scored, weight, arithmetic)

    exact, bounds = relaxation.exact(), relaxation.interval_bounds()
    found = terms(relaxation, bounds)
    return _interval_stage(terms(exact, exact.interval_bounds()), found, relaxation.weight, bounds), bounds


def _interval_stage(
    exact: RobustELBO, found: RobustELBO, weight: int, bounds: LayerBounds | None = None
) -> Stage:
    """What interval propagation proves, and what it gives up beside exact arithmetic."""
    lower = proved(weight * found.total)
    return Stage(lower, "ibp", bounds, None, _given_up(proved(weight * exact.total), lower))


def _given_up(exact: Tensor, lower: Tensor) -> Tensor:
    return (exact - lower).nan_to_num(nan=torch.inf, posinf=torch.inf).clamp(min=0)


def _planes(stage: Stage, relaxation: Relaxation, bounds: LayerBounds, method: str) -> Stage:
    """The best of the planes with default slopes, per image."""
    mixes = bounds.decoder[-1].lower.new_tensor(MIXES).view(-1, 1, 1, 1, 1)
    return _better(stage, relaxation, bounds, Slopes(), mixes, method)


def _better(
    stage: Stage, relaxation: Relaxation, bounds: LayerBounds, slopes: Slopes, mixes: Tensor, method: str
) -> Stage:
    """The stage with the best of the bounds with these slopes and mixes (R, ...) where it is better."""
    for slope, constant, lost in zip(*LinearBounds(relaxation, bounds).planes(slopes, mixes), strict=True):
        value = proved(relaxation.ball.lowest(slope[None])[0] + (constant - lost))
        point = relaxation.ball.minimiser(slope.nan_to_num(0).view_as(relaxation.ball.center))
        better = value > stage.value
        if stage.minimiser is not None:
            point = torch.where(better[:, None, None, None], point, stage.minimiser)
        margin = torch.where(better, lost.nan_to_num(nan=torch.inf), stage.margin)
        stage = Stage(torch.where(better, value, stage.value), method, bounds, point, margin)
    return stage
