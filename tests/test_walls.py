"""Which part may import which: what stands on a floor knows the floors below it, and nobody beside it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_FOLDERS = {file.parent.name for file in (ROOT / "dashboard").glob("*/__init__.py")}
PAGES = tuple(sorted(_FOLDERS - {"addresses", "server", "shared"}))
CORE = (
    ("errors",),
    ("device", "scalars"),
    ("isolation",),
    ("network", "data"),
    ("bounds",),
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
"""From the ground up: words first, since settings are described with theirs. What lies beside these is
the roof, which may see all."""
HOUSES = {"core": CORE, "dashboard": DASHBOARD}
ROOFS = {
    "core": {"__init__.py", "__main__.py", "former_names.py"},
    "dashboard": {"__init__.py", "app.py", "pages.py", "opening.py"},
}
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
    placed = {file for name, part in PARTS if name == house for file in files_of(house, part)}
    roof = {file.relative_to(ROOT / house).as_posix() for file in {*(ROOT / house).rglob("*.py")} - placed}
    assert roof == ROOFS[house]


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


def test_scripts_of_before_the_wings_find_their_modules() -> None:
    """What scripts outside import; each name is the module that is there now, not a second copy."""
    script = (
        "import core\n"
        "from core.bounds.cuts import open_units\n"
        "from core.certificate import shown_bound, shown_radius\n"
        "from core.config import VAEConfig\n"
        "from core.elbo import elbo_terms\n"
        "from core.model import VAE\n"
        "from core.problem import pose\n"
        "from core.vae import model\n"
        "from core.relaxation import Relaxation\n"
        "import core.train\n"
        "vae = core.load_model('mnist-mlp-standard')\n"
        "x, noise = core.load_samples('mnist')[0][:1], core.sample_noise(vae)\n"
        "asked = dict(target='likelihood', method='crown', norm='l2', side='lower', arithmetic='float64')\n"
        "way = pose(vae, x, noise, 0.1, **asked).relaxation()\n"
        "assert isinstance(way, Relaxation)\n"
        "bounds = way.interval_bounds()\n"
        "units = open_units(bounds.encoder[2], True)[:2]\n"
        "way._passage('encoder', 2, bounds).pull_units(units, {})\n"
        "assert model.VAE is VAE and callable(core.elbo) and callable(core.train)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
