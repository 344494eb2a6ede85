"""Every line that benchmarks.faults changes stands once in core, so that its faults are still faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.faults import FAULTS, ROOT, plant

CORE = ROOT / "core"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_can_be_planted(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    path = tmp_path / "core" / fault.file
    path.parent.mkdir(parents=True)
    path.write_text((CORE / fault.file).read_text(encoding="utf-8"), encoding="utf-8")
    plant(fault, tmp_path)
    planted = path.read_text(encoding="utf-8")
    assert planted != (CORE / fault.file).read_text(encoding="utf-8")
    compile(planted, fault.file, "exec")
