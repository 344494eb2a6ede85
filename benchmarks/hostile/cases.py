"""What a hostile input is, and what may come of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from benchmarks.hostile.watch import Watch
from core.errors import CoreError

TAKEN, REFUSED, CRASHED = "taken", "refused", "crashed"


@dataclass(frozen=True)
class Case:
    """An input of a kind.

    run      hand it in: says what it was taken as, or raises the CoreError that refuses it.
    setting  what has to be there for it; made and taken away unwatched.
    """

    kind: str
    name: str
    run: Callable[[], str]
    setting: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class Outcome:
    """What came of a case: TAKEN, REFUSED or CRASHED, and in which words. touched: what it did outside."""

    case: Case
    verdict: str
    words: str
    seconds: float
    touched: tuple[str, ...]


def hand_in(cases: Iterable[Case], watch: Watch) -> list[Outcome]:
    """All cases, one after the other, in one process."""
    return [_hand_in(case, watch) for case in cases]


def _hand_in(case: Case, watch: Watch) -> Outcome:
    with case.setting(), watch as touched:
        start = time.monotonic()
        try:
            verdict, words = TAKEN, case.run()
        except CoreError as error:
            verdict, words = REFUSED, str(error)
        except Exception as error:  # whatever it is: that is the question
            verdict, words = CRASHED, repr(error)
        seconds = time.monotonic() - start
    return Outcome(case, verdict, words, seconds, tuple(touched))
