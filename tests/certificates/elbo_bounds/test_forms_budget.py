"""Forms of substitution are not made where they would not fit: backward passes bound the units instead."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import core
from core.bounds.interval import Interval
from core.bounds.substitution import Forms
from core.certificates.certificate import Certificate
from core.certificates.elbo_bounds import substituted
from core.certificates.elbo_bounds.substituted import held
from tests.conftest import make_images, make_vae


def made(monkeypatch: pytest.MonkeyPatch, most: float) -> tuple[Certificate, int]:
    """The bound by crown with so large a budget, and how many values the largest forms held."""
    sizes = [0]
    init: Any = Forms.__init__

    def counted(self: Forms, *values: Any) -> None:
        init(self, *values)
        sizes.append(sum(v.numel() for v in self.slopes))

    vae = make_vae("conv", size=16, scale=1.5)
    x = make_images(vae)
    monkeypatch.setattr(Forms, "__init__", counted)
    monkeypatch.setattr(substituted, "_MOST", most)
    found = core.certify(vae, x, core.sample_noise(vae, 2), eps=0.05, method="crown")
    monkeypatch.undo()
    return found, max(sizes)


def test_beyond_the_budget_nothing_is_held_and_the_bounds_are_those_of_backward_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free, size = made(monkeypatch, 1e9)
    assert size > 1000
    none, nothing = made(monkeypatch, 0)
    assert nothing == 0
    some, less = made(monkeypatch, size // 2)
    assert less <= size // 2
    for found in (none, some):
        # The box of codes cuts the outputs too, where there are forms.
        assert bool((found.lower <= free.lower + 1e-6 * free.lower.abs()).all())
        assert found.lower.tolist() == pytest.approx(free.lower.tolist(), rel=0.02)


def test_what_forms_hold_is_counted() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))

    def box(units: int, opened: int) -> Interval:
        lower = torch.ones(3, units, dtype=torch.float64, device="cpu")
        lower[:, :opened] = -1
        return Interval(lower, torch.full_like(lower, 2.0))

    known = [box(4, 0), box(6, 2), box(6, 0), box(5, 3), box(5, 0), box(2, 0)]
    assert held(network, known[:2], 2) == 3 * 2 * 4
    assert held(network, known, 2) == 3 * (2 * 4 + 3 * (4 + 2) + 2 * (4 + 2 + 3))
