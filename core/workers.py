"""The processes of one training or evaluation: one by default, many under torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from core.errors import InputError

DEVICES = ("cpu", "cuda")


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


def restarted() -> bool:
    """Whether torchrun has started this process again after a worker was lost."""
    return _restarts() > 0


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def workers(device: str = "cpu") -> Iterator[Workers]:
    """The processes that torchrun started, connected (gloo on the CPU, nccl on GPUs); else this one alone.

    Processes that share a machine's cores share them evenly, unless OMP_NUM_THREADS says otherwise.
    Raises InputError for a device that this machine has not.
    """
    if device not in DEVICES:
        raise InputError(f"device is {device!r}; choose one of {', '.join(DEVICES)}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device is 'cuda', but torch finds no GPU here; leave it at cpu.")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device("cpu") if device == "cpu" else torch.device("cuda", local)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Workers(0, 1, place)
        return
    # The store may be that of the processes before a restart; their addresses in it are dead.
    store, rank, size = next(rendezvous("env://"))
    store = PrefixStore(f"attempt-{_restarts()}", store)
    backend = "gloo" if device == "cpu" else "nccl"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield Workers(rank, size, place)
    finally:
        distributed.destroy_process_group()
