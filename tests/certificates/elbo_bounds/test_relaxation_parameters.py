"""Slopes of several images: taken apart and joined, those of each image stay its own."""

from __future__ import annotations

import torch

from core.certificates.elbo_bounds.relaxation_parameters import Slopes, mapped

DRAWS = 3


def numbered(images: list[int]) -> Slopes:
    """Values that name the image, and the draw where there is one."""
    image = torch.tensor(images, dtype=torch.float64)[:, None]
    draw = (100.0 * torch.arange(1, DRAWS + 1)[:, None, None] + image).flatten(0, 1)
    return Slopes(
        {1: image.expand(-1, 2)}, {0: draw.expand(-1, 4)}, mix=draw, mu=image, logvar=image, tie=image
    )


def same(one: Slopes, other: Slopes) -> bool:
    pairs = zip(one.tensors(), other.tensors(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_take_names_images_as_often_as_asked() -> None:
    taken = numbered([0, 1, 2]).take(torch.tensor([2, 0, 2]), DRAWS)
    assert same(taken, numbered([2, 0, 2]))
    assert taken.sigma is None


def test_joined_holds_both() -> None:
    assert same(numbered([0, 1]).joined(numbered([7]), DRAWS), numbered([0, 1, 7]))


def test_copies_do_not_share_memory() -> None:
    slopes = numbered([0, 1])
    taken = slopes.take(torch.tensor([0, 0]), DRAWS)
    for tensor in taken.tensors():
        tensor += 1
    assert same(slopes, numbered([0, 1]))
    assert mapped(lambda v: v, lambda v: v, slopes).tie is slopes.tie
