"""Whose turn it is to compute: a fair queue before the cores, in which what is fast goes first."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import CoreError

_GLANCE = 0.1
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class Busy(CoreError):
    """So many computations are waiting that another one would not be done in a useful time."""


def cores() -> int:
    """How many computations can run at full speed: the cores of this process, or a container's share."""
    allowed = getattr(os, "sched_getaffinity", None)
    count = len(allowed(0)) if allowed else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        count = min(count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        pass
    return max(1, count)


@dataclass(frozen=True)
class Load:
    """What goes on at a moment. silent: seconds since the least talkative running computation told
    anything, 0 if none runs."""

    running: int
    waiting: int
    silent: float


class Turn:
    """A computation's place in the queue, later its right to compute."""

    def __init__(self, fast: bool) -> None:
        self.fast, self.paused = fast, False
        self.heard = 0.0


class Turns:
    """Up to `cores` computations of each kind at once, first come first served; slow ones pause while fast
    ones need their cores. At most `most` wait in each queue."""

    def __init__(self, cores: int, most: int) -> None:
        self.cores, self.most = cores, most
        self._changed = threading.Condition()
        self._waiting: dict[bool, deque[Turn]] = {True: deque(), False: deque()}
        self._running: dict[bool, list[Turn]] = {True: [], False: []}

    def join(self, fast: bool) -> Turn:
        """A new place at the end of the queue. Raises Busy where that is too far from its start."""
        with self._changed:
            queue = self._waiting[fast]
            if len(queue) >= self.most:
                raise Busy(
                    f"{len(queue)} computations are waiting already, more than this server can do in good "
                    "time. Try again in a minute, or change any control."
                )
            turn = Turn(fast)
            queue.append(turn)
            return turn

    def wait(self, turn: Turn, seconds: float) -> bool:
        """Whether the turn has come, which ends with `leave`; waits for it for so long."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._first(turn), seconds):
                return False
            self._waiting[turn.fast].popleft()
            self._running[turn.fast].append(turn)
            turn.heard = time.monotonic()
            self._changed.notify_all()
            return True

    def before(self, turn: Turn) -> int:
        """How many computations of its kind have to end before this one starts, at least."""
        with self._changed:
            queue, running = self._waiting[turn.fast], len(self._running[turn.fast])
            return queue.index(turn) + max(1, running - self.cores + 1) if turn in queue else 0

    def leave(self, turn: Turn) -> None:
        """Give up the place, or the core, of a turn."""
        with self._changed:
            for turns in (self._waiting[turn.fast], self._running[turn.fast]):
                if turn in turns:
                    turns.remove(turn)
            self._changed.notify_all()

    def heed(self, turn: Turn, unwanted: Callable[[], bool]) -> None:
        """Called by a running computation, often. A slow one waits here while fast ones need its core."""
        with self._changed:
            turn.heard = time.monotonic()
            if turn.fast or self._room() >= 0:
                return
            turn.paused = True
            while self._room() < 1 and not unwanted():
                self._changed.wait(_GLANCE)
                turn.heard = time.monotonic()
            turn.paused = False

    def load(self) -> Load:
        """What goes on now."""
        with self._changed:
            running = [*self._running[True], *self._running[False]]
            silent = max((time.monotonic() - turn.heard for turn in running), default=0.0)
            return Load(len(running), sum(map(len, self._waiting.values())), silent)

    def _first(self, turn: Turn) -> bool:
        """Whether a waiting computation may start now."""
        if self._waiting[turn.fast][0] is not turn or len(self._running[turn.fast]) >= self.cores:
            return False
        return turn.fast or self._room() > 0

    def _room(self) -> int:
        """Cores that are left for slow computations; negative where some have to pause."""
        fast = len(self._running[True]) + len(self._waiting[True])
        slow = sum(not turn.paused for turn in self._running[False])
        return self.cores - min(fast, self.cores) - slow
