"""Work of many steps that outlives the runs of a page: a few at a time, the others wait in a queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from core.errors import Cancelled
from dashboard.server.background import MOST_WAITING, Now, Tell, run
from dashboard.server.fair_queue import Turns, cores

LONG_TURNS = Turns(max(1, cores() // 2), MOST_WAITING)
"""Half of the cores at most: the other half is for what takes seconds."""
ALONE = 75.0
"""Seconds without a look after which nobody waits any more. A tab in the background looks once a minute."""
_GLANCE = 0.1

T = TypeVar("T")


class LongRun(Generic[T]):
    """The steps of an iterator, each a computation in the background: between two of them others have their
    turn, and fast ones at any time.

    items  what the steps gave so far. error: what ended them before the last one; Cancelled where nobody
           wanted them any more.
    """

    def __init__(self, make: Callable[[Tell], Iterator[T]]) -> None:
        """Begin, when its turn has come. Raises Busy where too much is waiting.

        make  the iterator, of anything but None; each of its steps calls the Tell often.
        """
        self.items: list[T] = []
        self.error: BaseException | None = None
        self._news, self._tell = Now(0.0, ""), _unheard
        self._unwanted, self._looked, self._over = threading.Event(), time.monotonic(), threading.Event()
        self._steps = make(lambda news: self._tell(news))
        self._turn = LONG_TURNS.join(fast=True)  # of a queue in which nothing is slow
        threading.Thread(target=self._work, name="long run", daemon=True).start()

    @property
    def going(self) -> bool:
        """Whether it waits or computes."""
        return not self._over.is_set()

    @property
    def before(self) -> int:
        """How many others have to end before this one begins, at least; 0 once it has begun."""
        return LONG_TURNS.before(self._turn)

    def look(self) -> Now:
        """How far the step is; whoever does not ask for ALONE seconds does not wait any more."""
        self._looked = time.monotonic()
        return self._news

    def cancel(self) -> None:
        """End it, within a moment; the items stay."""
        self._unwanted.set()

    def wait(self, seconds: float) -> bool:
        """Whether it is over; waits for that so long."""
        return self._over.wait(seconds)

    def _work(self) -> None:
        try:
            while not LONG_TURNS.wait(self._turn, _GLANCE):
                self._wanted()
            while (item := run(self._step, self._show)) is not None:
                self.items.append(item)
        except BaseException as error:  # for the page to say
            self.error = error
        finally:
            LONG_TURNS.leave(self._turn)
            self._over.set()

    def _step(self, tell: Tell) -> T | None:
        self._tell = tell
        return next(self._steps, None)

    def _show(self, news: Now) -> None:
        self._news = news
        self._wanted()

    def _wanted(self) -> None:
        if self._unwanted.is_set() or time.monotonic() - self._looked > ALONE:
            raise Cancelled


def _unheard(news: Now) -> None:
    """Before the first step."""
