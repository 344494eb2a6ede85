"""A suite that takes seconds."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import core
from core.data.samples import load_levels
from core.evaluation.suite import SUITES

SMALL = replace(
    SUITES["paper"],
    eps=(0.02, 0.4),
    steps=2,
    subset=2,
    effort=1,
    iterations=1,
    block=4,
    subset_block=1,
    probes={"crown-ibp": 2, "alpha-crown": 1},
)
IMAGES = 10


def run_small(out: Path, models: list[Path], jobs: int = 1, count: int = IMAGES, **options: Any) -> None:
    """The suite SMALL on the first `count` shipped images."""
    x, y = core.load_samples("mnist")
    settings: dict[str, Any] = {"suite": SMALL, "jobs": jobs} | options
    core.run_suite(models, x[:count], y[:count], load_levels(), out=out, **settings)


def contents(out: Path) -> dict[str, bytes]:
    """All files that a suite leaves, its logs aside."""
    files = [path for path in out.rglob("*") if path.is_file() and path.parent.name != "log"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def run_slowly(out: Path, models: list[Path], jobs: int, pause: float) -> None:
    """The suite with a pause of some seconds after each job."""
    run_small(out, models, jobs, progress=lambda done, total: time.sleep(pause))
