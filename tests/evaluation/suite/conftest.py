"""Models for a small suite, and what it gives when nothing disturbs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.evaluation.suite.work import Worker
from core.vae.checkpoint import save_model
from tests.conftest import make_vae
from tests.evaluation.suite.small import contents, run_small

PLAIN = {"recipe": "plain", "eps": 0.0, "target": "likelihood", "kappa": 0.2}
ROBUST = {"eps": 0.1, "target": "reconstruction", "kappa": 0.3, "recipe": "crown"}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """An ordinary model, and a steep Gaussian one of which little is proved."""
    root = tmp_path_factory.mktemp("models")
    save_model(make_vae(), root / "plain", {"training": PLAIN})
    save_model(make_vae(seed=1, likelihood="gaussian", scale=3.0), root / "steep", {"training": ROBUST})
    return [root / name for name in ("plain", "steep")]


@pytest.fixture(scope="session")
def whole(models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run in one process."""
    out = tmp_path_factory.mktemp("whole")
    run_small(out, models)
    return out


@pytest.fixture(scope="session")
def expected(whole: Path) -> dict[str, bytes]:
    return contents(whole)


def count_jobs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that are computed from now on in this process."""
    jobs: list[Any] = []
    compute = Worker.compute
    monkeypatch.setattr(Worker, "compute", lambda self, job, x: jobs.append(job) or compute(self, job, x))
    return jobs
