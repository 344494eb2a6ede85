"""Schedules: end values, direction, no jumps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.schedule import eps_at, kappa_at, lr_at, ramp

epochs = st.floats(0, 200)
lengths = st.floats(0, 50)


def test_by_hand() -> None:
    assert [ramp(e, 1, 4) for e in (0, 0.99, 1, 2, 3, 5, 6)] == [0, 0, 0, 0.25, 0.5, 1, 1]
    assert [eps_at(e, 0.2, 1, 4) for e in (0, 1, 3, 5, 99)] == pytest.approx([0, 0, 0.1, 0.2, 0.2])
    assert [kappa_at(e, 0.2, 1, 4) for e in (0, 1, 3, 5, 99)] == pytest.approx([1, 1, 0.6, 0.2, 0.2])
    assert [lr_at(e, 1e-3, 10) for e in (0, 5, 10, 12)] == pytest.approx([1e-3, 5.05e-4, 1e-5, 1e-5])


def test_without_a_ramp_it_is_a_step() -> None:
    assert [ramp(e, 2, 0) for e in (0, 1.99, 2, 3)] == [0, 0, 1, 1]


@given(a=epochs, b=epochs, warmup=lengths, length=lengths)
def test_never_falls_and_stays_in_0_1(a: float, b: float, warmup: float, length: float) -> None:
    low, high = ramp(min(a, b), warmup, length), ramp(max(a, b), warmup, length)
    assert 0 <= low <= high <= 1


@given(epoch=epochs, warmup=lengths, length=st.floats(0.1, 50))
def test_has_no_jump(epoch: float, warmup: float, length: float) -> None:
    step = 1e-4
    assert ramp(epoch + step, warmup, length) - ramp(epoch, warmup, length) <= step / length + 1e-9
    assert ramp(warmup, warmup, length) == 0
    assert ramp(warmup + length, warmup, length) == pytest.approx(1)


@given(epoch=epochs, eps=st.floats(0, 1), kappa=st.floats(0, 1), warmup=lengths, length=lengths)
def test_eps_and_kappa_move_together(
    epoch: float, eps: float, kappa: float, warmup: float, length: float
) -> None:
    share = ramp(epoch, warmup, length)
    assert eps_at(epoch, eps, warmup, length) == eps * share
    assert kappa_at(epoch, kappa, warmup, length) == pytest.approx((1 - share) + kappa * share)
    assert kappa - 1e-12 <= kappa_at(epoch, kappa, warmup, length) <= 1


@given(a=epochs, b=epochs, total=st.floats(1, 100))
def test_lr_never_rises_and_has_no_jump(a: float, b: float, total: float) -> None:
    early, late = lr_at(min(a, b), 1e-3, total), lr_at(max(a, b), 1e-3, total)
    assert 1e-5 * 0.999 <= late <= early <= 1e-3
    assert early - late <= 1e-3 * 1.6 * abs(a - b) / total + 1e-12
