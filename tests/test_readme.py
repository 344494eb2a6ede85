"""The README's tables say what the shipped results say."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TABLES = ROOT / "assets" / "results"


def tables() -> list[list[str]]:
    """The tables of the README, each as its lines."""
    found: list[list[str]] = [[]]
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


@pytest.mark.parametrize("options", [[], ["--picture"]], ids=["models", "picture"])
def test_tables_are_what_their_command_prints(options: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.table", *options]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() in tables()


def lines(name: str, target: str, eps: str, method: str) -> list[dict[str, str]]:
    """What the shipped certificates say of a model, whichever file they are in."""
    found: list[dict[str, str]] = []
    for path in TABLES.glob("certificates-*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            found += [
                line
                for line in csv.DictReader(file)
                if (line["model"], line["target"], line["method"]) == (name, target, method)
                and float(line["eps"]) == float(eps)
            ]
    return found


def test_how_tight_is_what_was_measured() -> None:
    (table,) = [table for table in tables() if "gap/drop" not in table[0] and "`alpha-crown`" in table[0]]
    for row in table[2:]:
        name, target, eps, images, alpha, tighter = (cell.strip() for cell in row.strip("|").split("|"))
        methods = {"alpha-crown": alpha} if alpha else {}
        if tighter:
            value, method = tighter.split(" by `")
            methods[method.split("`")[0]] = value
        for method, value in methods.items():
            (line,) = lines(name.strip("`"), target, eps, method)
            assert f"{float(line['gap_drop']):.{len(value.partition('.')[2])}f}" == value, (row, method)
            assert line["violations"] == line["vacuous"] == "0"
            if method == "alpha-crown":
                assert line["images"] == images
