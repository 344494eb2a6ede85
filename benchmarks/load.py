"""How many visitors a server carries: sessions that each change the digit or eps every few seconds.

python -m benchmarks.load --sessions 30 --seconds 300 --every 3 --query method=crown-ibp
python -m benchmarks.load --sessions 30 --seconds 300 --every 3                     # the page as it opens

`drawn` is the time until the pictures, the numbers and both curves are there, with everything that is
known at once; `finished` until the whole run is over. With the slow proofs of the page as it opens most
runs are still refining when the next change comes: they have no `finished`. --replicas N starts N servers,
each session stays with one, as behind a load balancer with session affinity. `core seconds` is what a
change costs, whoever else uses the machine: one core carries as many changes a second as one over that.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from contextlib import ExitStack
from urllib.parse import parse_qsl

from benchmarks.sessions import Run, Server, Session, quantile, serve

WARM = 0.2
"""Share of the time after which memory counts as that of a warm server."""


async def visit(host: str, number: int, args: argparse.Namespace, end: float) -> list[Run]:
    """One visitor, who comes some time in the first interval; every other change is of eps."""
    loop, chance = asyncio.get_running_loop(), random.Random(args.seed + number)
    await asyncio.sleep(chance.uniform(0, args.every))
    session, runs = Session(host), []
    query = dict(parse_qsl(args.query))
    try:
        await session.open()
        while (now := loop.time()) < end:
            change(query, chance, args)
            runs.append(await session.change(query, until=now + args.every))
            await asyncio.sleep(max(0.0, now + args.every - loop.time()))
    except Exception as error:  # an error is what is looked for here
        runs.append(Run(None, None, f"{type(error).__name__}: {error}"))
    finally:
        await session.close()
    return runs


def change(query: dict[str, str], chance: random.Random, args: argparse.Namespace) -> None:
    """Another eps, or another digit: a browser does not ask again for what it shows."""
    before = dict(query)
    while query == before:
        if chance.random() < args.eps_share:
            query["eps"] = f"{chance.randint(1, 30) / 100:g}"
        else:
            query["index"] = str(chance.randrange(args.digits))


async def load(servers: list[Server], args: argparse.Namespace) -> list[Run]:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    before = sum(server.computed for server in servers)

    async def watch() -> None:
        """Say how much memory is used, now and then."""
        marks = [WARM + (1 - WARM) * i / 4 for i in range(5)]
        for mark in (0.0, *marks):
            await asyncio.sleep(max(0.0, begin + mark * args.seconds - loop.time()))
            used = ", ".join(f"{s.memory:.0f} MiB in {s.threads} threads" for s in servers)
            print(f"after {mark * args.seconds:4.0f} s: {used}", flush=True)

    watching = asyncio.create_task(watch())
    end = begin + args.seconds
    hosts = [servers[i % len(servers)].host for i in range(args.sessions)]
    every = await asyncio.gather(*(visit(host, i, args, end) for i, host in enumerate(hosts)))
    await watching
    runs = [run for visitor in every for run in visitor]
    spent = sum(server.computed for server in servers) - before
    each = spent / max(1, len(runs))
    print(f"{len(runs)} changes in {loop.time() - begin:.0f} s, {each:.2f} core seconds each")
    return runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two changes of a session")
    parser.add_argument("--query", default="", help="settings that all sessions have, as in the address")
    parser.add_argument("--digits", type=int, default=500, help="the digits are chosen among so many")
    parser.add_argument(
        "--eps-share", type=float, default=0.5, help="of the changes; the others are of digit"
    )
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--port", type=int, default=8701)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(args.port + i)) for i in range(args.replicas)]
        runs = asyncio.run(load(servers, args))
    for name, times in (
        ("drawn", [run.drawn for run in runs if run.drawn is not None]),
        ("finished", [run.done for run in runs if run.done is not None]),
    ):
        p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
        print(f"{name:<9} {len(times):>6} of {len(runs)}   p50 {p50:5.2f} s   p95 {p95:5.2f} s")
    errors = [run.error for run in runs if run.error]
    print(f"{len(errors)} errors", *sorted(set(errors)), sep="\n  ")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
