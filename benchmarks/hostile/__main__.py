"""Hands hostile inputs to all that takes input from a visitor, and lists what came of each.

python -m benchmarks.hostile [assets/results/hostile.csv]

Fails if one of them crashes, touches a file outside the allowed folders, starts, connects to or unpickles
anything. The same inputs are in tests/test_hostile.py.
"""

from __future__ import annotations

import csv
import io
import os
import resource
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.hostile.addresses import addresses, model_names
from benchmarks.hostile.cases import CRASHED, Outcome, hand_in
from benchmarks.hostile.claims import claims
from benchmarks.hostile.drawings import drawings
from benchmarks.hostile.dropped import dropped
from benchmarks.hostile.folders import folders, write_model
from benchmarks.hostile.uploads import uploads
from benchmarks.hostile.watch import Watch
from core.data.files import write_bytes
from core.data.samples import ASSETS
from dashboard.addresses import models
from tests.malice import Bomb, exploded

OUT = ASSETS / "results" / "hostile.csv"
COLUMNS = ("kind", "input", "outcome", "sentence", "touched")


def run(place: Path) -> list[Outcome]:
    """All inputs, in a folder with an allowed root `runs`, a model outside of it, and nothing else."""
    root, secret, bomb = place / "runs", write_model(place / "secret"), Bomb(place)
    root.mkdir()
    with _allowed(root), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow says what it thinks of a file
        cases = [*addresses(), *model_names(), *uploads(bomb), *drawings()]
        cases += [*folders(root, secret, bomb), *dropped(root, bomb), *claims()]
        outcomes = hand_in(cases, Watch([ASSETS, root]))
    if exploded(place):
        raise SystemExit("A pickle was executed.")
    return outcomes


@contextmanager
def _allowed(root: Path) -> Iterator[None]:
    before = os.environ.get(models.ROOTS)
    os.environ[models.ROOTS] = str(root)
    try:
        yield
    finally:
        del os.environ[models.ROOTS]
        if before is not None:
            os.environ[models.ROOTS] = before


def table(outcomes: list[Outcome], place: Path) -> str:
    """A row an input, as CSV. What is the machine's own, paths and memory addresses, is left out."""
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(COLUMNS)
    for outcome in outcomes:
        words = " ".join(outcome.words.replace(str(place.resolve()), "").split())
        shown = words if len(words) <= 200 else f"{words[:200]}..."
        rows.writerow((outcome.case.kind, outcome.case.name, outcome.verdict, shown, len(outcome.touched)))
    return buffer.getvalue()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run(Path(folder))
        out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
        write_bytes(out, table(outcomes, Path(folder)).encode(errors="backslashreplace"))
    count = Counter((outcome.case.kind, outcome.verdict) for outcome in outcomes)
    for (kind, verdict), number in sorted(count.items()):
        print(f"{kind:24} {verdict:8} {number:5}")
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"slowest: {slowest.case.name}, {slowest.seconds:.1f} s; most memory: {memory:.0f} MB")
    bad = [outcome for outcome in outcomes if outcome.verdict == CRASHED or outcome.touched]
    for outcome in bad:
        print(f"{outcome.case.kind}: {outcome.case.name}: {outcome.words[:300]} {outcome.touched}")
    print(f"{len(outcomes)} inputs, {len(bad)} crashed or touched what they must not.")
    if bad:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
