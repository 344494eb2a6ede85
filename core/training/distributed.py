"""Many processes under torchrun, one by default: how they meet, and how a training shares its work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from core.device import find_device
from core.errors import InputError


@dataclass(frozen=True)
class Rank:
    """This process among `world` ones; alone, 0 of 1."""

    rank: int = 0
    world: int = 1


def this_rank() -> Rank:
    """From the variables that torchrun sets. Raises InputError if they make no sense."""
    if "WORLD_SIZE" not in os.environ:
        return Rank()
    try:
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if not 0 <= rank < world or not {"MASTER_ADDR", "MASTER_PORT"} <= set(os.environ):
            raise ValueError
    except (KeyError, ValueError):
        raise InputError(
            "WORLD_SIZE is set, but not with it RANK, MASTER_ADDR and MASTER_PORT as torchrun does; "
            "start with torchrun, or unset WORLD_SIZE."
        ) from None
    return Rank(rank, world)


@contextmanager
def connected(rank: Rank, backend: str, patience: timedelta | None = None) -> Iterator[None]:
    """All ranks, connected within `patience` (torch's usual one if omitted); each has to call this.

    torchrun sets OMP_NUM_THREADS to 1 for several processes on a machine, unless it is set.
    """
    # The store may be that of the processes before a restart, with their dead addresses in it.
    store, _, _ = next(rendezvous("env://", rank.rank, rank.world))
    store = PrefixStore(f"attempt-{restarts()}", store)
    distributed.init_process_group(
        backend, store=store, rank=rank.rank, world_size=rank.world, timeout=patience
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def restarts() -> int:
    """How often torchrun has replaced the processes after one of them was lost."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def wait_for_all(rank: Rank) -> None:
    """Returns when every rank has called it; the last one may come hours after the first."""
    if rank.world > 1:
        with connected(rank, "gloo", timedelta(days=30)):
            distributed.barrier()


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
