"""Where networks run: the CPU, or a GPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class _Setting:
    """One of torch's settings that are the same for all threads, and what it is held at."""

    read: Callable[[], Any]
    write: Callable[[Any], None]
    held: Any


class _Switch:
    """Settings that are held while anybody is inside. The first to come sets those that are otherwise, the
    last to go sets them back to what the first one found."""

    def __init__(self, *settings: _Setting) -> None:
        self._lock, self._inside, self._settings = threading.Lock(), 0, settings
        self._before = list[tuple[_Setting, Any]]()

    @contextmanager
    def hold(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                found = [(setting, setting.read()) for setting in self._settings]
                self._before = [(setting, value) for setting, value in found if value != setting.held]
                for setting, _ in self._before:
                    setting.write(setting.held)
            self._inside += 1

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for setting, value in self._before:
                    setting.write(value)


def _products(backend: Any) -> _Setting:
    """Whether a backend may round the factors of float32 products to fewer bits."""

    def read() -> str:
        return "ieee" if backend.fp32_precision == "none" else backend.fp32_precision

    def write(value: str) -> None:
        backend.fp32_precision = "none"  # what the backend has for all of its operations, or torch for all
        if read() != value:
            backend.fp32_precision = value

    return _Setting(read, write, "ieee")


_cudnn = _Switch(
    _Setting(
        lambda: torch.backends.cudnn.enabled,
        lambda value: setattr(torch.backends.cudnn, "enabled", value),
        False,
    )
)
_mkldnn: Any = torch.backends.mkldnn
_arithmetic = _Switch(
    _products(_mkldnn.matmul),
    _products(_mkldnn.conv),
    _products(torch.backends.cuda.matmul),
    _Setting(
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda value: torch.set_anomaly_enabled(*value),
        (False, True),
    ),
)


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """Convolutions as sums of products: on a GPU cuDNN may choose Winograd's algorithm or a Fourier
    transform, whose rounding no certificate covers (core.bounds.rounding). Scores and certificates are
    computed under it; other threads may be inside at the same time."""
    if not torch.cuda.is_initialized():  # nothing to change
        yield
        return
    with _cudnn.hold():
        yield


@contextmanager
def plain_products() -> Iterator[None]:
    """float32 products of float32 factors: not of 8 or 11 bits of them, which
    torch.set_float32_matmul_precision allows, and whose rounding no certificate covers. And gradients that
    are no numbers raise nothing: searches pass over them. Other threads may be inside at the same time."""
    with _arithmetic.hold():
        yield
