"""The threat: B(x, eps) = { x' in [0, 1]^d : ||x' - x||_p <= eps }, p = inf or 2."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.bounds.interval import Interval, per_row
from core.bounds.rounding import ELEMENTARY, FLOAT64

NORMS = ("linf", "l2")

# Halvings of a bracket in [0, 1]: more than float32 can tell apart.
_HALVINGS = 40


@dataclass(frozen=True)
class Ball:
    """A batch of balls, each cut to the pixel box.

    center  (B, ...) images in [0, 1]; eps (B,) radii >= 0; norm "linf" or "l2".
    """

    center: Tensor
    eps: Tensor
    norm: str = "linf"

    @property
    def box(self) -> Interval:
        """The smallest box that holds the ball (the ball itself for l_inf)."""
        e = per_row(self.eps, self.center)
        return Interval((self.center - e).clamp(min=0), (self.center + e).clamp(max=1))

    def cover(self) -> Ball:
        """A float64 ball that holds this one and everything that float32 rounding of x +- eps can reach.

        eps is taken one float32 rounding up (0.1 becomes 0.100000001...), and each coordinate may move
        by one more rounding; a ball of eps = 0 is the point x itself.
        """
        x, eps, ulp = self.center.double(), self.eps.double(), 2.0**-23
        moves = ulp if self.norm == "linf" else ulp * x[0].numel() ** 0.5
        return Ball(x, torch.where(eps > 0, eps * (1 + ulp) + moves, eps), self.norm)

    def project(self, x: Tensor) -> Tensor:
        """The nearest point of the ball, shape of x."""
        if self.norm == "linf":
            box = self.box
            return torch.minimum(torch.maximum(x, box.lower), box.upper)
        center, way = self.center, x - self.center
        exact, eps = center.double(), self.eps.double()

        def holds(point: Tensor) -> Tensor:
            # In float64: a norm of thousands of float32 numbers may be off by more than `cover` allows.
            return (point.double() - exact).flatten(1).norm(dim=1) <= eps

        low, high = torch.zeros_like(eps), torch.ones_like(eps)
        for _ in range(_HALVINGS):
            share = (low + high) / 2
            inside = holds((center + per_row(share, x) * way).clamp(0, 1))
            low, high = torch.where(inside, share, low), torch.where(inside, high, share)
        whole, nearest = x.clamp(0, 1), (center + per_row(low, x) * way).clamp(0, 1)
        return torch.where(per_row(holds(whole), x) > 0, whole, nearest)

    def holds(self, x: Tensor) -> Tensor:
        """Whether images, shape of center, are in the ball, compared in float64: (B,) bool. NaN is not."""
        way = (x.double() - self.center.double()).flatten(1)
        size = way.abs().amax(1) if self.norm == "linf" else way.norm(dim=1)
        inside = (x >= 0) & (x <= 1)
        return (size <= self.eps.double()) & inside.flatten(1).all(1)

    def minimiser(self, slope: Tensor) -> Tensor:
        """The point of the ball where the linear function <slope, x'> is lowest, shape of center."""
        if self.norm == "linf":
            return torch.where(slope > 0, self.box.lower, self.box.upper)
        step = self._step(slope.flatten(1), halvings=40)
        return (self.center - per_row(step, slope) * slope).clamp(0, 1)

    def random(self, generator: torch.Generator) -> Tensor:
        """A random point: uniform in the box, drawn in for l_2 to the ball."""
        share = torch.rand(self.center.shape, generator=generator, dtype=self.center.dtype, device="cpu")
        return self.project(self.box.lower + share.to(self.center.device) * self.box.width)

    def lowest(self, slope: Tensor, rounds: bool = True) -> Tensor:
        """A sound lower bound of <slope, x'> over the ball; slope (..., B, d), center flat -> (..., B).

        The margin for the rounding of these sums themselves is in it; optimisers do without (rounds=False).

        Exact for l_inf. For l_2, weak duality: for any multiplier m > 0

            min_ball <c, x'> >= min_[0,1]^d <c, x'> + (|x' - x|^2 - eps^2) / (2 m)

        and the right side is attained at clip(x - m c); m is searched, the bound holds for every m.
        Differentiable in the slope: by the envelope theorem its gradient is the minimiser.
        """
        x, box = self.center.flatten(1), self.box
        middle, radius = box.center.flatten(1), box.radius.flatten(1)
        over_box = torch.einsum("...d,...d->...", slope, middle)
        if rounds:
            radius = radius + FLOAT64.gamma(2 * x.shape[1] + ELEMENTARY) * (middle.abs() + radius)
        over_box = over_box - torch.einsum("...d,...d->...", slope.abs(), radius)
        if self.norm == "linf":
            return over_box
        with torch.no_grad():
            eps, step = self.eps.to(x.dtype), self._step(slope, halvings=16)
            move = (x - step[..., None] * slope).clamp(0, 1) - x
            slack = (move.square().sum(-1) - eps**2) / (2 * step)
            slack = torch.where(eps > 0, slack.clamp(max=0), 0)
            slack = slack - self._dual_roundoff(slope, step, move) if rounds else slack
        return torch.maximum(over_box, (slope * (x + move)).sum(-1) + slack)

    def _dual_roundoff(self, slope: Tensor, step: Tensor, move: Tensor) -> Tensor:
        """How far rounding can put the right side of `lowest`, evaluated at x + move, above its minimum.

        Its terms, summed, and what the minimiser is off by: at most 4 roundings a pixel, since clip
        leaves [0, 1] exact and |x - m c| <= 2 wherever it does not; the right side is a parabola of
        curvature 1 / m around its minimiser.
        """
        pixels = slope.shape[-1]
        curve = (move.square().sum(-1) + self.eps.to(step.dtype) ** 2) / (2 * step)
        size = curve + (slope.abs() * (self.center.flatten(1) + move).abs()).sum(-1)
        away = 8 * pixels * FLOAT64.unit**2 / step
        return FLOAT64.gamma(2 * pixels + ELEMENTARY) * size + away

    def _step(self, slope: Tensor, halvings: int) -> Tensor:
        """The largest m > 0, nearly, with clip(x - m c) inside the l_2 ball; (..., B, d) -> (..., B)."""
        x, eps = self.center.flatten(1), self.eps.to(slope.dtype)
        stuck = ((x <= 0) & (slope > 0)) | ((x >= 1) & (slope < 0))
        low = eps.clamp(min=1e-30) / slope.masked_fill(stuck, 0).norm(dim=-1).clamp(min=1e-30)
        high = 1024 * low
        for _ in range(halvings):
            step = (low * high).sqrt()
            inside = ((x - step[..., None] * slope).clamp(0, 1) - x).norm(dim=-1) <= eps
            low, high = torch.where(inside, step, low), torch.where(inside, high, step)
        return low
