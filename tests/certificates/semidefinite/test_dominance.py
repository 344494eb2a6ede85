"""Diagonals that dominate: what is proved is true, and nearly all that is true is proved."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.certificates.semidefinite.dominance import dominates, dominating_factors
from tests.certificates.semidefinite.test_arrowhead import dense, make_arrow, make_scale
from tests.certificates.semidefinite.test_layer_relaxation import normal

NONE = torch.zeros((), dtype=torch.float64)


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


@given(seed=st.integers(0, 10_000), guess=st.sampled_from([0.0, 0.5, 0.999, 1.0, 3.0]))
def test_factor_dominates_whatever_was_found(seed: int, guess: float) -> None:
    g = torch.Generator().manual_seed(seed)
    half, root = normal(g, 7, 12), normal(g, 4, 7).relu()
    gram = half @ half.T
    values = torch.linalg.eigvalsh(root[:, :, None] * gram * root[:, None]).amax(1)
    factor = dominating_factors(gram, root, guess * values, 12)
    assert (factor >= values * (1 - 1e-12)).all()
    assert (factor <= (root**2 * gram.diagonal()).sum(1) * (1 + 1e-6) + 1e-290).all()
    if guess == 1.0:
        assert (factor <= 1.01 * values + 1e-12).all()


@pytest.mark.parametrize("hole", [torch.nan, torch.inf])
def test_factor_of_what_is_no_number_is_none(hole: float) -> None:
    half = normal(torch.Generator().manual_seed(0), 5, 9)
    half[2, 3] = hole
    root, guess = torch.ones(2, 5).double(), torch.ones(2).double()
    factor = dominating_factors(half @ half.T, root, guess, 9)
    assert not (factor < torch.inf).any()
