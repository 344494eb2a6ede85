"""Processes that have imported torch and core when they start: forks of one server that has. Python with
torch takes seconds to start; tests of many processes that are not about that start theirs here."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

multiprocessing.set_forkserver_preload(["core.command_line.cli", "torch.distributed.launcher.api"])
_context: ForkServerContext = multiprocessing.get_context("forkserver")

Work = Callable[..., int | None]
"""A function of a module, and the exit status that it returns."""


def begin(work: Work, *given: Any, log: Path) -> BaseProcess:
    """Start a process that does the work; what it prints goes to the file."""
    process = _context.Process(target=_run, args=(work, given, log))
    process.start()
    return process


def begin_ranks(count: int, work: Work, *given: Any, log: Path) -> BaseProcess:
    """Start so many ranks as `torchrun --standalone` does, by the agent that it is a command for."""
    return begin(_agent, count, work, given, log, log=log)


def finish(process: BaseProcess, log: Path, patience: float) -> str:
    """Wait for the end, which has to be a good one; returns what was printed."""
    process.join(patience)
    printed = log.read_text()
    assert process.exitcode == 0, printed
    return printed


def _run(work: Work, given: tuple[Any, ...], log: Path) -> None:
    torch.set_num_threads(1)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    status = work(*given)
    sys.stdout.flush()
    if status:
        raise SystemExit(status)


def _agent(count: int, work: Work, given: tuple[Any, ...], log: Path) -> None:
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        start_method="forkserver",
        max_restarts=0,
        monitor_interval=0.1,
    )
    elastic_launch(config, _run)(work, given, log)
