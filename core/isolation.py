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
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from core.device import DEVICES, plain_products
from core.errors import InputError

P = ParamSpec("P")
Item = TypeVar("Item")

_TORCH: Any = torch._C


@contextmanager
def isolated() -> Iterator[None]:
    """Inside, torch is as it is in a fresh thread: gradients are recorded, nothing is cast or flushed, new
    tensors are on the CPU. A decorator of functions; of generators `isolated_steps` is."""
    fake = _TORCH._get_dispatch_mode(_TORCH._TorchDispatchModeKey.FAKE)
    if _TORCH._functorch.maybe_current_level() is not None or fake is not None:
        raise InputError(
            "This cannot run inside torch.func's transforms or a FakeTensorMode; call it outside of them."
        )
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))  # which lets gradients be recorded, too
        if _TORCH._autograd._top_saved_tensors_default_hooks(False) is not None:
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(_same, _same))
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


def own(v: Tensor, like: Tensor) -> Tensor:
    """A copy of the values, with dtype and device of `like`, in a row in memory, which nobody else can
    change: not the caller between two steps, nor before a result is asked for more."""
    moved = v.detach().to(like.device, like.dtype)
    return moved.clone(memory_format=torch.contiguous_format)


def _same(v: Tensor) -> Tensor:
    """What is saved for the backward pass, as it is."""
    return v


def _flushes() -> bool:
    """Whether this thread takes subnormal numbers for 0."""
    return sys.float_info.min / 2 == 0
