"""Models that were trained on the page: each session sees its own, and there are never many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import streamlit as st
import torch

import core
from core.errors import CheckpointError, ModelNotFoundError
from core.vae.config import VAEConfig
from core.vae.model import VAE
from dashboard.addresses import models, trained
from dashboard.shared import compute


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """A session, and an empty place on the disk."""
    held: dict[str, object] = {}
    with TemporaryDirectory() as place:
        monkeypatch.setattr(trained, "root", lambda: Path(place).resolve())
        monkeypatch.setattr(trained, "_KEPT", {})
        monkeypatch.setattr(st, "session_state", held)
        yield held


def keep(seed: int) -> str:
    def write(folder: Path) -> None:
        torch.manual_seed(seed)
        core.save_model(VAE(VAEConfig(latent=2, widths=(4,))), folder, {"training": {"seed": seed}})

    return trained.keep(write)


def test_it_is_a_model_like_others() -> None:
    name = keep(0)
    assert models.available()[-1] == name
    assert models.folders()[name] == models.folder(name)
    assert models.is_own(name)
    assert compute.model(name).config.latent == 2
    assert models.stamp(name)


def test_the_same_model_has_the_same_name_and_another_another() -> None:
    assert keep(0) == keep(0) != keep(1)
    assert len(trained.folders()) == 2


def test_another_session_does_not_see_it(session: dict[str, object]) -> None:
    name = keep(0)
    session.clear()
    assert name not in models.available()
    assert name not in models.folders()


def test_few_are_kept(session: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    names = [keep(seed) for seed in range(trained.MOST_OWN + 1)]
    assert list(trained.folders()) == names[1:]
    monkeypatch.setattr(trained, "MOST_MODELS", 3)
    last = keep(99)
    assert len(list(trained.root().iterdir())) == 3
    assert list(trained.folders()) == [*names[-2:], last]
    with pytest.raises(ModelNotFoundError):
        models.folder(names[0])


def test_who_only_asks_makes_and_lists_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched() -> Path:
        raise AssertionError("The disk was asked.")

    monkeypatch.setattr(trained, "root", touched)
    assert trained.folder("trained/0123456789ab") is None
    assert trained.folders() == {}
    assert models.sentence(CheckpointError("/tmp/x is no model.")) == "/tmp/x is no model."


@pytest.mark.parametrize("name", ["trained/..", "trained/", "trained/new", "trained/../../etc", "trained"])
def test_no_name_becomes_a_path(name: str) -> None:
    keep(0)
    with pytest.raises(ModelNotFoundError):
        models.folder(name)


def test_errors_do_not_say_where_they_are() -> None:
    name = keep(0)
    folder = models.folder(name)
    (folder / "weights.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError) as raised:
        core.load_model(folder)
    assert str(trained.root()) not in models.sentence(raised.value)
    assert name in models.sentence(raised.value)
