"""Gradient ascent on bounds: whatever the free choices are, the bound holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor


def ascend(
    bound: Callable[[], Tensor],
    groups: Sequence[tuple[Sequence[Tensor], float]],
    steps: int,
    last: float,
    repair: Callable[[], None],
    betas: tuple[float, float] = (0.9, 0.999),
) -> Iterator[Tensor]:
    """Raise the sum of bound() by Adam (Kingma & Ba 2015) in place; yields its value before each step.

    groups  the tensors that move, and their first step size; `last` is what is left of it at the end.
    repair  called after each step, to put tensors back into their range.
    betas   how long Adam remembers slopes and their squares.
    """
    tensors = [tensor for members, _ in groups for tensor in members]
    adam = torch.optim.Adam(
        [{"params": list(members), "lr": step} for members, step in groups], betas=betas
    )
    decay = last ** (1 / max(1, steps))
    for _ in range(steps):
        for tensor in tensors:
            tensor.requires_grad_(True)
        with torch.enable_grad():
            value = bound()
            gradients = torch.autograd.grad(-value.sum(), tensors, allow_unused=True)
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.requires_grad_(False)
            tensor.grad = None if gradient is None else gradient.nan_to_num(0, 0, 0)
        yield value.detach()
        adam.step()
        for group in adam.param_groups:
            group["lr"] *= decay
        repair()
