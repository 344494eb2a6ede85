from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.evaluation import results_files
from tests.evaluation.results_files import MODELS, write_results

PAGE = "entries/results.py"
STANDARD, ROBUST = (model.name for model in MODELS[:2])


@pytest.fixture
def paper(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small evaluation in place of the shipped one, of the models that are there."""
    weights = {
        name: hashlib.sha256((models / name / "weights.safetensors").read_bytes()).hexdigest()
        for name in (STANDARD, ROBUST)
    }
    folder = write_results(tmp_path / "paper", weights=weights)
    monkeypatch.setattr(results_files, "RESULTS", folder)
    return folder


@pytest.fixture
def page(paper: Path, app: AppTest) -> AppTest:
    """The page of results, not yet run."""
    app.query_params.clear()
    return app.switch_page(PAGE)
