"""Pages that are opened while the server still loads: several threads import the same modules at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from dashboard import opening

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = sorted((ROOT / "dashboard" / "entries").glob("*.py"))
TOGETHER = """
import os, sys, threading
import torch  # takes seconds, and is whole before anybody comes

def together(late):
    from dashboard import opening

    failed = []

    def do(work):
        try:
            work()
        except BaseException as error:
            failed.append(repr(error))

    threads = [threading.Thread(target=do, args=(work,)) for work in (opening.load, lambda: exec(late, {}))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if "pandas" not in sys.modules:
        failed.append("A visitor may import pandas while another one's figure is made.")
    return "; ".join(failed)

for number, late in enumerate(sys.argv[1:]):
    if os.fork() == 0:
        said = together(late)
        print(number, said, flush=True)
        os._exit(bool(said))
    os.wait()
"""
"""A process for each page, in which nothing but torch is imported yet; prints what failed, if anything."""


def test_a_page_and_the_server_import_at_once() -> None:
    codes = [entry.read_text(encoding="utf-8") for entry in ENTRIES]
    late = [
        "\n".join(re.findall(r"^(?:import|from) .*", code[code.index("# Late") :], re.M)) for code in codes
    ]
    assert all(lines.startswith("import core") for lines in late)
    command = [sys.executable, "-c", TOGETHER, *late]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.splitlines() == [f"{number} " for number in range(len(ENTRIES))], ran.stderr[-2000:]


def test_the_server_loads_what_pages_open_with() -> None:
    """Each module that a page imports late, but for the explorer's, which is loaded first."""
    late = re.compile(r"^from (dashboard\.\w+) import (view|page|presenter)\b", re.MULTILINE)
    found = {".".join(late.findall(entry.read_text(encoding="utf-8"))[0]) for entry in ENTRIES}
    assert found == {*opening.REST, "dashboard.explorer.view"}
