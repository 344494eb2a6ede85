"""Work of many steps that goes on between the runs of a page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from core.errors import Cancelled, InputError
from dashboard.server import background, long_runs
from dashboard.server.background import Now, Tell
from dashboard.server.fair_queue import Busy, Turns
from dashboard.server.long_runs import LongRun


@pytest.fixture(autouse=True)
def queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """One core for everything, and two that may wait."""
    monkeypatch.setattr(long_runs, "LONG_TURNS", Turns(1, 2))
    monkeypatch.setattr(background, "TURNS", Turns(1, 8))


def count(steps: int) -> Callable[[Tell], Iterator[int]]:
    def make(tell: Tell) -> Iterator[int]:
        for step in range(steps):
            tell(Now(0.0, "counting"))
            yield step

    return make


class Gated:
    """Steps that each wait for leave."""

    def __init__(self) -> None:
        self.leave = threading.Semaphore(0)

    def __call__(self, tell: Tell) -> Iterator[int]:
        for step in range(3):
            while not self.leave.acquire(timeout=0.02):
                tell(Now(0.0, f"step {step}"))
            yield step


def soon(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_all_steps_are_done_and_kept() -> None:
    long = LongRun(count(3))
    assert long.wait(10)
    assert (long.items, long.error, long.going, long.before) == ([0, 1, 2], None, False, 0)


def test_an_error_ends_it_and_the_steps_before_stay() -> None:
    def make(tell: Tell) -> Iterator[int]:
        yield 0
        raise InputError("no")

    long = LongRun(make)
    assert long.wait(10)
    assert long.items == [0]
    assert isinstance(long.error, InputError)


def test_others_wait_are_counted_and_come_in_order() -> None:
    steps = Gated()
    first = LongRun(steps)
    soon(lambda: first.look().what == "step 0")
    second, third = LongRun(count(1)), LongRun(count(1))
    assert (first.before, second.before, third.before) == (0, 1, 2)
    with pytest.raises(Busy):
        LongRun(count(1))
    second.cancel()
    assert second.wait(10)
    assert isinstance(second.error, Cancelled)
    soon(lambda: third.before == 1)
    steps.leave.release(3)
    assert first.wait(10)
    assert third.wait(10)
    assert (second.items, third.items) == ([], [0])


def test_thirty_at_once_wait_in_order_and_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_runs, "LONG_TURNS", Turns(1, background.MOST_WAITING))
    steps = Gated()
    first = LongRun(steps)
    soon(lambda: first.look().what == "step 0")
    others = [LongRun(count(2)) for _ in range(29)]
    assert [long.before for long in others] == list(range(1, 30))
    assert background.run(lambda tell: "a page", lambda now: None, fast=True) == "a page"
    steps.leave.release(3)
    assert all(long.wait(10) and long.error is None for long in (first, *others))
    assert [long.items for long in others] == [[0, 1]] * 29


def test_it_is_cancelled_within_a_step() -> None:
    steps = Gated()
    long = LongRun(steps)
    steps.leave.release()
    soon(lambda: long.look().what == "step 1")
    long.cancel()
    assert long.wait(10)
    assert long.items == [0]
    assert isinstance(long.error, Cancelled)


def test_where_nobody_looks_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Gated()
    long = LongRun(steps)
    soon(lambda: long.look().what == "step 0")
    waiting = LongRun(count(1))
    monkeypatch.setattr(long_runs, "ALONE", 0.2)
    assert long.wait(10)
    assert waiting.wait(10)
    assert isinstance(long.error, Cancelled)


def test_fast_and_slow_work_of_others_comes_between() -> None:
    steps = Gated()
    long = LongRun(steps)
    soon(lambda: long.look().what == "step 0")
    assert background.run(lambda tell: "fast", lambda now: None, fast=True) == "fast"
    slow = threading.Thread(
        target=background.run, args=(lambda tell: steps.leave.release(2), lambda now: None)
    )
    slow.start()
    soon(lambda: background.TURNS.load().waiting == 1)
    assert long.items == []
    steps.leave.release()  # one step, then it is the turn of the one that waits, which lets the rest go
    assert long.wait(10)
    slow.join(10)
    assert long.items == [0, 1, 2]
