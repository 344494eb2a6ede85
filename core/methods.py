"""How a bound is computed: five methods, each starting from the one before it, from fast to tight."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.alpha import default_slopes, optimise
from core.branching import Branching
from core.layers import LayerBounds
from core.relaxation import Relaxation, Slopes
from core.robust import separate_terms

METHODS = ("ibp", "crown-ibp", "crown", "alpha-crown", "bab")

# Optimisation steps between two bounds that are reported.
_REPORT = 10
# Planes at the likelihood that are tried before any optimisation.
_MIXES = (0.5, 1.0, 0.0)


@dataclass(frozen=True)
class Stage:
    """A bound on weight * ELBO and what it rests on.

    value      (B,) lower bound. method: the step that was just taken. bounds: of every layer.
    minimiser  (B, C, H, W): where the linear bound is attained; None for interval propagation.
    margin     (B,) what the last step gave up for rounding.
    """

    value: Tensor
    method: str
    bounds: LayerBounds
    minimiser: Tensor | None
    margin: Tensor


def stages(relaxation: Relaxation, method: str, iterations: int, seconds: float) -> Iterator[Stage]:
    """Bounds for B balls, each at least as tight as the one before; the first needs no backward pass.

    iterations  optimisation steps of alpha-crown, and after them rounds of splits of bab.
    seconds     alpha-crown and bab end when that many have passed since the start.
    """
    end = time.monotonic() + seconds
    stage = _intervals(relaxation)
    yield stage
    if method == "ibp":
        return
    bounds = stage.bounds
    stage = _planes(stage, relaxation, bounds, "crown-ibp")
    yield stage
    if method == "crown-ibp":
        return
    bounds = relaxation.tighten(bounds)
    stage = _planes(stage, relaxation, bounds, "crown")
    yield stage
    if method not in ("alpha-crown", "bab"):
        return
    slopes = default_slopes(relaxation, bounds)
    for done, _ in enumerate(optimise(relaxation.exact(), bounds, slopes, iterations), 1):
        if done % _REPORT == 0 or done == iterations or time.monotonic() > end:
            stage = _better(stage, relaxation, bounds, slopes, "alpha-crown")
            yield stage
        if time.monotonic() > end:
            return
    if method == "bab":
        for value in Branching(relaxation, bounds, slopes).run(iterations):
            best = torch.maximum(stage.value, value)
            stage = Stage(best, "bab", bounds, stage.minimiser, stage.margin)
            yield stage
            if time.monotonic() > end:
                return


def _intervals(relaxation: Relaxation) -> Stage:
    def value(arithmetic: Relaxation) -> tuple[Tensor, LayerBounds]:
        bounds, weight = arithmetic.interval_bounds(), arithmetic.weight
        terms = separate_terms(arithmetic.vae, bounds, arithmetic.scored, weight, arithmetic.arithmetic)
        return (weight * terms.total).nan_to_num(-torch.inf), bounds

    exact, (lower, bounds) = value(relaxation.exact())[0], value(relaxation)
    return Stage(lower, "ibp", bounds, None, _given_up(exact, lower))


def _given_up(exact: Tensor, lower: Tensor) -> Tensor:
    return (exact - lower).nan_to_num(nan=torch.inf, posinf=torch.inf).clamp(min=0)


def _planes(stage: Stage, relaxation: Relaxation, bounds: LayerBounds, method: str) -> Stage:
    """The best of the planes with default slopes, per image."""
    for mix in _MIXES:
        slopes = Slopes(mix=torch.full_like(bounds.decoder[-1].lower, mix))
        stage = _better(stage, relaxation, bounds, slopes, method)
    return stage


def _better(
    stage: Stage, relaxation: Relaxation, bounds: LayerBounds, slopes: Slopes, method: str
) -> Stage:
    """The stage with these slopes' bound where it is better."""
    slope, constant = relaxation.plane(bounds, slopes)
    value = (relaxation.ball.lowest(slope[None])[0] + constant).nan_to_num(-torch.inf)
    exact = relaxation.exact().bound(bounds, slopes)
    point = relaxation.ball.minimiser(slope.nan_to_num(0).view_as(relaxation.ball.center))
    better = value > stage.value
    if stage.minimiser is not None:
        point = torch.where(better[:, None, None, None], point, stage.minimiser)
    margin = torch.where(better, _given_up(exact, value), stage.margin)
    return Stage(torch.where(better, value, stage.value), method, bounds, point, margin)
