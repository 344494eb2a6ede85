"""Which part may import which: what stands on a floor knows the floors below it, and nobody beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("explorer", "inspector", "compare", "lessons", "present", "own", "results")
CORE = (
    ("errors", "scalars"),
    ("device",),
    ("isolation",),
    ("bounds", "data"),
    ("vae",),
    ("certificates.elbo_bounds",),
    ("certificates.semidefinite", "certificates.noise"),
    ("certificates",),
    ("attacks", "training"),
    ("evaluation", "inspection"),
    ("evaluation.suite", "claims"),
    ("command_line",),
)
DASHBOARD = (("shared.text",), ("addresses", "server"), ("shared",), PAGES, ("entries",))
"""From the ground up: words first, for settings are described with theirs. What lies beside these
(`__init__.py`, `app.py`, ...) is the roof."""
HOUSES = {"core": CORE, "dashboard": DASHBOARD}
PARTS = [(house, part) for house, floors in HOUSES.items() for floor in floors for part in floor]


def imported(source: str) -> Iterator[str]:
    """Modules that a file imports, wherever in it: those of `from a import b` as a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not looked through"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(module: str, house: str) -> str | None:
    """The part of a house that a module is in, the innermost one; None for the roof and other houses."""
    parts = [part for name, part in PARTS if name == house and f"{module}.".startswith(f"{house}.{part}.")]
    return max(parts, key=len, default=None)


def files_of(house: str, part: str) -> list[Path]:
    """The files of a part without those of parts within it."""
    path = ROOT / house / part.replace(".", "/")
    if not path.is_dir():
        return [path.with_suffix(".py")]
    names = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in path.rglob("*.py")}
    return sorted(file for file, name in names.items() if part_of(name, house) == part)


def beyond(house: str, part: str, source: str) -> set[str]:
    """What a file of a part imports from its house and must not: what is beside or above the part."""
    floors = HOUSES[house]
    below = {
        name for floor in floors[: next(i for i, f in enumerate(floors) if part in f)] for name in floor
    }
    inside = [module for module in imported(source) if module.split(".")[0] == house]
    return {part_of(module, house) or module for module in inside} - below - {part}


@pytest.mark.parametrize(("house", "part"), PARTS)
def test_a_part_imports_what_is_below_it(house: str, part: str) -> None:
    files = files_of(house, part)
    assert files
    found = {str(file): beyond(house, part, file.read_text(encoding="utf-8")) for file in files}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize("house", HOUSES)
def test_every_file_has_its_place(house: str) -> None:
    roof = {file.relative_to(ROOT / house).as_posix() for file in (ROOT / house).rglob("*.py")}
    roof -= {
        file.relative_to(ROOT / house).as_posix()
        for _, p in PARTS
        if _ == house
        for file in files_of(house, p)
    }
    assert roof <= {"__init__.py", "__main__.py", "app.py", "pages.py", "opening.py"}


def test_core_knows_no_page() -> None:
    for file in (ROOT / "core").rglob("*.py"):
        roots = {module.split(".")[0] for module in imported(file.read_text(encoding="utf-8"))}
        assert not roots & {"dashboard", "streamlit", "plotly", "tests", "benchmarks"}, file


@pytest.mark.parametrize(
    "source",
    [
        "from dashboard.explorer import view",
        "import dashboard.explorer.view",
        "def later():\n    from dashboard import explorer",
    ],
)
def test_a_page_that_imports_another_is_seen(source: str) -> None:
    assert beyond("dashboard", "lessons", source) == {"explorer"}
    assert beyond("dashboard", "explorer", source) == set()


def test_an_import_upward_is_seen() -> None:
    source = "from core.certificates.prove import certify"
    assert beyond("core", "vae", source) == beyond("core", "certificates.noise", source) == {"certificates"}
    assert beyond("core", "attacks", source) == set()
    assert beyond("core", "vae", "import core") == {"core"}
