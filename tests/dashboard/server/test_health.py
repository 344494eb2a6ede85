from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import streamlit as st
from starlette.requests import Request

from core.errors import Cancelled, InputError
from core.vae import checkpoint
from dashboard import opening
from dashboard.server import health, logs
from dashboard.server.background import TURNS


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_wrong", ["starting"])
    health._loaded(opening.load)


def status() -> int:
    return health.respond(Request({"type": "http"})).status_code


def test_a_server_that_can_work_is_healthy():
    numbers, wrong = health.state()
    assert wrong == []
    assert {"memory_mib", "running", "waiting", "silent_seconds"} <= set(numbers)
    assert status() == 200


def test_models_that_cannot_be_loaded_are_seen(models: Path):
    config = models / "mnist-mlp-standard" / "config.json"
    config.write_text("{")
    st.cache_resource.clear()
    health._loaded(opening.load)
    assert "cannot be loaded (CheckpointError)" in health.state()[1][0]
    assert status() == 503


def test_no_models_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint, "MODELS", tmp_path / "nothing")
    health._loaded(opening.load)
    assert status() == 503


def test_a_stuck_computation_is_seen(monkeypatch: pytest.MonkeyPatch):
    turn = TURNS.join(True)
    try:
        assert TURNS.wait(turn, 5)
        assert status() == 200
        turn.heard -= health.STUCK + 1
        assert "said nothing" in health.state()[1][0]
        assert status() == 503
    finally:
        TURNS.leave(turn)
    assert status() == 200


def test_full_memory_is_seen(monkeypatch: pytest.MonkeyPatch):
    used, limit = health.memory()
    assert 0 < used < limit
    monkeypatch.setattr(health, "memory", lambda: (95, 100))
    assert health.state()[1] == ["more than 90% of the memory is used"]


def test_a_container_s_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file, limit = tmp_path / "memory.max", health.memory()[1]
    monkeypatch.setattr(health, "_LIMITS", (file,))
    for text, expected in (("1073741824\n", 2**30), ("max\n", limit)):
        file.write_text(text)
        assert health.memory()[1] == expected


def line(record: logging.LogRecord) -> dict[str, object]:
    return json.loads(logs._Line().format(record))


def test_others_records_lose_their_messages_and_errors_theirs(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logs.NAME)
    try:
        raise ValueError("what a visitor wrote")
    except ValueError:
        logging.getLogger("streamlit.x").exception("a visitor: %s", "10.1.2.3")
    logs.failed(InputError("what a visitor wrote"))
    logs.computed("point", "m", False, 0.12345, 1.5, Cancelled())
    logs.computed("point", "m", True, 0, 1.5, RuntimeError("what a visitor wrote"))
    theirs, page, cancelled, broken = map(line, caplog.records)
    assert theirs["event"] == "streamlit.x"
    assert theirs["error"] == "ValueError"
    assert page["error"] == "InputError"
    assert (cancelled["outcome"], cancelled["level"], cancelled["waited"]) == ("cancelled", "info", 0.123)
    assert (broken["outcome"], broken["level"]) == ("RuntimeError", "error")
    said = json.dumps([theirs, page, cancelled, broken])
    assert "visitor" not in said
    assert "10.1.2.3" not in said
