"""The ELBO over an l_inf ball as one quadratic of the pixels and of every relaxation's error.

Where ReLUs are nearly stable, what linear bounds lose is the curvature of log p: a chord for each pixel
pays as if all pixels of the reconstruction could be in the middle of their ranges at once. Here all
bounded quantities, pixels x' and errors e of ReLUs and of exp, stay variables |v_i| <= 1, and

    ELBO(x') >= q(v) = constant + <linear, v> - <v, Q v>

with a parabola below log p for each pixel, -KL as it is in mu, t a as it is. For D - Q >= 0, D diagonal,
and any point p,

    -<v, Q v> >= <v - p, (Q - D)(v - p)> - <v, Q v> = -<v, D v> + 2 <v, (D - Q) p> - <p, (D - Q) p>

which is separable. Slopes of the relaxations, the points where the parabolas touch, D and p are free and
optimised: the dual of the semidefinite relaxation (Shor 1987; Raghunathan et al. 2018, arXiv 1811.01057,
for classifiers), with zonotope errors in place of a matrix variable for every neuron.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.certificates.semidefinite.arrowhead import Arrowhead, BlockVector, separable_minimum


@dataclass(frozen=True)
class System:
    """The network as affine forms in v, and what rounding can move.

    posterior (2k,), spread (2k, n): mu, logvar = posterior + spread v_shared.
    lift      (S, k, n): z moves by lift v_shared.
    decode    (S, d, k), errors (S, d, m), natural (S, d): natural + decode z's move + errors v_own.
    rounding  (S, d): of the natural parameters. posterior_rounding (2k,): of mu and logvar.
    """

    posterior: Tensor
    spread: Tensor
    lift: Tensor
    decode: Tensor
    errors: Tensor
    natural: Tensor
    rounding: Tensor
    posterior_rounding: Tensor


@dataclass(frozen=True)
class Quadratic:
    """q(v) = constant + <linear, v> - <v, Q v>; Q by its factors.

    <v, Q v> = sum_sj bend y^2 - 2 cross_j v_j y + sum_j square v_j^2 + sum_i curve (spread v)^2 with
    y = decode lift v_shared + errors v_own, v_j the pixels. size: sum of the absolute values of all that
    was added up in constant and linear. rounding: what rounding in the network and its score can take.
    """

    system: System
    constant: Tensor
    linear: BlockVector
    bend: Tensor
    cross: Tensor
    square: Tensor
    curve: Tensor
    size: Tensor
    rounding: Tensor

    def times(self, v: BlockVector) -> BlockVector:
        """Q v, columns (n, c) and (S, m, c)."""
        s, pixels = self.system, len(self.cross)
        y = s.decode @ (s.lift @ v.shared) + s.errors @ v.own
        u = self.bend[..., None] * y - self.cross[:, None] * v.shared[:pixels]
        back = s.lift.transpose(1, 2) @ (s.decode.transpose(1, 2) @ u)
        shared = back.sum(0) + s.spread.T @ (self.curve[:, None] * (s.spread @ v.shared))
        square = self.square[:, None] * v.shared[:pixels] - self.cross[:, None] * y.sum(0)
        shared = shared + torch.cat([square, shared.new_zeros(len(shared) - pixels, square.shape[1])])
        return BlockVector(shared, s.errors.transpose(1, 2) @ u)

    def row_sums(self) -> BlockVector:
        """Upper bounds on the sums of the absolute entries of the rows of Q, from those of its factors."""
        s, pixels = self.system, len(self.cross)
        lift, decode, errors, spread = (v.abs() for v in (s.lift, s.decode, s.errors, s.spread))
        y = (decode @ lift.sum(2, keepdim=True))[..., 0] + errors.sum(2)
        u = (self.bend * y + self.cross)[..., None]
        shared = (lift.transpose(1, 2) @ (decode.transpose(1, 2) @ u)).sum(0)[:, 0]
        shared = shared + spread.T @ (self.curve * spread.sum(1))
        more = self.square + self.cross * y.sum(0)
        shared = shared + torch.cat([more, more.new_zeros(len(shared) - pixels)])
        return BlockVector(shared, (errors.transpose(1, 2) @ u)[..., 0])

    def matrix(self) -> Arrowhead:
        """Q itself, as an arrowhead of blocks."""
        s, pixels = self.system, len(self.cross)
        bent = self.bend[..., None] * s.decode
        lift, errors = s.lift.transpose(1, 2), s.errors.transpose(1, 2)
        shared = (lift @ (s.decode.transpose(1, 2) @ bent) @ s.lift).sum(0)
        shared = shared + s.spread.T @ (self.curve[:, None] * s.spread)
        cross = self.cross[:, None] * (s.decode @ s.lift).sum(0)
        shared[:pixels] -= cross
        shared[:, :pixels] -= cross.T
        shared.diagonal()[:pixels] += self.square
        mixed = lift @ (bent.transpose(1, 2) @ s.errors)
        mixed[:, :pixels] -= self.cross[:, None] * s.errors
        return Arrowhead(shared, mixed, errors @ (self.bend[..., None] * s.errors))

    def lowest(self, dominant: BlockVector, point: BlockVector) -> Tensor:
        """Minimum over |v| <= 1 of the separable bound for D = `dominant` and p = `point`."""
        turned = self.times(BlockVector(point.shared[:, None], point.own[..., None]))
        way = BlockVector(
            dominant.shared * point.shared - turned.shared[:, 0],
            dominant.own * point.own - turned.own[..., 0],
        )
        ends = BlockVector(
            separable_minimum(self.linear.shared + 2 * way.shared, dominant.shared),
            separable_minimum(self.linear.own + 2 * way.own, dominant.own),
        )
        return self.constant + ends.sum() - (point * way).sum()
