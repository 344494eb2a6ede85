from __future__ import annotations

import threading
import time

import pytest
import torch

from core.errors import Cancelled, InputError
from dashboard.server import background, fair_queue
from dashboard.server.background import Now, Tell


class Interrupt(BaseException):
    """Like Streamlit's own, which is no Exception either."""


def ignore(now: Now) -> None:
    pass


def computations() -> int:
    return sum(thread.name == "computation" for thread in threading.enumerate())


def test_the_result_and_the_error_come_back():
    assert background.run(lambda tell: 7, ignore) == 7

    def fails(tell: Tell) -> None:
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        background.run(fails, ignore)


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

    background.run(work, show)
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
        background.run(work, show)
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

    for _ in range(2 * fair_queue.cores()):
        with pytest.raises(Interrupt):
            background.run(slow, interrupt)
        with pytest.raises(ZeroDivisionError):
            background.run(lambda tell: 1 / 0, ignore)
    assert background.run(lambda tell: "done", ignore) == "done"


def test_what_is_fast_does_not_queue_behind_slow_work():
    cores, go, busy = fair_queue.cores(), threading.Event(), threading.Semaphore(0)

    def slow(tell: Tell) -> None:
        busy.release()
        assert go.wait(20)

    visitors = [threading.Thread(target=background.run, args=(slow, ignore)) for _ in range(cores)]
    for visitor in visitors:
        visitor.start()
    for _ in visitors:
        assert busy.acquire(timeout=20)
    try:
        assert background.run(lambda tell: "fast", ignore, fast=True) == "fast"
    finally:
        go.set()
        for visitor in visitors:
            visitor.join()


def test_no_more_computations_at_once_than_cores():
    cores = fair_queue.cores()
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
        threading.Thread(target=lambda: threads.append(background.run(work, ignore)))
        for _ in range(cores + 2)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert most == cores
    assert threads == [1] * (cores + 2)


def test_work_that_waits_says_what_is_before_it_and_can_be_left():
    go, shown = threading.Event(), list[str]()
    threads = [
        threading.Thread(target=background.run, args=(lambda tell: go.wait(20), ignore))
        for _ in range(fair_queue.cores())
    ]
    for thread in threads:
        thread.start()
    while background.TURNS.load().running < fair_queue.cores():
        time.sleep(0.01)

    def show(now: Now) -> None:
        shown.append(now.what)
        raise Interrupt

    started: list[bool] = []
    before = computations()
    try:
        with pytest.raises(Interrupt):
            background.run(lambda tell: started.append(True), show)
        assert shown == ["waiting: 1 computation before yours"]
        assert computations() == before
        assert background.TURNS.load().waiting == 0
    finally:
        go.set()
        for thread in threads:
            thread.join()
    assert not started


def test_a_cancelled_computation_leaves_no_thread_and_no_place():
    running = threading.Event()

    def work(tell: Tell) -> None:
        running.set()
        while True:
            tell(Now(0, "on and on"))
            time.sleep(0.005)

    def show(now: Now) -> None:
        if running.is_set():
            raise Interrupt

    for _ in range(3):
        running.clear()
        with pytest.raises(Interrupt):
            background.run(work, show)
    end = time.monotonic() + 10
    while computations():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert background.TURNS.load().running == 0


def test_slow_work_pauses_and_says_so_while_fast_work_needs_its_core():
    cores, told, go = fair_queue.cores(), [0], threading.Event()
    started, shown = threading.Semaphore(0), list[str]()

    def slow(tell: Tell) -> str:
        while not go.is_set():
            told[0] += 1
            tell(Now(0.5, "slow"))
            time.sleep(0.001)
        return "done"

    def fast(tell: Tell) -> None:
        started.release()
        assert go.wait(20)

    results: list[str] = []
    visitor = threading.Thread(
        target=lambda: results.append(background.run(slow, lambda now: shown.append(now.what)))
    )
    visitor.start()
    while told[0] < 5:
        time.sleep(0.01)
    openers = [threading.Thread(target=background.run, args=(fast, ignore, True)) for _ in range(cores)]
    for opener in openers:
        opener.start()
    for _ in openers:
        assert started.acquire(timeout=20)
    while "slow, paused while other pages open" not in shown:
        time.sleep(0.01)
    standing = told[0]
    time.sleep(0.3)
    assert told[0] == standing
    go.set()
    for thread in (*openers, visitor):
        thread.join()
    assert results == ["done"]
    assert told[0] >= standing


def test_a_paused_computation_is_cancelled_too():
    cores, go, started, ended = fair_queue.cores(), threading.Event(), threading.Event(), threading.Event()

    def slow(tell: Tell) -> None:
        started.set()
        try:
            while True:
                tell(Now(0.5, "slow"))
                time.sleep(0.001)
        finally:
            ended.set()

    def show(now: Now) -> None:
        if "paused" in now.what:
            raise Interrupt

    openers = [
        threading.Thread(
            target=background.run, args=(lambda tell: started.wait(20) and go.wait(20), ignore, True)
        )
        for _ in range(cores)
    ]

    def open_pages(now: Now) -> None:
        if started.is_set():
            for opener in openers:
                if opener.ident is None:
                    opener.start()
        show(now)

    try:
        with pytest.raises(Interrupt):
            background.run(slow, open_pages)
        assert ended.wait(10)
    finally:
        go.set()
        for opener in openers:
            opener.join()
