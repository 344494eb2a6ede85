"""Whether a server stays as it was: one process, thousands of changes, visitors who come and go.

python -m benchmarks.soak --changes 2000 --query method=crown-ibp

Each visitor makes --each changes of digit or eps, one as soon as the other is done, then closes the page.
The caches are full after about --warm changes: memory from there to the end is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from urllib.parse import parse_qsl

from benchmarks.sessions import Server, Session, quantile, serve

WINDOW = 200
"""Changes whose times are compared, at the start and at the end."""
MOST_GROWTH = 0.05


async def soak(server: Server, args: argparse.Namespace) -> int:
    loop, chance = asyncio.get_running_loop(), random.Random(args.seed)
    times: list[float] = []
    memory: list[tuple[int, float]] = []
    errors: list[str] = []
    session = Session(server.host)
    for number in range(args.changes):
        if number % args.each == 0:
            await session.close()
            session = Session(server.host)
            await session.open()
        query = dict(parse_qsl(args.query))
        query |= {"index": str(chance.randrange(args.digits)), "eps": f"{chance.randint(1, 30) / 100:g}"}
        run = await session.change(query, loop.time() + args.patience)
        if run.error or run.done is None:
            errors.append(run.error or f"not finished after {args.patience:g} s")
        else:
            times.append(run.done)
        if (number + 1) % (args.changes // 10) == 0 or number + 1 == args.warm:
            memory.append((number + 1, server.memory))
            print(
                f"{number + 1:>6} changes   {server.memory:.0f} MiB   {server.threads} threads", flush=True
            )
    await session.close()
    for name, part in (("first", times[:WINDOW]), ("last", times[-WINDOW:])):
        p50, p95 = quantile(part, 0.5), quantile(part, 0.95)
        print(f"{name} {len(part)} changes: p50 {p50:.2f} s, p95 {p95:.2f} s")
    warm, end = dict(memory)[args.warm], memory[-1][1]
    print(f"memory from change {args.warm} to the end: {warm:.0f} to {end:.0f} MiB, {end / warm - 1:+.1%}")
    print(f"{len(errors)} errors", *sorted(set(errors)), sep="\n  ")
    return 1 if errors or end / warm - 1 > MOST_GROWTH else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--changes", type=int, default=2000)
    parser.add_argument("--warm", type=int, default=800, help="changes before memory is compared")
    parser.add_argument("--each", type=int, default=25, help="changes of one visitor")
    parser.add_argument("--digits", type=int, default=500, help="the digits are chosen among so many")
    parser.add_argument("--query", default="method=crown-ibp", help="settings that all visitors have")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for one change")
    parser.add_argument("--port", type=int, default=8701)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.warm >= args.changes:
        parser.error("--warm has to be below --changes: memory is compared from there on.")
    with serve(args.port) as server:
        return asyncio.run(soak(server, args))


if __name__ == "__main__":
    sys.exit(main())
