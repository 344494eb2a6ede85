"""Many processes, killed processes, torchrun: the files are always the same."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import WorkerError
from tests.evaluation.suite.small import contents, run_slowly, run_small
from tests.forked import begin, begin_ranks, finish

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
LOG = Path("log") / "rank-0.jsonl"


@pytest.fixture
def half(whole: Path, tmp_path: Path) -> None:
    """Half of the jobs are done already."""
    (tmp_path / "out" / "log").mkdir(parents=True)
    content = (whole / LOG).read_bytes().splitlines(keepends=True)
    (tmp_path / "out" / LOG).write_bytes(b"".join(content[:24]))


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 120
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether a process is alive; one that nobody has buried yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.usefixtures("half")
def test_killed_three_times(models: list[Path], expected: dict[str, bytes], tmp_path: Path) -> None:
    generator = random.Random(0)
    for jobs in (1, 2, 1):
        before = lines(tmp_path / "out" / LOG)
        process = begin(run_slowly, tmp_path / "out", models, jobs, 0.05, log=tmp_path / "said")
        more = generator.randint(1, 4)
        wait_until(lambda: lines(tmp_path / "out" / LOG) >= before + more, "no job is finished")  # noqa: B023
        time.sleep(generator.random() / 10)
        assert process.pid is not None
        workers = children(process.pid)
        assert len(workers) >= jobs - 1
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        # The processes that it started end by themselves.
        wait_until(lambda: not any(map(runs, workers)), "a worker lives on")  # noqa: B023
        assert lines(tmp_path / "out" / LOG) < 47
    run_small(tmp_path / "out", models)
    assert contents(tmp_path / "out") == expected


def test_two_worker_processes(models: list[Path], expected: dict[str, bytes], tmp_path: Path) -> None:
    done = 0

    def kill_a_worker(*progress: float) -> None:
        nonlocal done
        done += 1
        if done == 3:
            victim = multiprocessing.active_children()[0]
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)

    with pytest.raises(WorkerError, match="run the same command again, with a smaller --jobs"):
        run_small(tmp_path, models, jobs=2, progress=kill_a_worker)
    run_small(tmp_path, models, jobs=2)
    assert contents(tmp_path) == expected


@pytest.mark.usefixtures("half")
def test_torchrun(models: list[Path], expected: dict[str, bytes], tmp_path: Path) -> None:
    log = tmp_path / "said"
    finish(begin_ranks(2, run_slowly, tmp_path / "out", models, 1, 0.0, log=log), log, patience=300)
    assert contents(tmp_path / "out") == expected
    # Each rank did its share and wrote it to a log of its own.
    assert [lines(tmp_path / "out" / "log" / f"rank-{rank}.jsonl") for rank in (0, 1)] == [24 + 11, 1 + 12]


def test_ctrl_c_with_two_workers(models: list[Path], mnist: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["evaluate", "--suite", "paper", "--models", *models, "--data", mnist, "--samples", "6"]
    process = subprocess.Popen(
        [sys.executable, "-m", "core", *map(str, words), "--out", str(out), "--jobs", "2"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: lines(out / LOG) >= 3, "no job is finished")
    os.killpg(process.pid, signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert error == f"Finished jobs are in {out}; go on with the same command.\nStopped.\n"
