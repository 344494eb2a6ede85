"""Where networks run: the CPU, or a GPU."""

from __future__ import annotations

import os
import threading
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


class _Switch:
    """cuDNN, off while anybody is inside: the switch is one for all threads. The first to come turns it
    off, the last to go turns it back to what the first one found."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, True

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = torch.backends.cudnn.enabled
                torch.backends.cudnn.enabled = False
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                torch.backends.cudnn.enabled = self._before


_cudnn = _Switch()


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """Convolutions as sums of products: on a GPU cuDNN may choose Winograd's algorithm or a Fourier
    transform, whose rounding no certificate covers (core.bounds.rounding). Scores and certificates are
    computed under it; other threads may be inside at the same time."""
    if not torch.cuda.is_initialized():  # nothing to change
        yield
        return
    _cudnn.enter()
    try:
        yield
    finally:
        _cudnn.leave()
