"""The server from outside: is it healthy, does it keep strangers out, what does it write down."""

from __future__ import annotations

import asyncio
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from benchmarks.sessions import Session
from tests.running import ROOT, App, finish, start, visit

HOSTILE = "hostile-8f3a<script>"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with start(tmp_path_factory.mktemp("log") / "app.log") as app:
        yield app


def test_a_visitor_gets_a_page_and_computations_are_logged(app: App):
    first, again = finish(
        visit(app.host, {"method": "ibp", "draws": "1"}, {"method": "ibp", "draws": "1", "eps": "0.03"})
    )
    assert (first.error, again.error) == ("", "")
    assert first.done is not None
    done = [entry for entry in app.entries() if entry["event"] == "computed"]
    assert [(entry["kind"], entry["outcome"]) for entry in done] == [("explore", "done")] * 2
    assert {entry["model"] for entry in done} == {"mnist-mlp-standard", "mnist-mlp-robust-0.1"}
    assert all(entry["seconds"] > 0 and entry["waited"] >= 0 for entry in done)


def test_health_says_what_goes_on_and_a_visitor_who_leaves_stops_the_work(app: App):
    async def leave_while_computing() -> None:
        session = Session(app.host)
        await session.open()
        loop = asyncio.get_running_loop()
        await session.change({"draws": "16", "method": "bab"}, loop.time())
        running = await asyncio.to_thread(app.wait, lambda status, state: state["running"] > 0)
        assert running["status"] == "ok"
        assert running["memory_mib"] < running["memory_limit_mib"]
        await session.close()

    finish(leave_while_computing())
    app.wait(lambda status, state: state["running"] == 0 == state["waiting"])


def test_nothing_of_a_visitor_is_in_the_log(app: App):
    for key in ("left", "target", "eps", "index", HOSTILE):
        (run,) = finish(visit(app.host, {"method": "ibp", "draws": "1", key: HOSTILE}))
        assert run.error == ""
    with pytest.raises(InvalidStatus):
        finish(visit_from(app.host, f"http://{HOSTILE}.example"))
    logged = app.logged()
    assert "hostile-8f3a" not in logged
    assert "127.0.0.1" not in logged
    assert {entry["event"] for entry in app.entries()} >= {"started", "ready", "computed"}


async def visit_from(host: str, origin: str) -> None:
    async with connect(f"ws://{host}/_stcore/stream", origin=origin):  # type: ignore[arg-type]
        pass


def test_other_sites_cannot_open_sessions_or_upload(app: App):
    with pytest.raises(InvalidStatus):
        finish(visit_from(app.host, "http://evil.example"))
    upload = urllib.request.Request(
        f"http://{app.host}/_stcore/upload_file/session/file", data=b"x", method="PUT"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(upload, timeout=10)
    with refused.value as answer:
        assert answer.code in (400, 403)


def test_the_settings_of_a_public_page():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    server, client = config["server"], config["client"]
    assert server["enableXsrfProtection"] is server["enableCORS"] is True
    assert "corsAllowedOrigins" not in server
    assert server["maxUploadSize"] <= 16
    assert server["maxWidgetStateSize"] <= 1
    assert server["maxCacheDataSize"]
    assert client["showErrorDetails"] in ("type", "none")
    assert config["browser"]["gatherUsageStats"] is False
    assert "enableAgentApi" not in server
