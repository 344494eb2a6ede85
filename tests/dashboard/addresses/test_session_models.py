"""Models that were trained or brought: a session sees its own, there are few, and they go when it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import WeakSet

import pytest
import streamlit as st
import torch

import core
from core.errors import CheckpointError, ModelNotFoundError
from core.vae.config import VAEConfig
from core.vae.model import VAE
from dashboard.addresses import models, session_models
from dashboard.shared import compute


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """A session, and an empty place on the disk."""
    held: dict[str, object] = {}
    with TemporaryDirectory() as place:
        monkeypatch.setattr(session_models, "_HOLDERS", WeakSet())
        monkeypatch.setattr(session_models, "root", lambda: Path(place).resolve())
        monkeypatch.setattr(session_models, "_KEPT", {})
        monkeypatch.setattr(st, "session_state", held)
        yield held


def keep(seed: int, kind: str = session_models.TRAINED) -> str:
    def write(folder: Path) -> None:
        torch.manual_seed(seed)
        core.save_model(VAE(VAEConfig(latent=2, widths=(4,))), folder, {"training": {"seed": seed}})

    return session_models.keep(write, kind)


def test_it_is_a_model_like_others() -> None:
    name = keep(0)
    assert models.available()[-1] == name
    assert models.folders()[name] == models.folder(name)
    assert models.is_own(name)
    assert compute.model(name).config.latent == 2
    assert models.stamp(name)


def test_the_same_model_has_the_same_name_and_another_another() -> None:
    assert keep(0) == keep(0) != keep(1)
    assert len(session_models.folders()) == 2


def test_a_model_that_differs_in_any_file_is_another_one() -> None:
    names = set()
    for files in ({"a": b"1", "b": b"2"}, {"a": b"12", "b": b""}, {"a": b"1", "c/b": b"2"}, {"a": b"1"}):

        def write(folder: Path, files: dict[str, bytes] = files) -> None:
            (folder / "c").mkdir()
            for name, content in files.items():
                (folder / name).write_bytes(content)

        names.add(session_models.keep(write))
    assert len(names) == 4


def test_another_session_does_not_see_it(session: dict[str, object]) -> None:
    name = keep(0)
    session.clear()
    assert name not in models.available()
    assert name not in models.folders()


def test_few_are_kept(session: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    names = [keep(seed) for seed in range(session_models.MOST_OWN + 1)]
    assert list(session_models.folders()) == names[1:]
    assert len(list(session_models.root().iterdir())) == session_models.MOST_OWN
    monkeypatch.setattr(session_models, "MOST_MODELS", 3)
    last = keep(99)
    assert len(list(session_models.root().iterdir())) == 3
    assert list(session_models.folders()) == [*names[-2:], last]
    with pytest.raises(ModelNotFoundError):
        models.folder(names[0])


def test_who_only_asks_makes_and_lists_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched() -> Path:
        raise AssertionError("The disk was asked.")

    monkeypatch.setattr(session_models, "root", touched)
    assert session_models.folder("trained/0123456789ab") is None
    assert session_models.folders() == {}
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
    assert str(session_models.root()) not in models.sentence(raised.value)
    assert name in models.sentence(raised.value)


def test_all_go_when_the_session_ends(session: dict[str, object]) -> None:
    names = [keep(0), keep(1, session_models.BROUGHT)]
    assert len(list(session_models.root().iterdir())) == 2
    session.clear()
    assert list(session_models.root().iterdir()) == []
    assert [session_models.folder(name) for name in names] == [None, None]


def test_what_two_sessions_have_stays_until_both_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = dict[str, object](), dict[str, object]()
    monkeypatch.setattr(st, "session_state", first)
    name = keep(0)
    monkeypatch.setattr(st, "session_state", second)
    assert session_models.folders() == {}
    assert keep(0) == name
    first.clear()
    assert list(session_models.folders()) == [name]
    assert compute.model(name)
    session_models.forget(name)
    assert session_models.folders() == {}
    assert list(session_models.root().iterdir()) == []


def test_only_who_holds_a_model_can_forget_it(monkeypatch: pytest.MonkeyPatch) -> None:
    name = keep(0)
    mine = st.session_state
    monkeypatch.setattr(st, "session_state", dict[str, object]())
    session_models.forget(name)
    monkeypatch.setattr(st, "session_state", mine)
    assert list(session_models.folders()) == [name]


def test_who_is_gone_for_long_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit may keep the memory of a session long after it: what counts is who is connected."""
    name, now = keep(0), time.monotonic()
    connected = {"": True}
    monkeypatch.setattr(session_models, "_connected", lambda session: connected[session])
    session_models.forget_gone(now + 1000)
    assert list(session_models.folders()) == [name]
    connected[""] = False
    session_models.forget_gone(now + 1000 + session_models.GONE - 1)
    assert list(session_models.folders()) == [name]
    session_models.forget_gone(now + 1000 + session_models.GONE + 1)
    assert session_models.folders() == {}
    assert list(session_models.root().iterdir()) == []


def test_the_server_leaves_nothing() -> None:
    keep(0)
    keep(1, session_models.BROUGHT)
    session_models.close()
    assert list(session_models.root().iterdir()) == []


def test_the_same_model_trained_and_brought_are_two(session: dict[str, object]) -> None:
    trained, brought = keep(0), keep(0, session_models.BROUGHT)
    assert trained != brought
    assert not session_models.is_brought(trained)
    assert session_models.is_brought(brought)
    session_models.forget(trained)
    assert list(session_models.folders()) == [brought]
    assert compute.model(brought)


def test_nothing_is_kept_of_what_cannot_be_written(session: dict[str, object]) -> None:
    def write(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise CheckpointError("No.")

    with pytest.raises(CheckpointError):
        session_models.keep(write)
    assert session_models.folders() == {}
    assert list(session_models.root().iterdir()) == []
