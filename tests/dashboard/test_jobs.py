from __future__ import annotations

import os
import threading
import time

import pytest
import torch

from core.errors import Cancelled, InputError
from dashboard import jobs
from dashboard.jobs import Now, Tell


class Interrupt(BaseException):
    """Like Streamlit's own, which is no Exception either."""


def ignore(now: Now) -> None:
    pass


def test_the_result_and_the_error_come_back():
    assert jobs.run(lambda tell: 7, ignore) == 7

    def fails(tell: Tell) -> None:
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        jobs.run(fails, ignore)


def test_what_the_work_tells_is_shown_while_it_goes_on():
    shown: list[Now] = []
    seen = threading.Event()

    def work(tell: Tell) -> None:
        tell(Now(0.5, "half"))
        assert seen.wait(10)

    def show(now: Now) -> None:
        shown.append(now)
        if now.what == "half":
            seen.set()

    jobs.run(work, show)
    assert shown[-1].share == 0.5


def test_an_interrupt_does_not_wait_for_the_work_and_ends_it():
    started, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work(tell: Tell) -> None:
        started.set()
        assert go.wait(10)
        try:
            tell(Now(0.5, "still here"))
        except Cancelled:
            ended.set()
            raise

    def show(now: Now) -> None:
        if started.is_set():
            raise Interrupt

    start = time.monotonic()
    with pytest.raises(Interrupt):
        jobs.run(work, show)
    assert time.monotonic() - start < 5
    assert not ended.is_set()
    go.set()
    assert ended.wait(10)


def test_places_are_freed_by_results_errors_and_interrupts():
    def interrupt(now: Now) -> None:
        raise Interrupt

    def slow(tell: Tell) -> None:
        for _ in range(200):
            tell(Now(0, "slow"))
            time.sleep(0.01)

    for _ in range(2 * (os.cpu_count() or 1)):
        with pytest.raises(Interrupt):
            jobs.run(slow, interrupt)
        with pytest.raises(ZeroDivisionError):
            jobs.run(lambda tell: 1 / 0, ignore)
    assert jobs.run(lambda tell: "done", ignore) == "done"


def test_what_is_fast_does_not_queue_behind_slow_work():
    cores, go, busy = os.cpu_count() or 1, threading.Event(), threading.Semaphore(0)

    def slow(tell: Tell) -> None:
        busy.release()
        assert go.wait(20)

    visitors = [threading.Thread(target=jobs.run, args=(slow, ignore)) for _ in range(cores)]
    for visitor in visitors:
        visitor.start()
    for _ in visitors:
        assert busy.acquire(timeout=20)
    try:
        assert jobs.run(lambda tell: "fast", ignore, fast=True) == "fast"
    finally:
        go.set()
        for visitor in visitors:
            visitor.join()


def test_no_more_computations_at_once_than_cores():
    cores = os.cpu_count() or 1
    lock, busy, most = threading.Lock(), 0, 0

    def work(tell: Tell) -> int:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.2)
        with lock:
            busy -= 1
        return torch.get_num_threads()

    threads: list[int] = []
    visitors = [
        threading.Thread(target=lambda: threads.append(jobs.run(work, ignore))) for _ in range(cores + 2)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert most == cores
    assert threads == [1] * (cores + 2)
