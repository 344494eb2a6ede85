"""Diagonals that dominate a symmetric matrix: the factor is found by power iteration, proved by Cholesky.

For a factor f and a diagonal D > 0, f D - Q is positive semidefinite where f is at least the largest
eigenvalue of Q scaled on both sides by 1 / sqrt(D). Power iteration gives a number a little below it. That
is raised until a factorisation in floating point runs to its end, which proves it: what was found may be
wrong, what is proved is not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.bounds.rounding import FLOAT64
from core.certificates.semidefinite.arrowhead import Arrowhead, BlockVector

# How far the soft maximum of the eigenvalues reaches, as a share of the largest.
_SOFT = 0.02
# By what the factors of `dominating_factors` are raised until their proof succeeds.
_RAISE = (1.001, 1.01, 1.05, 1.2, 2.0)
# Values that the matrices which are factorised at once may hold: bounds the memory.
_VALUES = 600_000


class PowerIteration:
    """Vectors that follow the largest eigenvalues of symmetric matrices (..., n, n) while these change.

    basis       (..., c, n): vectors to begin with.
    indefinite  whether eigenvalues may be negative: iterates on the matrix plus half of its norm, so that
                the positive ones lead, and turns the vectors to where each has an eigenvalue of its own.
    """

    def __init__(self, basis: Tensor, indefinite: bool) -> None:
        self.basis, self._indefinite = _orthonormal(basis), indefinite
        self._shift = 1.0 if indefinite else 1e-9

    def follow(self, apply: Callable[[Tensor], Tensor], steps: int) -> Tensor:
        """Lower bounds (..., c) on the largest eigenvalues, differentiable in what `apply` depends on: it
        takes rows (..., c, n) to their products with the matrix."""
        with torch.no_grad():
            for _ in range(steps):
                self.basis = _orthonormal(apply(self.basis) + self._shift * self.basis)
            if self._indefinite:
                # In float64: where entries are far apart, float32 does not always converge.
                small = (self.basis @ apply(self.basis).mT).nan_to_num(0, 0, 0).double()
                self.basis = (self.basis.mT @ torch.linalg.eigh(small)[1].to(self.basis)).mT
        values = (self.basis * apply(self.basis)).sum(-1)
        if self._indefinite:
            self._shift = values.detach().abs().max().item() / 2
        return values


def random_vectors(*shape: int, like: Tensor) -> Tensor:
    """Normal numbers, always the same, to begin a power iteration with."""
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=like.dtype, device="cpu").to(like)


def _orthonormal(basis: Tensor) -> Tensor:
    return torch.linalg.qr(basis.mT)[0].mT


def soft_maximum(values: Tensor) -> Tensor:
    """A smooth bound above the maximum, (..., c) -> (...): where eigenvalues cross, all of them count."""
    soft = _SOFT * values.detach().abs().amax(-1, keepdim=True) + 1e-30
    return soft[..., 0] * torch.logsumexp(values / soft, -1)


def cholesky_room(size: int, trace: Tensor) -> Tensor:
    """By how much a matrix A is taken smaller than what a Cholesky factorisation of it is to prove.

    If the factorisation of a symmetric A of size N runs to its end, in any order of summation, the smallest
    eigenvalue of A is above -gamma(N + 1) / (1 - gamma(N + 1)) trace(A) (Demmel 1989; Rump 2006, BIT 46):
    four times as much.
    """
    return 4 * FLOAT64.gamma(size + 2) * trace


def dominates(scale: BlockVector, factor: Tensor, form: Arrowhead, rounding: Tensor) -> bool:
    """Whether factor * diag(scale) - Q is positive semidefinite, proved by a Cholesky factorisation.

    scale > 0. rounding: by how much the entries of Q may be off, as a norm after scaling, both sides, by
    1 / sqrt(scale). The draws are eliminated first, which leaves every zero of the arrow a zero.
    """
    shared, own = scale.shared.rsqrt(), scale.own.rsqrt()
    size = len(shared) + own.numel()
    trace = size * factor + (form.shared.diagonal() * shared**2).abs().sum()
    trace = trace + (form.own.diagonal(dim1=1, dim2=2) * own**2).abs().sum()
    left = factor - rounding - cholesky_room(size, trace)
    corner = -own[:, :, None] * form.own * own[:, None]
    corner.diagonal(dim1=1, dim2=2).add_(left)
    lower, failed = torch.linalg.cholesky_ex(corner)
    if not bool(torch.isfinite(left)) or bool(failed.any()):
        return False
    mixed = -own[:, :, None] * form.mixed.transpose(1, 2) * shared
    mixed = torch.linalg.solve_triangular(lower, mixed, upper=False)
    rest = -shared[:, None] * form.shared * shared - (mixed.transpose(1, 2) @ mixed).sum(0)
    rest.diagonal().add_(left)
    return int(torch.linalg.cholesky_ex(rest)[1]) == 0


def dominating_factors(gram: Tensor, root: Tensor, found: Tensor, n: int) -> Tensor:
    """Factors (R,) not below the largest eigenvalue of root H H^T root, gram = H H^T over n variables.

    Each is proved by a Cholesky factorisation, with room for its rounding and that of gram; else it is the
    trace.
    """
    trace = (root**2 * gram.diagonal()).sum(1)
    factor = trace * (1 + 1e-9) + 1e-300
    # Where the root is 0 so are row and column, and what is to be proved holds there.
    size = max(1, int((root > 0).sum(1).amax()))
    order = root.argsort(1, descending=True)[:, :size]
    rows = torch.arange(len(root), dtype=torch.int64, device=root.device)
    for part in rows.split(max(1, _VALUES // size**2)):
        left, chosen = part, order[part]
        scale = root[part].gather(1, chosen)
        matrices = -scale[:, :, None] * gram[chosen[:, :, None], chosen[:, None]] * scale[:, None]
        for more in _RAISE:
            most = trace[left]
            tried = more * found[left] + 1e-12 * most
            room = 4 * FLOAT64.gamma(n + 10) * most + cholesky_room(size, size * tried + most)
            matrix = matrices.clone()
            matrix.diagonal(dim1=1, dim2=2).add_((tried - room)[:, None])
            proved = torch.linalg.cholesky_ex(matrix)[1] == 0  # NaN fails
            factor[left] = torch.where(proved, torch.minimum(tried, factor[left]), factor[left])
            left, matrices = left[~proved], matrices[~proved]
            if len(left) == 0:
                break
    return factor
