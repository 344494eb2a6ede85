"""Processes that torchrun started: each does its share of the jobs, the first one puts them together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

from core.errors import InputError

# The last rank may come hours after the first.
_PATIENCE = timedelta(days=30)


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


def wait_for_all(rank: Rank) -> None:
    """Returns when every rank has called it."""
    if rank.world == 1:
        return
    from torch import distributed

    distributed.init_process_group("gloo", rank=rank.rank, world_size=rank.world, timeout=_PATIENCE)
    distributed.barrier()
    distributed.destroy_process_group()
