"""How far a mean over images would move with other images of the kind: percentile bootstrap."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

RESAMPLES = 1000


def resamples(count: int, seed: int = 0) -> Tensor:
    """(RESAMPLES, count) float64: how often each of the images is in each resample of `count` images."""
    generator = torch.Generator("cpu").manual_seed(seed)
    picks = (
        torch.randint(count, (count,), generator=generator, dtype=torch.int64, device="cpu")
        for _ in range(RESAMPLES)
    )
    return torch.stack([torch.bincount(pick, minlength=count) for pick in picks]).double()


def interval(values: np.ndarray, counts: Tensor) -> tuple[float, float]:
    """95 % interval of the mean of values (n,), for counts from `resamples(n)`.

    -inf is a value as any other: a resample has mean -inf if such an image is in it.
    """
    column = torch.from_numpy(values)
    bounded = column.isfinite()
    means = counts @ column.where(bounded, 0) / len(values)
    if not bool(bounded.all()):
        means[counts @ (~bounded).double() > 0] = -torch.inf
    ordered = means.sort().values
    tail = RESAMPLES // 40
    return ordered[tail - 1].item(), ordered[-tail].item()
