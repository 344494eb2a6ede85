"""The life of the process: stopped in the middle of work, on a disk that nothing can be written to, from
the Procfile."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.sessions import Session
from tests.running import PATIENCE, ROOT, RUN, App, finish, free_port, start, visit


def test_sigterm_ends_it_at_once_in_the_middle_of_a_computation(tmp_path: Path):
    async def compute_and_stop(app: App) -> tuple[int, float]:
        session = Session(app.host)
        await session.open()
        await session.change({"draws": "16", "method": "bab"}, asyncio.get_running_loop().time())
        await asyncio.to_thread(app.wait, lambda status, state: state["running"] > 0)
        began = time.monotonic()
        status = await asyncio.to_thread(app.stop)
        await session.close()
        return status, time.monotonic() - began

    with start(tmp_path / "log") as app:
        status, seconds = finish(compute_and_stop(app))
        assert status in (0, -signal.SIGTERM)
        assert seconds < 10
        assert app.entries()[-1]["event"] == "stopped"
        assert not [entry for entry in app.entries() if entry["level"] == "error"]


def _without_privileges() -> None:
    """Root may write anywhere: give that up (CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH)."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):
            assert libc.prctl(24, capability, 0, 0, 0) == 0


def test_it_runs_from_a_disk_that_is_read_only(tmp_path: Path):
    checkout = tmp_path / "checkout"
    skip = shutil.ignore_patterns("__pycache__")
    for folder in ("assets", "core", "dashboard", ".streamlit"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=skip)
    for path in (*checkout.rglob("*"), checkout):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        touch = [sys.executable, "-c", "open('new', 'w')"]
        tried = subprocess.run(touch, cwd=checkout, preexec_fn=_without_privileges, capture_output=True)
        assert b"PermissionError" in tried.stderr
        env = {"HOME": str(checkout), "XDG_CACHE_HOME": str(checkout), "MPLCONFIGDIR": str(checkout)}
        with start(tmp_path / "log", cwd=checkout, env=env, before=_without_privileges) as app:
            (run,) = finish(visit(app.host, {"method": "crown-ibp", "draws": "1"}))
            assert run.error == ""
            assert run.done is not None
            assert app.stop() in (0, -signal.SIGTERM)
    finally:
        for path in (checkout, *checkout.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)


def test_a_port_that_is_in_use_is_named(tmp_path: Path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        options = ["--server.address=127.0.0.1", f"--server.port={port}"]
        done = subprocess.run([*RUN, *options], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert json.loads(line)["message"] == f"Port {port} is not available"


LATE = """
from streamlit import config
config.get_config_options()
from dashboard.server import logs
logs.start()
from streamlit.logger import get_logger
get_logger("streamlit.late").error('what "a visitor" wrote')
"""


def test_what_is_said_later_is_without_messages():
    done = subprocess.run([sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True)
    assert json.loads(done.stderr)["event"] == "streamlit.late"
    assert "visitor" not in done.stderr


SETTINGS = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "type",
    "logger.hideWelcomeMessage": True,
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.maxUploadSize": 16,
    "server.maxWidgetStateSize": 1,
    "theme.light.primaryColor": "#4a4f57",
}
SHOW = """
import json, sys
from streamlit import config
from streamlit.web import bootstrap, cli
bootstrap.run_asgi_app = lambda *args: print(json.dumps({k: config.get_option(k) for k in sys.argv[2:]}))
cli._main_run(sys.argv[1])
"""


@pytest.mark.parametrize("script", ["absolute", "relative"])
def test_the_settings_hold_from_whatever_folder_it_is_started(script: str, tmp_path: Path):
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text(
        "[browser]\ngatherUsageStats = true\n[server]\nenableXsrfProtection = false\nmaxUploadSize = 2000\n"
    )
    app = ROOT / "dashboard" / "app.py"
    path = str(app) if script == "absolute" else os.path.relpath(app, tmp_path)
    argv = [sys.executable, "-c", SHOW, path, *SETTINGS]
    env = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert json.loads(done.stdout) == SETTINGS, done.stderr


def test_the_procfile_serves_on_the_port_it_is_given(tmp_path: Path):
    port = free_port()
    folder = Path(sys.executable).parent
    env = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    with (tmp_path / "log").open("wb") as file:
        command = [sys.executable, "-m", "honcho", "start", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=file)
    app = App(process, f"127.0.0.1:{port}", tmp_path / "log")
    try:
        app.wait(lambda status, state: status == 200)
        (run,) = finish(visit(app.host, {"method": "ibp", "draws": "1"}))
        assert run.error == ""
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)
    assert app.health()[0] == 0
