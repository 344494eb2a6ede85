"""Spectral projected gradient: step lengths from the curvature along the last step."""

from __future__ import annotations

import torch
from torch import Tensor

from core.attacks.base import Problem, Proposals, Restarted, choose, per_row

# Birgin et al. 2000: values looked back on, share of the linear decrease that is asked for.
MEMORY, DECREASE = 10, 1e-4


class SPG(Restarted):
    """Spectral projected gradient with a nonmonotone line search (Birgin, Martinez & Raydan 2000,
    SIAM J. Optim. 10(4)), every image with its own step length.

    The trial is x + a (P(x - l g) - x): l = s.s / s.y of the last accepted step, as long as the ball
    is wide where the curvature is not positive; a is halved until the ELBO lies below the highest of
    the last values that were accepted. Every trial costs one gradient, accepted or not.
    """

    name = "spg"

    def descend(self, problem: Problem, start: Tensor) -> Proposals:
        ball = problem.ball
        evaluation = yield start
        point, value, slope = evaluation.point, evaluation.value, evaluation.gradient()
        # A step of `longest` takes every pixel with a slope worth mentioning across the ball.
        peak = slope.flatten(1).abs().amax(1).clamp(min=torch.finfo(slope.dtype).tiny)
        longest = 1e3 * ball.eps.to(slope.dtype).clamp(min=1e-12) / peak
        length, share = longest / 1e3, torch.ones_like(value)
        past = value.repeat(MEMORY, 1)
        for step in range(1, self.steps + 1):
            way = ball.project(point - per_row(length, point) * slope) - point
            evaluation = yield point + per_row(share, point) * way
            if step == self.steps:
                break
            fresh = evaluation.gradient()
            drop = share * (way * slope).flatten(1).sum(1)
            taken = evaluation.value <= past.amax(0) + DECREASE * drop
            moved, bent = (evaluation.point - point).flatten(1), (fresh - slope).flatten(1)
            square, curve = moved.square().sum(1), (moved * bent).sum(1)
            spectral = torch.where(curve > square / longest, square / curve, longest)
            length = torch.where(taken, spectral.clamp(min=longest / 1e6), length)
            share = torch.where(taken, 1.0, share / 2)
            past = torch.where(taken, torch.cat([past[1:], evaluation.value[None]]), past)
            point, slope = choose(taken, evaluation.point, point), choose(taken, fresh, slope)
