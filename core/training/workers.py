"""The processes of one training: one by default, many under torchrun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from core.device import find_device
from core.training.processes import connected, this_rank


@dataclass(frozen=True)
class Workers:
    """This process among `size`; the first one, rank 0, writes files and reports."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process's part of `count` items in a row; the parts differ by one item at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            values = values.to(self.device)
            distributed.all_reduce(values)
        return values.cpu()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def workers(device: str = "cpu") -> Iterator[Workers]:
    """The processes that torchrun started, connected (gloo on the CPU, nccl on GPUs); else this one alone.

    Raises InputError for a device that this machine has not.
    """
    place, rank = find_device(device), this_rank()
    if rank.world == 1:
        yield Workers(0, 1, place)
        return
    if device == "cuda":
        torch.cuda.set_device(place)  # where nccl's barrier waits
    with connected(rank, "gloo" if device == "cpu" else "nccl"):
        yield Workers(rank.rank, rank.world, place)
