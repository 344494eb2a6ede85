"""Training schedules: pure functions of the progress through training, in epochs."""

from __future__ import annotations

import math


def ramp(epoch: float, warmup: float, length: float) -> float:
    """0 during the warm-up, then linearly up to 1 over `length` epochs, then 1."""
    if epoch < warmup:
        return 0.0
    return 1.0 if length == 0 else min(1.0, (epoch - warmup) / length)


def eps_at(epoch: float, eps: float, warmup: float, length: float, power: float = 1.0) -> float:
    """Training radius: ramped from 0 to eps, as this power of the ramp."""
    return eps * ramp(epoch, warmup, length) ** power


def kappa_at(epoch: float, kappa: float, warmup: float, length: float) -> float:
    """Weight of the clean ELBO: from 1 to kappa, along with eps."""
    return 1 - (1 - kappa) * ramp(epoch, warmup, length)


def lr_at(epoch: float, lr: float, epochs: float) -> float:
    """Learning rate: half a cosine from lr to 1% of it."""
    return lr * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, epoch / epochs))) / 2)
