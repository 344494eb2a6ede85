"""Ranks: shares of the jobs, nodes without a shared folder, more ranks than jobs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import core.evaluation.suite.run
from core.errors import CoreError, DataError, InputError
from tests.evaluation.suite.conftest import count_jobs
from tests.evaluation.suite.small import SMALL, contents, run_small


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Makes this process a rank, one after the other: nobody waits."""
    monkeypatch.setattr(core.evaluation.suite.run, "wait_for_all", lambda rank: None)

    def become(rank: int, world: int) -> None:
        for name, value in {
            "RANK": rank,
            "WORLD_SIZE": world,
            "MASTER_ADDR": "here",
            "MASTER_PORT": 1,
        }.items():
            monkeypatch.setenv(name, str(value))

    return become


FEW: dict[str, Any] = {"suite": replace(SMALL, eps=(0.02,), targets=("likelihood",), subset=1)}


@pytest.fixture(scope="module")
def alone(models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What seven jobs in one process give."""
    out = tmp_path_factory.mktemp("alone")
    run_small(out, models[:1], **FEW)
    return contents(out)


def test_more_ranks_than_jobs(
    models: list[Path],
    alone: dict[str, bytes],
    as_rank: Callable[[int, int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = count_jobs(monkeypatch)
    for rank in range(10, -1, -1):
        as_rank(rank, 11)
        run_small(tmp_path, models[:1], **FEW)
    assert len(jobs) == len(set(jobs)) == 7
    assert len((tmp_path / "log" / "rank-10.jsonl").read_bytes().splitlines()) == 1
    assert contents(tmp_path) == alone


def test_nodes_without_a_shared_folder(
    models: list[Path],
    alone: dict[str, bytes],
    as_rank: Callable[[int, int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    as_rank(1, 2)
    run_small(there, models[:1], **FEW)
    assert contents(there) == {}
    as_rank(0, 2)
    with pytest.raises(DataError, match=r"3 of 7 jobs are not in .*Copy the logs of all nodes there"):
        run_small(here, models[:1], **FEW)
    shutil.copy(there / "log" / "rank-1.jsonl", here / "log")
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name)
    jobs = count_jobs(monkeypatch)
    run_small(here, models[:1], **FEW)
    assert jobs == []
    assert contents(here) == alone


@pytest.mark.parametrize(
    ("environment", "jobs", "error", "sentence"),
    [
        (
            {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            2,
            InputError,
            "--jobs is 2",
        ),
        ({"WORLD_SIZE": "2"}, 1, InputError, "start with torchrun"),
        (
            {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            1,
            InputError,
            "torchrun",
        ),
        (
            {"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            1,
            InputError,
            "torchrun",
        ),
        ({"RANK": "0", "WORLD_SIZE": "2"}, 1, InputError, "MASTER_ADDR"),
    ],
)
def test_a_strange_environment(
    environment: dict[str, str],
    jobs: int,
    error: type[CoreError],
    sentence: str,
    models: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=sentence):
        run_small(tmp_path, models, jobs=jobs)
