from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.server import fair_queue
from dashboard.server.fair_queue import Busy, Turn, Turns


def never() -> bool:
    return False


@given(
    cores=st.integers(1, 3),
    steps=st.lists(st.tuples(st.sampled_from(["join", "start", "end"]), st.booleans(), st.integers(0, 5))),
)
def test_first_come_first_served_fast_before_slow_and_never_too_many(
    cores: int, steps: list[tuple[str, bool, int]]
):
    queue, waiting, running = Turns(cores, 4), {True: list[Turn](), False: list[Turn]()}, list[Turn]()
    for what, fast, which in steps:
        mine = waiting[fast]
        if what == "join":
            if len(mine) == 4:
                with pytest.raises(Busy, match="4 computations are waiting"):
                    queue.join(fast)
            else:
                mine.append(queue.join(fast))
        elif what == "start" and mine:
            turn = mine[min(which, len(mine) - 1)]
            if queue.wait(turn, 0):
                assert turn is mine.pop(0)
                assert fast or sum(t.fast for t in running) + len(waiting[True]) < cores
                running.append(turn)
        elif what == "end" and running:
            queue.leave(running.pop(which % len(running)))
        for kind in (True, False):
            assert sum(turn.fast == kind for turn in running) <= cores
        assert (queue.load().running, queue.load().waiting) == (
            len(running),
            sum(map(len, waiting.values())),
        )
    while running or any(waiting.values()):  # nobody waits for ever
        for turn in running:
            queue.leave(turn)
        running = [t for fast in (True, False) for t in waiting[fast][:1] if queue.wait(t, 0)]
        assert running or not any(waiting.values())
        for turn in running:
            waiting[turn.fast].remove(turn)


def test_how_many_are_before():
    queue = Turns(2, 10)
    one, two, three, four = (queue.join(False) for _ in range(4))
    assert queue.wait(one, 0)
    assert queue.wait(two, 0)
    assert not queue.wait(three, 0)
    assert [queue.before(turn) for turn in (one, three, four)] == [0, 1, 2]
    queue.leave(three)
    assert queue.before(four) == 1
    queue.leave(one)
    assert queue.wait(four, 0)


def test_a_pause_ends_when_there_is_a_core_again_or_nobody_waits():
    queue = Turns(1, 10)
    slow, fast = queue.join(False), queue.join(True)
    assert not queue.wait(slow, 0)  # the fast one goes first, though it came later
    queue.leave(fast)
    assert queue.wait(slow, 0)
    fast = queue.join(True)
    calls: list[bool] = []

    def wanted(then: Callable[[], None]) -> Callable[[], bool]:
        def unwanted() -> bool:
            calls.append(slow.paused)
            then()
            return False

        return unwanted

    queue.heed(slow, wanted(lambda: queue.leave(fast)))
    assert calls[0]
    assert not slow.paused
    queue.join(True)
    queue.heed(slow, lambda: True)
    assert not slow.paused


def test_silence_is_measured(monkeypatch: pytest.MonkeyPatch):
    queue, now = Turns(1, 10), 100.0
    monkeypatch.setattr(fair_queue.time, "monotonic", lambda: now)
    turn = queue.join(False)
    assert queue.load().silent == 0
    assert queue.wait(turn, 0)
    now = 130.0
    assert queue.load().silent == 30
    queue.heed(turn, never)
    assert queue.load().silent == 0


@pytest.mark.parametrize(
    ("quota", "count"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("", 8)]
)
def test_a_container_s_share_of_the_cores_counts(
    quota: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    monkeypatch.setattr(fair_queue, "_QUOTA", file)
    monkeypatch.setattr(fair_queue.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert fair_queue.cores() == count
