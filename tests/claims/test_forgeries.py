"""Certificates as the dashboard makes them hold; those with one field changed do not. More of them:
benchmarks.claims."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import claims
from core.claims.claim import read_claim
from core.command_line.cli import main
from dashboard.shared import compute, tighter_bounds

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def questions() -> list[claims.Asked]:
    return claims.asked(every=3)


@pytest.fixture(scope="module")
def files(questions: list[claims.Asked]) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (compute, tighter_bounds):  # fewer draws of the noise at large: a tenth of the time
            patch.setattr(module, "SAMPLE", 1600)
        return [question.file() for question in questions]


def test_certificates_hold(files: list[str], tmp_path: Path) -> None:
    assert len(files) == len(set(files)) == 35
    found = [read_claim(content) for content in files]
    assert {claim.method for claim in found} == {"ibp", "crown-ibp", "crown", "alpha-crown"}
    assert {claim.states for claim in found} == {"draws", "expectation", "coverage"}
    assert len({claim.model for claim in found}) == len(claims.MODELS)
    assert {claim.target for claim in found} == {"likelihood", "reconstruction"}
    assert {claim.norm for claim in found} == {"linf", "l2"}
    assert sum(claim.eps > 0 for claim in found) > 25
    for content in files:
        accepted, said = claims.verify(tmp_path / "claim.json", content)
        assert accepted, said


def test_forged_ones_do_not(files: list[str], tmp_path: Path) -> None:
    forged, changed, signed = Counter[str](), Counter[str](), 0
    for name, signs, content in claims.forgeries([*files, *files[:24]]):
        accepted, said = claims.verify(tmp_path / "claim.json", content)
        assert not accepted, f"{name}: {said}"
        # Where the checksum fits it is the computation that finds out.
        assert ("its checksum is another one" in said) == (not signs and name != "format"), said
        forged[name] += 1
        signed += signs
        changed[name] += 1
    assert sum(forged.values()) == 59
    assert set(changed) == {*json.loads(files[0])}
    assert 25 <= signed <= 45


def test_a_better_bound_in_number_sentence_and_checksum_does_not_hold(
    files: list[str], questions: list[claims.Asked], tmp_path: Path
) -> None:
    cheap = [c for c, q in zip(files, questions, strict=True) if q.method == "ibp" and q.states == "draws"]
    for content in cheap[:40]:
        for nats in (0.01, 5.0):
            accepted, said = claims.verify(tmp_path / "claim.json", claims.rewrite(content, nats))
            assert not accepted
            assert "is what can be proved" in said


def test_the_command_itself(files: list[str], tmp_path: Path) -> None:
    content, path = files[-1], tmp_path / "claim.json"
    for code, written in (
        (0, content),
        (1, claims.forge(content, "seed", 0, signs=True)),
        (2, claims.forge(content, "seed", 0, signs=False)),
    ):
        path.write_text(written)
        assert main(["verify", str(path)]) == code
    command = [sys.executable, "-m", "core", "verify", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
