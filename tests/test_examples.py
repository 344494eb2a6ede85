"""The example in the docstring of each public function is right."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
import torch

import core
from core.data.samples import load_levels
from core.evaluation.suite import SUITES
from core.training.settings import TrainSettings
from core.vae.config import VAEConfig
from tests.evaluation.suite.small import SMALL


@pytest.mark.parametrize("name", core.__all__)
def test_the_example_of_a_public_function(
    name: str, mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SUITES, "paper", SMALL)  # half a minute otherwise
    given = {"core": core, "torch": torch, "data": mnist, "folder": tmp_path}
    given |= {"TrainSettings": TrainSettings, "VAEConfig": VAEConfig, "load_levels": load_levels}
    text = getattr(core, name).__doc__ or ""
    example = doctest.DocTestParser().get_doctest(text, given, name, None, None)
    assert example.examples, f"core.{name} has no example"
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert result.failed == 0, "".join(said)
