"""The ball, cut to [0, 1], and the box that covers it in any precision."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from core.ball import Ball


def test_by_hand() -> None:
    x = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 1, 3)
    box = Ball(x.double(), torch.tensor([0.5]).double()).box
    assert box.lower.flatten().tolist() == [0, 0, 0.5]
    assert box.upper.flatten().tolist() == [0.5, 0.75, 1]


@given(pixel=st.floats(0, 1, width=32), eps=st.one_of(st.just(0.0), st.floats(0, 1)))
def test_the_cover_holds_the_real_and_the_float32_ball(pixel: float, eps: float) -> None:
    x, radius = torch.full((1, 1, 1, 1), pixel), torch.tensor([eps], dtype=torch.float64)
    cover = Ball(x, radius).cover().box
    for box in (Ball(x, radius).box, Ball(x.double(), radius).box):
        assert cover.lower.item() <= box.lower.double().item() <= pixel
        assert pixel <= box.upper.double().item() <= cover.upper.item()
    assert cover.lower.item() >= 0
    assert cover.upper.item() <= 1
    assert cover.width.item() <= 2 * eps + 1e-6
    if eps == 0:
        assert cover.lower.item() == cover.upper.item() == pixel


def test_one_radius_an_image() -> None:
    x, eps = torch.full((3, 1, 2, 2), 0.5), torch.tensor([0.0, 0.1, 1.0]).double()
    for box in (Ball(x, eps).box, Ball(x, eps).cover().box):
        expected = torch.tensor([0, 0.2, 1]).double()
        torch.testing.assert_close(box.width.double()[:, 0, 0, 0], expected, rtol=1e-5, atol=1e-7)
