"""A bound on the way to a certificate, and how the fast ones are made: from intervals, from one plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.rounding import proved
from core.certificates.elbo_bounds import in_ball
from core.certificates.elbo_bounds.layer_bounds import LayerBounds
from core.certificates.elbo_bounds.relaxation import LinearBounds, Relaxation
from core.certificates.elbo_bounds.relaxation_parameters import Slopes
from core.certificates.elbo_bounds.robust_elbo import RobustELBO, interval_terms, separate_terms

# Planes at the likelihood that are tried before any optimisation.
MIXES = (0.5, 1.0, 0.0)


@dataclass(frozen=True)
class Stage:
    """A bound on weight * ELBO and what it rests on.

    value      (B,) lower bound. method: the step that was just taken.
    bounds     of every layer; None for "ibp" alone, where they would be many and nothing rests on them.
    minimiser  (B, C, H, W): where the linear bound is attained; None for interval propagation.
    margin     (B,) what the last step gave up for rounding.
    slopes     for each image those that were optimised, if its value is from them, as float32 can hold
               them; empty before.
    """

    value: Tensor
    method: str
    bounds: LayerBounds | None
    minimiser: Tensor | None
    margin: Tensor
    slopes: tuple[Slopes | None, ...] = ()


def interval_worst(relaxation: Relaxation) -> RobustELBO:
    """The worst case of each term by interval propagation alone."""
    box, arithmetic = relaxation.ball.box, relaxation.arithmetic
    return interval_terms(
        relaxation.vae, box, relaxation.noise, relaxation.scored, relaxation.weight, arithmetic
    )


def interval_stage(relaxation: Relaxation) -> Stage:
    """What interval propagation proves, without the bounds of the layers."""
    exact, found = interval_worst(relaxation.exact()), interval_worst(relaxation)
    return _stage_of(exact, found, relaxation.weight)


def interval_stage_with_bounds(relaxation: Relaxation) -> tuple[Stage, LayerBounds]:
    """The same and the bounds of every layer, where the linear methods start."""

    def terms(relaxed: Relaxation, bounds: LayerBounds) -> RobustELBO:
        weight, arithmetic = relaxed.weight, relaxed.arithmetic
        return separate_terms(relaxed.vae, bounds, relaxed.scored, weight, arithmetic)

    exact, bounds = relaxation.exact(), relaxation.interval_bounds()
    found = terms(relaxation, bounds)
    return _stage_of(terms(exact, exact.interval_bounds()), found, relaxation.weight, bounds), bounds


def _stage_of(
    exact: RobustELBO, found: RobustELBO, weight: int, bounds: LayerBounds | None = None
) -> Stage:
    """What interval propagation proves, and what it gives up beside exact arithmetic."""
    lower = proved(weight * found.total)
    return Stage(lower, "ibp", bounds, None, _given_up(proved(weight * exact.total), lower))


def _given_up(exact: Tensor, lower: Tensor) -> Tensor:
    return (exact - lower).nan_to_num(nan=torch.inf, posinf=torch.inf).clamp(min=0)


def plane_stage(stage: Stage, relaxation: Relaxation, bounds: LayerBounds, method: str) -> Stage:
    """The best of the planes with default slopes, per image."""
    mixes = bounds.decoder[-1].lower.new_tensor(MIXES).view(-1, 1, 1, 1, 1)
    return better_stage(stage, LinearBounds(relaxation, bounds), Slopes(), mixes, method)


def better_stage(stage: Stage, linear: LinearBounds, slopes: Slopes, mixes: Tensor, method: str) -> Stage:
    """The stage with the best of the bounds with these slopes and mixes (R, ...) where it is better."""
    relaxation, bounds = linear.relaxation, linear.bounds
    for slope, lowest, lost in _lines(linear, slopes, mixes):
        value = proved(lowest)
        point = relaxation.ball.minimiser(slope.nan_to_num(0).view_as(relaxation.ball.center))
        better = value > stage.value
        if stage.minimiser is not None:
            point = torch.where(better[:, None, None, None], point, stage.minimiser)
        margin = torch.where(better, lost.nan_to_num(nan=torch.inf), stage.margin)
        stage = Stage(torch.where(better, value, stage.value), method, bounds, point, margin)
    return stage


def _lines(linear: LinearBounds, slopes: Slopes, mixes: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Linear functions, (B, d), whose minimisers are worth a look, bounds (B,) and what rounding takes."""
    ball = linear.relaxation.ball
    for slope, constant, lost in zip(*linear.planes(slopes, mixes), strict=True):
        yield slope, ball.lowest(slope[None])[0] + (constant - lost), lost
    if in_ball.applies(linear.relaxation):
        f, constant, lost = in_ball.kinked(linear, slopes, mixes)
        yield from zip(f.slope, f.lowest(ball) + (constant - lost), lost, strict=True)
