"""Many processes: shares of the work, the same training as in one process, lost workers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import core
from core.command_line.cli import main
from core.errors import InputError
from core.training.distributed import Workers, workers
from core.training.resume import RESUME
from tests.forked import begin, begin_ranks, finish

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["--widths", "12", "8", "--latent", "3", "--eps", "0.1", "--kappa", "0.3", "--lr", "0.005"]
SCHEDULE = ["--warmup", "0.5", "--ramp", "1.5"]
PATIENCE = 120


def words(out: Path, data: Path, *options: str) -> list[str]:
    return ["train", "--out", str(out), "--data", str(data), *OPTIONS, *SCHEDULE, *options]


def ranks(count: int, out: Path, data: Path, *options: str) -> str:
    """A training in several processes; what it prints."""
    log = out.with_suffix(".log")
    return finish(begin_ranks(count, main, words(out, data, *options), log=log), log, PATIENCE)


def torchrun(out: Path, data: Path, *options: str) -> subprocess.Popen[str]:
    """The same by the command, in two processes of which one may be lost."""
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", *launch, "-m", "core", *words(out, data, *options)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def alone(out: Path, data: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The same training in this process; what it prints."""
    assert main(words(out, data, *options)) == 0
    return "".join(capsys.readouterr())


def until(done: int, out: Path, ended: Callable[[], int | None]) -> None:
    """Wait until so many epochs are finished."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        config = out / "config.json"
        if config.exists() and json.loads(config.read_text())["training"]["epochs_done"] >= done:
            return
        assert ended() is None, "it ended before"
        time.sleep(0.005)
    pytest.fail("The training did not get there in time.")


def curve(printed: str) -> list[float]:
    """All numbers of the lines that report epochs."""
    lines = [line for line in printed.splitlines() if line.startswith("epoch")]
    return [float(number) for line in lines for number in re.findall(r"-?\d+\.\d+", line)]


@given(count=st.integers(0, 50), size=st.integers(1, 60))
def test_shares_cover_everything_once(count: int, size: int) -> None:
    shares = [Workers(rank, size, torch.device("cpu")).share(count) for rank in range(size)]
    assert [i for share in shares for i in range(count)[share]] == list(range(count))
    lengths = [share.stop - share.start for share in shares]
    assert max(lengths) - min(lengths) <= 1


def test_devices_that_are_not_there() -> None:
    with pytest.raises(InputError, match="choose one of cpu, cuda"), workers("tpu"):
        pass
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="finds no GPU here; leave it at cpu"), workers("cuda"):
            pass


@pytest.mark.parametrize("recipe", ["ibp", "noise"])
def test_two_processes_train_as_one(
    recipe: str, mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--epochs", "4", "--batch", "31", "--recipe", recipe]  # parts of different sizes
    lines = curve(ranks(2, tmp_path / "two", mnist, *options))
    wanted = curve(alone(tmp_path / "one", mnist, capsys, *options))
    assert len(wanted) == 4 * 3
    assert lines == pytest.approx(wanted, rel=1e-4)
    a, b = (core.load_model(tmp_path / name).state_dict() for name in ("two", "one"))
    for key, value in a.items():  # Adam makes much of gradients that are all rounding, weight by weight
        assert (value - b[key]).norm() < 2e-3 * b[key].norm()
    first, second = ((tmp_path / name / "config.json").read_text() for name in ("two", "one"))
    assert json.loads(first)["training"] == json.loads(second)["training"]


def test_more_processes_than_images_in_a_batch(
    mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--epochs", "1", "--batch", "2"]
    wanted = curve(alone(tmp_path / "one", mnist, capsys, *options))  # first: three are enough at a time
    three = ranks(3, tmp_path / "three", mnist, *options)
    assert curve(three) == pytest.approx(wanted, rel=1e-3)


def test_killed_and_resumed_ends_in_the_same_weights(
    mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--epochs", "60", "--batch", "16"]
    alone(tmp_path / "whole", mnist, capsys, *options)
    for done in (2, 9):
        more = words(tmp_path / "cut", mnist, *options, *(["--resume"] if done > 2 else []))
        cut = begin(main, more, log=tmp_path / "cut.log")
        until(done, tmp_path / "cut", lambda: cut.exitcode)  # noqa: B023
        cut.kill()
        cut.join()
        assert cut.exitcode == -signal.SIGKILL
        assert (tmp_path / "cut" / RESUME).exists()
    alone(tmp_path / "cut", mnist, capsys, *options, "--resume")
    for name in ("weights.safetensors", "config.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_lost_worker_is_replaced(mnist: Path, tmp_path: Path) -> None:
    options = ["--epochs", "16", "--batch", "16"]
    ranks(2, tmp_path / "whole", mnist, *options)
    cut = torchrun(tmp_path / "cut", mnist, *options)
    until(3, tmp_path / "cut", cut.poll)
    children = Path(f"/proc/{cut.pid}/task/{cut.pid}/children")
    if not children.exists():
        pytest.skip("finding a worker needs Linux's /proc")
    os.kill(int(children.read_text().split()[-1]), signal.SIGKILL)
    printed, _ = cut.communicate(timeout=PATIENCE)
    assert cut.returncode == 0, printed
    a, b = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("cut", "whole"))
    assert a == b
