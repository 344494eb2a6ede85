"""How trainings of many visitors share a server: they all press Train on the page /train at once.

python -m benchmarks.lectures --sessions 30 --query "epochs=5&width=32"
python -m benchmarks.lectures --sessions 1 --query epochs=20      # seconds an epoch, nobody else there

Meanwhile one more visitor changes the explorer every few seconds. `answered` is the time from pressing
Train until the page says that it trains, or how many are before; `looks` how long the page takes each time
the browser asks how far it is; `explorer` how long the other visitor waits for the pictures, the numbers
and the charts. Fails where a session sees an error, or a training does not end.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.sessions import PATIENCE, Run, Session, quantile, serve

EVERY = 3.0
"""Seconds between two changes of the explorer."""


@dataclass
class Seen:
    """What one session saw: seconds to the first answer, of each look, and from pressing Train until the
    training was seen to have begun, and to be done."""

    answered: float = 0.0
    looks: list[float] = field(default_factory=list)
    begun: float | None = None
    most_before: int = 0
    done: float | None = None
    error: str = ""


class Lecture(Session):
    """A visitor of the page who trains, and looks as often as the page asks for."""

    async def train(self, query: str, together: asyncio.Barrier, patience: float) -> Seen:
        """Press Train when all others do, and look until it is over."""
        self._query, self._page, self._train, self._look = query, "", "", ("", 0.0)
        seen, loop = Seen(), asyncio.get_running_loop()
        await self._run(seen, 0.0)
        await together.wait()
        start = loop.time()
        await self._run(seen, start, press=self._train)
        seen.answered = loop.time() - start
        while seen.done is None and not seen.error and loop.time() < start + patience:
            fragment, interval = self._look
            await asyncio.sleep(interval)
            before = loop.time()
            await self._run(seen, start, fragment=fragment)
            seen.looks.append(loop.time() - before)
        return seen

    async def _run(self, seen: Seen, start: float, press: str = "", fragment: str = "") -> None:
        """One run of the page, or of the part of it that looks."""
        assert self._socket is not None
        ask = BackMsg()
        ask.rerun_script.query_string, ask.rerun_script.page_script_hash = self._query, self._page
        ask.rerun_script.page_name = "" if self._page else "train"
        ask.rerun_script.fragment_id, ask.rerun_script.is_auto_rerun = fragment, bool(fragment)
        if press:
            ask.rerun_script.widget_states.widgets.add(id=press, trigger_value=True)
        await self._socket.send(ask.SerializeToString())
        loop = asyncio.get_running_loop()
        while True:
            async with asyncio.timeout(PATIENCE):
                message = ForwardMsg.FromString(await self._socket.recv(decode=False))
            kind = message.WhichOneof("type")
            if kind == "auto_rerun":
                self._look = (message.auto_rerun.fragment_id, message.auto_rerun.interval)
            elif kind == "navigation":
                self._page = message.navigation.page_script_hash
            elif kind == "delta":
                self._note(message, seen, loop.time() - start)
            elif kind == "script_finished" and message.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
            ):
                return

    def _note(self, message: ForwardMsg, seen: Seen, at: float) -> None:
        element, kind = message.delta.new_element, self._element(message)
        if kind in ("exception", "error"):
            seen.error = f"{kind}: {element.alert.body or element.exception.message}"
        elif kind == "button" and element.button.label == "Train":
            self._train = element.button.id
        elif kind == "progress":
            said = element.progress.text
            if said.startswith("Epoch"):
                seen.begun = at if seen.begun is None else seen.begun
            elif waiting := re.match(r"Waiting: (\d+)", said):
                seen.most_before = max(seen.most_before, int(waiting[1]))
            elif said.startswith("Done"):
                seen.done = at


async def explore(host: str, over: asyncio.Event) -> list[Run]:
    """The other visitor's changes."""
    session, chance, runs = Session(host), random.Random(0), list[Run]()
    loop = asyncio.get_running_loop()
    await session.open()
    while not over.is_set():
        now, query = loop.time(), {"method": "crown-ibp", "index": str(chance.randrange(500))}
        runs.append(await session.change(query, until=now + EVERY))
        await asyncio.sleep(max(0.0, now + EVERY - loop.time()))
    await session.close()
    return runs


async def lectures(host: str, args: argparse.Namespace) -> tuple[list[Seen], list[Run]]:
    """All of them, and the other one."""
    sessions = [Lecture(host) for _ in range(args.sessions)]
    together, over = asyncio.Barrier(args.sessions), asyncio.Event()
    for session in sessions:
        await session.open()
    exploring = asyncio.create_task(explore(host, over)) if args.sessions > 1 else None
    seen = await asyncio.gather(*(one.train(args.query, together, args.patience) for one in sessions))
    over.set()
    runs = await exploring if exploring else []
    for session in sessions:
        await session.close()
    return seen, runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--query", default="epochs=5&width=32", help="what they train, as in the address")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for all of them")
    parser.add_argument("--port", type=int, default=8711)
    args = parser.parse_args()
    with serve(args.port) as server:
        seen, runs = asyncio.run(lectures(server.host, args))
        print(f"{server.computed:.0f} core seconds, {server.memory:.0f} MiB")
    return told(seen, runs, int(dict(parse_qsl(args.query)).get("epochs", "20")))


def told(seen: list[Seen], runs: list[Run], epochs: int) -> int:
    """What came of it is printed; the exit status."""
    ended = [one for one in seen if one.done is not None]
    last = max((one.done for one in seen if one.done is not None), default=0.0)
    print(f"{len(ended)} of {len(seen)} done, the last after {last:.0f} s")
    print(f"up to {max(one.most_before for one in seen)} before one, as the page said")
    for name, times in (
        ("answered", [one.answered for one in seen]),
        ("looks", [look for one in seen for look in one.looks]),
        ("an epoch", [(one.done - one.begun) / epochs for one in seen if one.done and one.begun]),
        ("explorer", [run.drawn for run in runs if run.drawn is not None]),
    ):
        p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
        print(f"{name:<9} {len(times):>5}   p50 {p50:5.2f} s   p95 {p95:5.2f} s")
    errors = sorted({said.error for said in (*seen, *runs) if said.error})
    print(f"{len(errors)} errors", *errors, sep="\n  ")
    return 1 if errors or len(ended) < len(seen) else 0


if __name__ == "__main__":
    sys.exit(main())
