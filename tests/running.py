"""The app as `streamlit run` or a Procfile starts it, in a process of its own, its log in a file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from benchmarks.sessions import Run, Session

ROOT = Path(__file__).resolve().parents[1]
RUN = (sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.headless=true")
PATIENCE = 90.0
"""Seconds; a loaded machine is slow."""


T = TypeVar("T")


@dataclass
class App:
    """A running app: where, and what it logs."""

    process: subprocess.Popen[bytes]
    host: str
    log: Path

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status and state; status 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://{self.host}/health", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def wait(self, wanted: Callable[[int, dict[str, Any]], bool]) -> dict[str, Any]:
        """The state of health as soon as it is as wanted."""
        end = time.monotonic() + PATIENCE
        while True:
            status, state = self.health()
            if wanted(status, state):
                return state
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"status {status}, {state}, exit {self.process.returncode}: {self.logged()}")
            time.sleep(0.1)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def logged(self) -> str:
        return self.log.read_text()

    def entries(self) -> list[dict[str, Any]]:
        """The log; every line of it has to be JSON."""
        return [json.loads(line) for line in self.logged().splitlines()]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def start(
    log: Path,
    cwd: Path = ROOT,
    port: int | None = None,
    env: dict[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> Iterator[App]:
    """An app that is ready, until the block ends; `before` runs in its process, before anything else."""
    port = port or free_port()
    options = [*RUN, "--server.address=127.0.0.1", f"--server.port={port}"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            options, cwd=cwd, env=os.environ | (env or {}), stdout=file, stderr=file, preexec_fn=before
        )
    app = App(process, f"127.0.0.1:{port}", log)
    try:
        app.wait(lambda status, state: status == 200)
        yield app
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=30)


async def visit(host: str, *queries: dict[str, str]) -> list[Run]:
    """What a visitor sees who asks for one address after the other, each to its end."""
    session = Session(host)
    await session.open()
    try:
        loop = asyncio.get_running_loop()
        return [await session.change(query, loop.time() + PATIENCE) for query in queries]
    finally:
        await session.close()


def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of asynchronous work; in a thread of its own, for Playwright keeps a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
