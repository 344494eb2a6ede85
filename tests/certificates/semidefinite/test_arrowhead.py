"""Quadratic forms with the pattern of an arrow, and the minimum of what is separable."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.certificates.semidefinite.arrowhead import Arrowhead, BlockVector, separable_minimum


def make_arrow(seed: int, shared: int = 5, draws: int = 3, own: int = 4) -> Arrowhead:
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    corner, blocks = rand(shared, shared), rand(draws, own, own)
    return Arrowhead(corner + corner.T, rand(draws, shared, own), blocks + blocks.transpose(1, 2))


def dense(form: Arrowhead) -> Tensor:
    draws, shared, own = form.mixed.shape
    whole = torch.block_diag(form.shared, *form.own)
    for draw in range(draws):
        part = slice(shared + draw * own, shared + (draw + 1) * own)
        whole[:shared, part], whole[part, :shared] = form.mixed[draw], form.mixed[draw].T
    return whole


def make_scale(form: Arrowhead, seed: int) -> BlockVector:
    generator = torch.Generator().manual_seed(seed)
    draws, shared, own = form.mixed.shape
    flat = torch.rand(shared + draws * own, generator=generator, dtype=torch.float64) + 0.1
    return BlockVector(flat[:shared], flat[shared:].view(draws, own))


@given(
    linear=st.floats(-1e6, 1e6),
    bend=st.floats(-1e6, 1e6),
    point=st.floats(-1, 1),
)
def test_nothing_is_below_the_separable_minimum(linear: float, bend: float, point: float) -> None:
    lowest = separable_minimum(*(torch.tensor(v, dtype=torch.float64) for v in (linear, bend)))
    size = 1 + abs(linear) + abs(bend)
    assert lowest.item() <= linear * point - bend * point**2 + 1e-12 * size
    grid = torch.linspace(-1, 1, 20_001, dtype=torch.float64)
    assert lowest.item() >= (linear * grid - bend * grid**2).min().item() - 1e-7 * size
