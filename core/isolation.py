"""What is computed does not depend on what its caller has switched on: public functions run `isolated`.

Three kinds of switches, three ways. The default dtype is one for all threads, so that nobody here touches
it: every tensor names its own (tests/test_isolation.py reads the code). Those of a thread (no_grad,
inference mode, autocast, default device, subnormals flushed) are set for the call, and set back. Those of
the process that change numbers are held by `core.device.plain_products`, which counts threads.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from core.device import DEVICES, plain_products

P = ParamSpec("P")
Item = TypeVar("Item")


@contextmanager
def isolated() -> Iterator[None]:
    """Inside, torch is as it is in a fresh thread: gradients are recorded, nothing is cast or flushed, new
    tensors are on the CPU. A decorator of functions; of generators `isolated_steps` is."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))  # which lets gradients be recorded, too
        for device in DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if _flushes():
            torch.set_flush_denormal(False)
            stack.callback(torch.set_flush_denormal, True)
        stack.enter_context(plain_products())
        yield


def isolated_steps(generator: Callable[P, Iterator[Item]]) -> Callable[P, Iterator[Item]]:
    """The generator, isolated while it computes: between two items the caller's switches are his own."""

    @wraps(generator)
    def steps(*args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        items = generator(*args, **kwargs)
        while True:
            with isolated():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    return steps


def own(v: Tensor) -> Tensor:
    """The tensor, a copy if it was made in inference mode: through such a one no gradient goes."""
    return v.clone() if v.is_inference() else v


def _flushes() -> bool:
    """Whether this thread takes subnormal numbers for 0."""
    return sys.float_info.min / 2 == 0
