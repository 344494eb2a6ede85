"""The app as `streamlit run` or a Procfile starts it, in a process of its own, its log in a file."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = (sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.headless=true")
PATIENCE = 90.0
"""Seconds; a loaded machine is slow."""


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
    log: Path, cwd: Path = ROOT, env: dict[str, str] | None = None, before: Callable[[], None] | None = None
) -> Iterator[App]:
    """An app that is ready, until the block ends; `before` runs in its process, before anything else."""
    port = free_port()
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


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with start(tmp_path_factory.mktemp("log") / "app.log") as app:
        yield app
