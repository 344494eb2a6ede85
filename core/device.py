"""Where networks run: the CPU, or a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.errors import InputError

DEVICES = ("cpu", "cuda")


def find_device(name: str) -> torch.device:
    """The CPU, or a GPU ("cuda"): under torchrun one for each process of a machine.

    Raises InputError for a device that this machine has not.
    """
    if name not in DEVICES:
        raise InputError(f"device is {name!r}; choose one of {', '.join(DEVICES)}.")
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError("device is 'cuda', but torch finds no GPU here; leave it at cpu.")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """Convolutions as sums of products: on a GPU cuDNN may choose Winograd's algorithm or a Fourier
    transform, whose rounding no certificate covers (core.bounds.rounding). Scores and certificates are
    computed under it."""
    if not torch.cuda.is_initialized():  # nothing to change, and the switch is one for all threads
        yield
        return
    with torch.backends.cudnn.flags(enabled=False):
        yield
