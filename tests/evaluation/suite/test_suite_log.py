"""Logs: what a suite goes on from, what it refuses, and that nothing of how it got there shows."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import CheckpointError, DataError, InputError, OutputError
from core.evaluation.suite.work import Worker
from core.vae.checkpoint import save_model
from tests.conftest import make_vae
from tests.evaluation.suite.conftest import PLAIN, count_jobs
from tests.evaluation.suite.small import SMALL, contents, run_small

pytestmark = pytest.mark.slow

LOG = Path("log") / "rank-0.jsonl"


@pytest.fixture
def half(whole: Path, tmp_path: Path) -> Path:
    """A folder whose run was cut off in the middle of a line."""
    lines = (whole / LOG).read_bytes().splitlines(keepends=True)
    (tmp_path / "log").mkdir()
    (tmp_path / LOG).write_bytes(b"".join(lines[:-4]) + lines[-4][:-9])
    return tmp_path


def test_goes_on_behind_a_torn_line(
    half: Path, models: list[Path], expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = count_jobs(monkeypatch)
    run_small(half, models)
    assert len(jobs) == 4
    assert contents(half) == expected
    for line in (half / LOG).read_bytes().splitlines():
        json.loads(line)
    run_small(half, models)
    assert len(jobs) == 4
    assert contents(half) == expected


@pytest.mark.parametrize("left", [0, 1, 30])
def test_a_torn_first_line_is_no_log(left: int, whole: Path, models: list[Path], tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / LOG).write_bytes((whole / LOG).read_bytes()[:left])
    with pytest.raises(KeyboardInterrupt):
        run_small(tmp_path, models, progress=stop_at(2))
    written = (tmp_path / LOG).read_bytes().splitlines()
    assert written == (whole / LOG).read_bytes().splitlines()[: len(written)]
    assert len(written) == 3


def stop_at(calls: int) -> Callable[[float, float], None]:
    """A progress callback that stops when so many jobs are done."""
    seen: list[float] = []

    def progress(done: float, total: float) -> None:
        assert 0 <= done <= total + 1e-9
        seen.append(done)
        assert seen == sorted(seen)
        if len(seen) == calls + 1:
            raise KeyboardInterrupt

    return progress


def test_progress_starts_at_what_is_done_and_ends_at_the_total(half: Path, models: list[Path]) -> None:
    seen: list[tuple[float, float]] = []
    run_small(half, models, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) == 5
    assert 0.5 < seen[0][0] / seen[0][1] < 1
    assert seen[-1][0] == pytest.approx(seen[-1][1])


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"suite": replace(SMALL, steps=3)}, r"suite steps\)?;"),
        ({"suite": replace(SMALL, eps=(0.02,), seed=4)}, "suite eps, suite seed;"),
        ({"count": 9}, "images count, images sha256;"),
        ({"dataset": "kmnist"}, "images dataset;"),
    ],
)
def test_a_log_of_other_settings(
    change: dict[str, Any], names: str, half: Path, models: list[Path]
) -> None:
    before = (half / LOG).read_bytes()
    with pytest.raises(
        DataError, match=f"another evaluation, they differ in {names} choose another folder"
    ):
        run_small(half, models, **change)
    assert (half / LOG).read_bytes() == before


def test_a_log_of_another_device(half: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evaluation.suite.run.find_device", lambda name: None)
    with pytest.raises(DataError, match="differ in machine device;"):
        run_small(half, models, device="cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_a_gpu_that_is_not_there(models: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="torch finds no GPU here"):
        run_small(tmp_path / "out", models, device="cuda")
    assert not (tmp_path / "out").exists()


def test_a_log_of_other_weights(half: Path, models: list[Path], tmp_path: Path) -> None:
    save_model(make_vae(seed=7), tmp_path / "plain", {"training": PLAIN})
    with pytest.raises(DataError, match="differ in models plain;"):
        run_small(half, [tmp_path / "plain", models[1]])
    with pytest.raises(DataError, match="differ in models steep;"):
        run_small(half, models[:1])


def test_a_log_of_another_version(half: Path, models: list[Path]) -> None:
    content = (half / LOG).read_bytes()
    (half / LOG).write_bytes(content.replace(b'{"format":1', b'{"format":2', 1))
    with pytest.raises(DataError, match="is no log of this version"):
        run_small(half, models)
    for other in (b"time,value\n1,2\n", b"[]\n", b'{"format":1}\n', b'{"format":1,"suite":[]}\n'):
        (half / LOG).write_bytes(other)
        with pytest.raises(DataError, match="is no log of this version"):
            run_small(half, models)


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"[]",
        b'{"job":["plain","",0.0,"clean",0]}',
        b'{"job":["plain","",0.0,"clean",1],"values":{}}',
        b'{"job":["plain","",0.0,"clean",0],"values":{"clean":[1.0]}}',
        b'{"job":["plain","",0.0,"clean",0],"values":{"dirty":[1.0,1.0,1.0,1.0]}}',
        b'{"job":["plain","",0.0,"clean",0],"values":{"clean":[1.0,"x",1.0,1.0]}}',
    ],
)
def test_a_damaged_line_that_is_not_the_last(line: bytes, half: Path, models: list[Path]) -> None:
    lines = (half / LOG).read_bytes().splitlines()
    (half / LOG).write_bytes(b"\n".join([*lines[:5], line, *lines[5:]]))
    with pytest.raises(DataError, match="is damaged in line 6; delete that line and all below"):
        run_small(half, models)


def test_logs_that_disagree(whole: Path, models: list[Path], tmp_path: Path) -> None:
    shutil.copytree(whole / "log", tmp_path / "log")
    header, *lines = (whole / LOG).read_bytes().splitlines(keepends=True)
    record = json.loads(lines[0])
    record["values"]["clean"][2] += 1e-12
    (tmp_path / "log" / "rank-1.jsonl").write_bytes(header + json.dumps(record).encode() + b"\n")
    with pytest.raises(DataError, match=r"differ in .*'plain', '', 0.0, 'clean', 0.*unlike kinds"):
        run_small(tmp_path, models)


def test_a_log_that_another_process_writes(half: Path, models: list[Path]) -> None:
    with (
        FileLock(half / "log" / "rank-0.jsonl.lock"),
        pytest.raises(OutputError, match=r"Another process writes .*rank-0\.jsonl; let it end"),
    ):
        run_small(half, models)
    run_small(half, models)


def test_a_folder_that_cannot_be_written(models: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        run_small(tmp_path / "file", models)
    (tmp_path / "other" / "log" / "rank-0.jsonl.lock").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be written"):
        run_small(tmp_path / "other", models)
    (tmp_path / "log" / "rank-0.jsonl").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be read"):
        run_small(tmp_path, models)


def test_a_disk_that_is_full(half: Path, models: list[Path], expected: dict[str, bytes]) -> None:
    # The operating system lets the log grow by two lines at most, the last one torn.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (half / LOG).stat().st_size + 60
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(OutputError, match=r"rank-0\.jsonl cannot be written \(.*on a disk with room"):
            run_small(half, models)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (half / LOG).stat().st_size == size
    assert not (half / LOG).read_bytes().endswith(b"\n")
    run_small(half, models)
    assert contents(half) == expected


def test_a_model_that_vanishes(
    whole: Path,
    models: list[Path],
    expected: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Left to do: two jobs of either model, the one that vanishes first.
    header, *lines = (whole / LOG).read_bytes().splitlines(keepends=True)
    left = [lines[20], lines[21], lines[-2], lines[-1]]
    out, away = tmp_path / "out", tmp_path / "away"
    (out / "log").mkdir(parents=True)
    (out / LOG).write_bytes(header + b"".join(line for line in lines if line not in left))
    mine = [shutil.copytree(path, tmp_path / "models" / path.name) for path in models]
    compute = Worker.compute

    def vanish(self: Worker, job: Any, images: Any) -> Any:
        if not away.exists():
            mine[0].rename(away)
        return compute(self, job, images)

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "compute", vanish)
        with pytest.raises(CheckpointError, match=r"^plain: .*bring the folder back as it was"):
            run_small(out, mine)
    assert (out / LOG).read_bytes().splitlines(keepends=True)[-2:] == left[2:]
    assert contents(out) == {}
    away.rename(mine[0])
    run_small(out, mine)
    assert contents(out) == expected


def test_a_model_that_changes(models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = shutil.copytree(models[0], tmp_path / "plain")
    compute = Worker.compute

    def change(self: Worker, job: Any, images: Any) -> Any:
        save_model(make_vae(seed=9), mine, {"training": PLAIN})
        return compute(self, job, images)

    monkeypatch.setattr(Worker, "compute", change)
    with pytest.raises(CheckpointError, match="plain was changed while it was evaluated"):
        run_small(tmp_path / "out", [mine], suite=replace(SMALL, eps=()))


@settings(max_examples=5)
@given(data=st.data())
def test_any_order_and_any_split_of_the_logs(
    data: st.DataObject,
    whole: Path,
    models: list[Path],
    expected: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    header, *lines = (whole / LOG).read_bytes().splitlines(keepends=True)
    shuffled = data.draw(st.permutations(lines))
    parts = data.draw(st.integers(1, 4))
    out = tmp_path_factory.mktemp("logs")
    (out / "log").mkdir()
    for part in range(parts):
        # The first line is in every log: twice the same is no harm.
        content = header + b"".join([shuffled[0], *shuffled[part::parts]])
        (out / "log" / f"rank-{part}.jsonl").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        jobs = count_jobs(patch)
        run_small(out, models)
    assert jobs == []
    assert contents(out) == expected
