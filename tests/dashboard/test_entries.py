"""Pages that are opened while the server still loads: several threads import the same modules at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard import opening

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = sorted((ROOT / "dashboard" / "entries").glob("*.py"))
TOGETHER = """
import sys, threading
from dashboard import opening

failed = []

def do(work):
    try:
        work()
    except BaseException as error:
        failed.append(repr(error))

late = sys.argv[1]
threads = [threading.Thread(target=do, args=(work,)) for work in (opening.load, lambda: exec(late, {}))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if "pandas" not in sys.modules:
    failed.append("A visitor may import pandas while another one's figure is made.")
sys.exit("; ".join(failed) or None)
"""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda path: path.stem)
def test_a_page_and_the_server_import_at_once(entry: Path) -> None:
    code = entry.read_text(encoding="utf-8")
    late = "\n".join(
        line for line in code[code.index("# Late") :].splitlines() if line.startswith(("import", "from"))
    )
    assert late.startswith("import core")
    command = [sys.executable, "-c", TOGETHER, late]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_the_server_loads_what_pages_open_with() -> None:
    """Each module that a page imports late, but for the explorer's, which is loaded first."""
    late = re.compile(r"^from (dashboard\.\w+) import (view|page|presenter)\b", re.MULTILINE)
    found = {".".join(late.findall(entry.read_text(encoding="utf-8"))[0]) for entry in ENTRIES}
    assert found == {*opening.REST, "dashboard.explorer.view"}
