"""The notebook of docs runs from top to bottom, and is kept without outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
import torch

import core

NOTEBOOK = Path(__file__).parent.parent / "docs" / "own-vae.ipynb"


def cells(kind: str) -> list[dict[str, Any]]:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


def test_it_is_small_and_without_outputs() -> None:
    assert NOTEBOOK.stat().st_size < 300_000
    for cell in cells("code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert len(cell["source"]) < 35
    for cell in cells("markdown"):
        for target in ("glossary.md", "own-models.md"):
            assert target not in "".join(cell["source"]) or (NOTEBOOK.parent / target).exists()


@pytest.mark.slow
def test_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own asserts hold; the training has made a model of which more is proved."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    there = dict[str, Any]()
    with torch.random.fork_rng(devices=[]):
        for cell in cells("code"):
            exec(compile("".join(cell["source"]), f"{NOTEBOOK.name}, {cell['id']}", "exec"), there)
    assert isinstance(there["figure"], go.Figure)
    assert "For every image x'" in capsys.readouterr().out
    before, after = (there["lower"][name]["crown"].mean().item() for name in ("before", "after"))
    assert after > before
    (kept,) = tmp_path.glob("*/robust")
    kept_bound = core.certify(
        core.load_model(kept), there["seen"], there["noise"], eps=there["eps"], method="crown"
    )
    torch.testing.assert_close(kept_bound.lower, there["lower"]["after"]["crown"])
