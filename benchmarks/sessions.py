"""Real visitors without a browser: the app's own server, and sessions that speak Streamlit's websocket
protocol as a page in a browser does. For load.py and soak.py."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

ROOT = Path(__file__).resolve().parent.parent
NEWS = 2
"""The page is drawn, with all that is known at once, when numbers and curve of both models have come."""
PATIENCE = 60.0
"""Seconds for a page to be drawn, after which that counts as an error."""
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Server:
    """The app in a process of its own."""

    process: subprocess.Popen[bytes]
    host: str

    @property
    def memory(self) -> float:
        """Resident memory, MiB."""
        fields = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in fields if line.startswith("VmRSS"))

    @property
    def computed(self) -> float:
        """Core-seconds used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/task"))


@contextmanager
def serve(port: int) -> Iterator[Server]:
    """The app on a port of this machine, until the block ends; ready, as /health says, when it begins."""
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", f"--server.port={port}"]
    options = ["--server.address=127.0.0.1", "--server.headless=true"]
    quiet = {"LOG_LEVEL": "error"} | os.environ
    process = subprocess.Popen([*command, *options], cwd=ROOT, env=quiet)
    server = Server(process, f"127.0.0.1:{port}")
    try:
        while True:
            if process.poll() is not None:
                sys.exit(f"The app ended with exit status {process.returncode}.")
            try:
                with urllib.request.urlopen(f"http://{server.host}/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):  # not there yet, or 503: not ready
                time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


@dataclass(frozen=True)
class Run:
    """What one change brought: seconds until the page was drawn, and until the run was over, None if it was
    still refining; error, "" if there was none."""

    drawn: float | None
    done: float | None
    error: str


class Session:
    """One visitor's connection; a change of the address reruns the page, as back and forward do."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._socket: ClientConnection | None = None
        self._kinds: dict[str, str] = {}
        self.received = 0

    async def open(self) -> None:
        """Load the page's frame, as a browser does, and connect with the cookie that it sets."""
        cookies = await asyncio.to_thread(self._visit)
        token = cookies["_streamlit_xsrf"].value
        self._socket = await connect(
            f"ws://{self._host}/_stcore/stream",
            subprotocols=[Subprotocol("streamlit"), Subprotocol(token)],
            origin=f"http://{self._host}",  # type: ignore[arg-type]
            additional_headers={"Cookie": f"_streamlit_xsrf={token}"},
            max_size=None,
            max_queue=None,  # a browser reads on, or it could not be told that the server ends
        )

    def _visit(self) -> SimpleCookie:
        cookies = SimpleCookie()
        for path in ("/", "/_stcore/health", "/_stcore/host-config"):
            with urllib.request.urlopen(f"http://{self._host}{path}", timeout=PATIENCE) as answer:
                for header in answer.headers.get_all("Set-Cookie") or ():
                    cookies.load(header)
        return cookies

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def change(self, query: dict[str, str], until: float) -> Run:
        """Ask for an address; what came of it up to a moment (of the loop's clock), and at least until the
        page is drawn."""
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        ask, start, drawn, news = BackMsg(), loop.time(), None, 0
        ask.rerun_script.query_string = urlencode(query)
        ask.rerun_script.cached_message_hashes.extend(self._kinds)
        await self._socket.send(ask.SerializeToString())
        begun = False
        while True:
            left = (until if drawn is not None else start + PATIENCE) - loop.time()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    data = await self._socket.recv(decode=False)
            except TimeoutError:
                late = "" if drawn is not None else f"not drawn after {PATIENCE:g} s"
                return Run(drawn, None, late)
            self.received += len(data)
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                begun, news, drawn = True, 0, None
            elif not begun:
                continue  # of the run before, which ends early for this one
            elif kind in ("delta", "ref_hash"):
                element = self._element(message)
                if element in ("exception", "error"):
                    return Run(drawn, None, element)
                news += element == "numbers"
                if news == NEWS and drawn is None:
                    drawn = loop.time() - start
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return Run(drawn, loop.time() - start, "" if drawn is not None else "no numbers")

    def _element(self, message: ForwardMsg) -> str:
        """Kind of an element; one that was sent before comes as its hash alone."""
        if message.WhichOneof("type") == "ref_hash":
            return self._kinds.get(message.ref_hash, "")
        element = message.delta.new_element
        kind = element.WhichOneof("type") or ""
        if kind == "alert" and element.alert.format == Alert.ERROR:
            kind = "error"
        if kind == "bidi_component" and '"kind": "numbers"' in element.bidi_component.json:
            kind = "numbers"
        if message.hash and message.metadata.cacheable:
            self._kinds[message.hash] = kind
        return kind


def quantile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
