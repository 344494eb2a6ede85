"""Quadratic forms with the pattern of an arrow: products, sums of rows, proofs of dominance."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.certificates.semidefinite.arrowhead import Arrow, Pair, dominates, separable_minimum

NONE = torch.zeros((), dtype=torch.float64)


def make_arrow(seed: int, shared: int = 5, draws: int = 3, own: int = 4) -> Arrow:
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    corner, blocks = rand(shared, shared), rand(draws, own, own)
    return Arrow(corner + corner.T, rand(draws, shared, own), blocks + blocks.transpose(1, 2))


def dense(form: Arrow) -> Tensor:
    draws, shared, own = form.mixed.shape
    whole = torch.block_diag(form.shared, *form.own)
    for draw in range(draws):
        part = slice(shared + draw * own, shared + (draw + 1) * own)
        whole[:shared, part], whole[part, :shared] = form.mixed[draw], form.mixed[draw].T
    return whole


def make_scale(form: Arrow, seed: int) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    draws, shared, own = form.mixed.shape
    flat = torch.rand(shared + draws * own, generator=generator, dtype=torch.float64) + 0.1
    return Pair(flat[:shared], flat[shared:].view(draws, own))


@given(seed=st.integers(0, 10_000))
def test_dominance_is_proved_just_above_the_largest_eigenvalue_and_never_below(seed: int) -> None:
    form = make_arrow(seed)
    scale = make_scale(form, seed + 1)
    root = scale.flat().rsqrt()
    top = torch.linalg.eigvalsh(root[:, None] * dense(form) * root)[-1]
    assert dominates(scale, top + 1e-9, form, NONE)
    assert not dominates(scale, top - 1e-9, form, NONE)
    assert not dominates(scale, top + 1e-9, form, torch.tensor(1e-6))


@given(seed=st.integers(0, 10_000))
def test_sums_of_rows_dominate(seed: int) -> None:
    form = make_arrow(seed)
    sums = form.row_sums()
    torch.testing.assert_close(sums.flat(), dense(form).abs().sum(1))
    assert dominates(sums, torch.tensor(1 + 1e-9, dtype=torch.float64), form, NONE)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_no_proof_from_what_is_no_number(bad: float) -> None:
    form, factor = make_arrow(0), torch.tensor(100.0, dtype=torch.float64)
    scale = make_scale(form, 0)
    assert dominates(scale, factor, form, NONE)
    assert not dominates(scale, factor * bad, form, NONE)
    form.own[0, 0, 0] = bad
    assert not dominates(scale, factor, form, NONE)
    form.own[0, 0, 0] = 0
    form.mixed[0, 0, 0] = bad
    assert not dominates(scale, factor, form, NONE)


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
