"""Heavy work off the page's own thread, so that a control interrupts it at any moment. The only locks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

import torch

from core.curve import Proof
from core.errors import Cancelled

# One thread a computation: two visitors would otherwise fight for the cores, which costs far more
# than one visitor alone gains. As many computations as there are cores may run at once, and as many
# fast ones beside them: what a page needs to open does not queue behind slow proofs.
torch.set_num_threads(1)
_CORES = max(1, os.cpu_count() or 1)
_SLOTS = {fast: threading.BoundedSemaphore(_CORES) for fast in (True, False)}
_GLANCE = 0.1

T = TypeVar("T")


@dataclass(frozen=True)
class Now:
    """How far a computation is: share done in [0, 1], what is being done, what is proved already."""

    share: float
    what: str
    proofs: tuple[Proof, ...] = ()


Tell = Callable[[Now], None]
"""Called by the work, often; raises Cancelled when nobody waits any more."""
Show = Callable[[Now], None]
"""Called on the page's thread every tenth of a second; may raise to cancel."""


def run(work: Callable[[Tell], T], show: Show, fast: bool = False) -> T:
    """What `work` returns or raises, from a thread of its own, when a core is free for it.

    Streamlit interrupts a page only where it calls `st`, and one step of a certificate may take seconds:
    work that is no longer wanted ends at its next `Tell`, and the page does not wait for that.
    """
    unwanted, slots = threading.Event(), _SLOTS[fast]
    now = Now(0.0, "about to start")
    result: Future[T] = Future()

    def tell(news: Now) -> None:
        nonlocal now
        if unwanted.is_set():
            raise Cancelled
        now = news

    def job() -> None:
        try:
            while not slots.acquire(timeout=_GLANCE):
                tell(Now(0.0, "waiting for other visitors' computations"))
            try:
                torch.set_num_threads(1)  # a setting of each thread
                result.set_result(work(tell))
            finally:
                slots.release()
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=job, daemon=True).start()
    try:
        while not wait([result], timeout=_GLANCE).done:
            show(now)
    except BaseException:
        unwanted.set()
        raise
    return result.result()
