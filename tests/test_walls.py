"""Which part of the dashboard may import which: no page another page, nothing what stands above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("explorer", "inspector", "compare", "lessons", "present", "own", "results")
BELOW: dict[str, tuple[str, ...]] = {
    "addresses": (),
    "server": (),
    "shared": ("addresses", "server"),
    **dict.fromkeys(PAGES, ("addresses", "server", "shared")),
    "entries": ("shared", *PAGES),
}
"""What each folder of dashboard may import from, besides itself and core. The files beside them may all."""


def imported(source: str) -> Iterator[str]:
    """Modules that a file imports, wherever in it: those of `from a import b` as a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not looked through"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def beyond(folder: str, source: str) -> set[str]:
    """Folders of dashboard that a file of one of them imports from and must not."""
    parts = (module.split(".") for module in imported(source))
    others = {words[1] for words in parts if words[0] == "dashboard" and len(words) > 1}
    return others - {folder, *BELOW[folder]}


@pytest.mark.parametrize("folder", BELOW)
def test_no_folder_imports_what_is_not_below_it(folder: str) -> None:
    files = sorted((ROOT / "dashboard" / folder).rglob("*.py"))
    assert files
    found = {str(file): beyond(folder, file.read_text(encoding="utf-8")) for file in files}
    assert {file: names for file, names in found.items() if names} == {}


def test_every_folder_has_its_place() -> None:
    folders = {file.parent.name for file in (ROOT / "dashboard").glob("*/*.py")}
    assert folders == set(BELOW)


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
    assert beyond("lessons", source) == {"explorer"}
    assert beyond("explorer", source) == set()
