"""Heavy work off the page's own thread, so that a control interrupts it at any moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from core.errors import Cancelled
from core.evaluation.curve import Proof
from dashboard.server import logs
from dashboard.server.fair_queue import Turns, cores

# One thread a computation: two visitors would otherwise fight for the cores, which costs far more
# than one visitor alone gains.
torch.set_num_threads(1)
MOST_WAITING = 64
"""Computations of a kind that may wait; a page has one at a time."""
TURNS = Turns(cores(), MOST_WAITING)
_GLANCE = 0.1

T = TypeVar("T")


@dataclass(frozen=True)
class Now:
    """How far a computation is: share done in [0, 1], what is being done, what is proved already."""

    share: float
    what: str
    proofs: tuple[Proof, ...] = ()


Tell = Callable[[Now], None]
"""Called by the work, often; raises Cancelled when nobody waits any more, and pauses slow work while fast
work needs its core."""
Show = Callable[[Now], None]
"""Called on the page's thread every tenth of a second; may raise to cancel."""


def run(work: Callable[[Tell], T], show: Show, fast: bool = False, model: str = "") -> T:
    """What `work` returns or raises, from a thread of its own, when its turn has come.

    Streamlit interrupts a page only where it calls `st`, and one step of a certificate may take seconds:
    work that is no longer wanted ends at its next `Tell`, and the page does not wait for that. What a page
    needs to open is `fast`: it does not queue behind slow proofs. Raises Busy where too much is waiting.
    The log names the function that holds `work`, and the model.
    """
    asked, turn = time.monotonic(), TURNS.join(fast)
    try:
        while not TURNS.wait(turn, _GLANCE):
            show(Now(0.0, _waiting(TURNS.before(turn))))
    except BaseException:
        TURNS.leave(turn)
        raise
    waited, unwanted = time.monotonic() - asked, threading.Event()
    now = Now(0.0, "about to start")
    result: Future[T] = Future()

    def tell(news: Now) -> None:
        nonlocal now
        now = news
        TURNS.heed(turn, unwanted.is_set)
        if unwanted.is_set():
            raise Cancelled

    def job() -> None:
        torch.set_num_threads(1)  # a setting of each thread
        try:
            done = work(tell)
        except BaseException as error:
            TURNS.leave(turn)
            result.set_exception(error)
        else:
            TURNS.leave(turn)
            result.set_result(done)
        error = Cancelled() if unwanted.is_set() else result.exception()
        logs.computed(_kind(work), model, fast, waited, time.monotonic() - asked - waited, error)

    threading.Thread(target=job, name="computation", daemon=True).start()
    try:
        while not wait([result], timeout=_GLANCE).done:
            paused = ", paused while other pages open"
            show(replace(now, what=now.what + paused) if turn.paused else now)
    except BaseException:
        unwanted.set()
        raise
    return result.result()


def _waiting(before: int) -> str:
    return f"waiting: {before} computation{'s' * (before != 1)} before yours"


def _kind(work: Callable[[Tell], T]) -> str:
    """The function that work is written in."""
    return getattr(work, "__qualname__", "").split(".")[0].lstrip("_")
