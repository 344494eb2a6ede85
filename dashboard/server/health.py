"""Whether the server can do its work, for whoever watches over it: /health, status 200 or 503."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse

from dashboard.server import logs

STUCK = 300.0
"""Seconds without a word after which a running computation counts as stuck; a step takes some, or many on a
busy machine."""
FULL = 0.9
"""Share of the memory that there is."""
_STATUS = Path("/proc/self/status")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

_began = time.monotonic()
_wrong: list[str] = ["starting: models and digits are being loaded"]


def lifespan(
    load: Callable[[], None], end: Callable[[], None]
) -> Callable[[st.App], AbstractAsyncContextManager[None]]:
    """Run from before the first visitor to after the last.

    load  what the page opens with, called in a thread, so that no visitor waits for it; may raise anything.
    end   called when the server stops: of a process that a signal ends nothing else is.
    """

    @asynccontextmanager
    async def run(app: st.App) -> AsyncIterator[None]:
        logs.start()
        logs.event("started", url=f"http://localhost:{st.get_option('server.port')}")
        threading.Thread(target=_loaded, args=(load,), name="loading", daemon=True).start()
        yield
        end()
        logs.event("stopped", seconds=round(time.monotonic() - _began))

    return run


def respond(request: Request) -> JSONResponse:
    """What is wrong, if anything, and the numbers behind that."""
    numbers, wrong = state()
    return JSONResponse(
        {"status": "failing" if wrong else "ok", "wrong": wrong} | numbers,
        status_code=503 if wrong else 200,
        headers={"Cache-Control": "no-store"},
    )


def state() -> tuple[dict[str, float], list[str]]:
    """Numbers (seconds, MiB) and what is wrong, as sentences."""
    wrong = list(_wrong)
    used, limit = memory()
    numbers: dict[str, float] = {
        "up_seconds": round(time.monotonic() - _began),
        "memory_mib": round(used / 2**20),
        "memory_limit_mib": round(limit / 2**20),
    }
    if 0 < FULL * limit < used:
        wrong.append(f"more than {FULL:.0%} of the memory is used")
    if not wrong:
        from dashboard.server.background import TURNS  # torch is there now

        load = TURNS.load()
        numbers |= {
            "running": load.running,
            "waiting": load.waiting,
            "silent_seconds": round(load.silent, 1),
        }
        if load.silent > STUCK:
            wrong.append(f"a computation has said nothing for more than {STUCK:g} seconds")
    return numbers, wrong


def memory() -> tuple[int, int]:
    """Bytes in use by this process, and the most there may be: the container's limit, or the machine's. 0
    where the system does not say."""
    used = 0
    try:
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        used = int(fields["VmRSS"].split()[0]) * 1024
    except (OSError, KeyError):  # not on Linux: nothing to say
        pass
    limit = 0
    if hasattr(os, "sysconf"):  # Windows has none
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in _LIMITS:
        try:
            limit = min(limit, int(file.read_text()))
        except (OSError, ValueError):  # no container, or one without a limit ("max")
            continue
    return used, limit


def _loaded(load: Callable[[], None]) -> None:
    """Load; what fails is what is wrong from then on."""
    try:
        load()
    except Exception as error:  # whatever it is, nobody can be served
        _wrong[:] = [f"models or digits cannot be loaded ({type(error).__name__})"]
        logs.event("not ready", logs.ERROR, error=type(error).__name__)
    else:
        # What is there by now stays: garbage is looked for without it, or that takes longer than a page.
        gc.collect()
        gc.freeze()
        _wrong.clear()
        logs.event("ready", seconds=round(time.monotonic() - _began, 1))
