"""Lower bounds over an l_2 ball of functions with a kink in each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.ball import Ball
from core.bounds.interval import Interval
from core.bounds.rounding import ELEMENTARY, FLOAT64

# Halvings of the bracket of a multiplier, whose ends are this far apart.
_HALVINGS, _APART = 16, 1024


@dataclass(frozen=True)
class Kinked:
    """R functions f(y) = <slope, y> - <reach, |y - at|> of each of B images.

    slope  (R, B, d). reach (R, B, d), not negative. at (B, d): where the kinks are.
    """

    slope: Tensor
    reach: Tensor
    at: Tensor

    def lowest(self, ball: Ball, rounds: bool = True) -> Tensor:
        """A sound lower bound of each over an l_2 ball cut to [0, 1]^d, (R, B).

        Weak duality, for any m > 0, as in `Ball.lowest`:

            min_ball f >= sum_j min_{0 <= y <= 1} f_j(y) + (y - x_j)^2 / (2 m)   - eps^2 / (2 m)

        A pixel's f_j is the smaller one of two lines, of slopes c -+ r; with the parabola each is lowest at
        clip(x - m (c -+ r)), and the lower one of the two minima is the pixel's. m is searched by halving,
        the bound holds for every m; for m without end it is that over the box, which is taken where it is
        better. One multiplier serves all pixels and all that was pulled back to them: a box for the kinks
        alone would let every pixel be at its worst at once, sqrt(d) times as far as the ball reaches.
        Differentiable in slope, reach and at, by the envelope theorem. rounds: as in `Ball.lowest`.
        """
        over_box = self._over_box(ball.box, rounds)
        with torch.no_grad():
            step = self._step(ball)
            rise, move = self._branch(ball, step)
            eps = ball.eps.to(step.dtype)
            slack = ((move.square().sum(-1) - eps**2) / (2 * step)).clamp(max=0)
            slack = slack - self._roundoff(ball, step, move) if rounds else slack
            slack = torch.where(eps > 0, slack, -torch.inf)
        y = ball.center.flatten(1) + move
        value = (self.slope * y + rise * self.reach * (y - self.at)).sum(-1)
        return torch.maximum(over_box, value + slack)

    def _over_box(self, box: Interval, rounds: bool) -> Tensor:
        """The same over a box: at one of the ends of each pixel."""
        low, high = (self._values(end.flatten(1)) for end in (box.lower, box.upper))
        value = torch.minimum(low, high).sum(-1)
        if not rounds:
            return value
        size = self.slope.abs() * box.upper.flatten(1) + self.reach * (1 + self.at.abs())
        return value - FLOAT64.gamma(2 * size.shape[-1] + ELEMENTARY) * size.sum(-1)

    def _values(self, y: Tensor) -> Tensor:
        return self.slope * y - self.reach * (y - self.at).abs()

    def _branch(self, ball: Ball, step: Tensor) -> tuple[Tensor, Tensor]:
        """Which line of each pixel has the lower minimum, +1 for c + r, and how far away it is."""
        x, m = ball.center.flatten(1), step[..., None]
        found = []
        for sign in (1.0, -1.0):
            slope = self.slope + sign * self.reach
            move = (x - m * slope).clamp(0, 1) - x
            value = slope * move + sign * self.reach * (x - self.at) + move.square() / (2 * m)
            found.append((value, move))
        (first, one), (second, other) = found
        chosen = first <= second
        sign = torch.where(chosen, torch.ones_like(first), -torch.ones_like(first))
        return sign, torch.where(chosen, one, other)

    def _step(self, ball: Ball) -> Tensor:
        """The largest m, nearly, for which the minimisers are inside the ball, (R, B)."""
        eps = ball.eps.to(self.slope.dtype)
        steepest = (self.slope.abs() + self.reach).norm(dim=-1).clamp(min=1e-30)
        low = eps.clamp(min=1e-30) / steepest
        high = _APART * low
        for _ in range(_HALVINGS):
            step = (low * high).sqrt()
            inside = self._branch(ball, step)[1].norm(dim=-1) <= eps
            low, high = torch.where(inside, step, low), torch.where(inside, high, step)
        return low

    def _roundoff(self, ball: Ball, step: Tensor, move: Tensor) -> Tensor:
        """How far rounding can put the value above the dual: as `Ball.lowest`, whose argument holds for
        each of the two lines; what decides between them is rounded as the value is."""
        pixels, x = self.slope.shape[-1], ball.center.flatten(1)
        curve = (move.square().sum(-1) + ball.eps.to(step.dtype) ** 2) / (2 * step)
        size = self.slope.abs() * (x + move.abs()) + self.reach * (x + move.abs() + self.at.abs())
        away = 8 * pixels * FLOAT64.unit**2 / step
        return FLOAT64.gamma(4 * pixels + 4 * ELEMENTARY) * (curve + size.sum(-1)) + away
