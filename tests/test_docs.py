"""The tables of the docs say what the shipped results say; README and docs lead where they say."""

from __future__ import annotations

import csv
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import strangers_table
from core.command_line.foreign import NESTINGS, PREFIXES
from core.network.translations import TRANSLATIONS
from core.vae.wrap import HEADS, OUTPUTS, SCALES
from core.vae.wrapped import WRAPPED_LIKELIHOODS

ROOT = Path(__file__).parent.parent
TABLES = ROOT / "assets" / "results"


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def tables(page: str) -> list[list[str]]:
    """The tables of a page of docs, each as its lines."""
    found: list[list[str]] = [[]]
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [[], ["--tightest"], ["--picture"]], ids=["models", "tightest", "picture"]
)
@pytest.mark.parametrize("folder", ["paper", "fashion"])
def test_tables_are_what_their_command_prints(folder: str, options: list[str]) -> None:
    if folder != "paper":
        options = [f"assets/results/{folder}", *options]
    command = [sys.executable, "-m", "benchmarks.table", *options]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() in tables("models.md")


def measured() -> dict[tuple[str, str, float, str], dict[str, str]]:
    """Lines of the shipped certificates by model, target, eps and method."""
    found: dict[tuple[str, str, float, str], dict[str, str]] = {}
    for path in TABLES.glob("certificates-*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                key = line["model"], line["target"], float(line["eps"]), line["method"]
                assert key not in found, path
                found[key] = line
    return found


TIGHTER = re.compile(r"(?P<value>[\d.]+) by `(?P<method>[\w-]+)`(, (?P<images>\d+) images)?")


def test_how_tight_is_what_was_measured() -> None:
    (table,) = [table for table in tables("certificates.md") if "`alpha-crown`" in table[0]]
    found, quoted = measured(), set[tuple[str, str, float, str]]()
    for row in table[2:]:
        name, target, eps, images, alpha, tighter = (cell.strip() for cell in row.strip("|").split("|"))
        said = [(alpha, "alpha-crown", images)] if alpha else []
        if tighter:
            match = TIGHTER.match(tighter)
            assert match is not None, row
            said.append((match["value"], match["method"], match["images"] or images))
        for value, method, count in said:
            key = name.strip("`"), target, float(eps), method
            line = found[key]
            assert f"{float(line['gap_drop']):.{len(value.partition('.')[2])}f}" == value, key
            assert (line["images"], line["violations"], line["vacuous"]) == (count, "0", "0"), key
            quoted.add(key)
    assert quoted == set(found)


def test_the_grid_is_what_was_measured() -> None:
    with (TABLES / "grid.csv").open(newline="", encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    upward = sum(int(cell["attacked"]) for cell in cells if cell["side"] == "upper")
    refused = sum(int(cell["refused"]) > 0 for cell in cells)
    comparisons = sum(int(cell["comparisons"]) for cell in cells)
    text = " ".join((ROOT / "docs" / "certificates.md").read_text(encoding="utf-8").split())
    assert f"{comparisons:,} comparisons in {len(cells)} cells, {upward:,} of them of upper" in text
    assert f"{refused} of the cells have no proof" in text
    assert sum(int(cell["violations"]) for cell in cells) == 0
    assert min(float(cell["closest"]) for cell in cells) >= 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_commands_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (page.parent / target).exists(), target
    modules = set(re.findall(r"-m\s+((?:core|benchmarks|dashboard)[\w.]*)", text))
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def resolve(name: str) -> object:
    """The module, or what is in it, that a dotted name names. Raises AttributeError or ImportError."""
    module, _, rest = name.partition(".")
    found: object = importlib.import_module(module)
    for part in rest.split(".") if rest else []:
        module += f".{part}"
        if not hasattr(found, part):
            importlib.import_module(module)
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_files_and_names_in_the_text_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    houses = "core|dashboard|benchmarks|tests"
    for path in re.findall(rf"`((?:{houses})/[\w./]*)`", text):
        assert "NAME" in path or (ROOT / path).exists(), path
    for name in re.findall(r"`(core(?:\.\w+)+)[(`]", text):
        resolve(name)


def test_readme_is_short_and_names_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    for page in PAGES[1:]:
        assert f"(docs/{page.name})" in text


def test_readme_notebook_cell_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (cell,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    exec(compile(cell, "README.md", "exec"), {})
    assert "ELBO" in capsys.readouterr().out


def rows_of_own_models(heading: str) -> list[list[str]]:
    """The cells of the table whose head starts with a word."""
    (table,) = [table for table in tables("own-models.md") if table[0].startswith(f"| {heading}")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[2:]]


def test_strangers_models_are_as_measured() -> None:
    found = tables("own-models.md")
    assert strangers_table.bounds() in found
    assert strangers_table.radii() in found
    with (TABLES / "strangers.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["violations"] for row in rows} == {"0"}
    text = (ROOT / "docs" / "own-models.md").read_text(encoding="utf-8")
    assert ("outputs are the module's to the bit" in text) == ({row["apart"] for row in rows} == {"0"})


def test_what_is_said_of_operations_beside_a_peer_is_in_the_table() -> None:
    with (TABLES / "operations.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["beaten"] for row in rows} == {"0"}
    peer = [row for row in rows if row["peer_crown"] != "nan"]
    narrower = [row for row in peer if float(row["crown"]) > 1.0001 * float(row["peer_crown"])]
    assert {row["operation"] for row in narrower if row["peer_beaten"] != "0"} == {"square"}
    assert not [row for row in narrower if row["peer_beaten"] == "0"]
    beaten = [row["operation"] for row in peer if row["peer_beaten"] != "0"]
    assert set(beaten) == {"square", "gate"}
    text = " ".join((ROOT / "docs" / "own-models.md").read_text(encoding="utf-8").split())
    assert f"Each of {len({row['operation'] for row in rows})} of them" in text
    assert f"has a rule for {len({row['operation'] for row in peer})} " in text
    assert f"narrower than ours in {len(narrower)} of {len(peer)} rows, of `square`, where" in text
    soft = [row for row in peer if row["operation"] == "softmax"]
    others, longest = (
        max(float(row["seconds"]) / float(row["peer_seconds"]) for row in some)
        for some in ([row for row in peer if row not in soft], soft)
    )
    times = max(float(row["peer_crown"]) / float(row["crown"]) for row in soft)
    assert f"at most {others:.1f} times as long as its, those of softmax {longest:.1f} times" in text
    assert f"up to {times:.1f} times as narrow" in text
    assert f"in {len(beaten)} rows, of `square` and of a gate" in text


def test_operations_with_a_rule_are_those_that_are_translated() -> None:
    named = [
        name for row in rows_of_own_models("how it is bounded") for name in re.findall(r"`(\w+)`", row[1])
    ]
    assert sorted(named) == sorted(TRANSLATIONS)


def test_what_has_to_be_said_is_what_can_be() -> None:
    said = [(row[0].strip("`"), row[1].strip("`")) for row in rows_of_own_models("argument")]
    choices = {"heads": HEADS, "scale": SCALES, "likelihood": WRAPPED_LIKELIHOODS, "output": OUTPUTS}
    assert said == [(name, value) for name, values in choices.items() for value in values]


def test_prefixes_and_entries_of_weights_are_those_that_are_found() -> None:
    text = (ROOT / "docs" / "own-models.md").read_text(encoding="utf-8")
    for word in (*NESTINGS, *PREFIXES[:3]):
        assert f"`{word}`" in text


def test_the_cell_of_own_models_runs() -> None:
    text = (ROOT / "docs" / "own-models.md").read_text(encoding="utf-8")
    (cell,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(cell, "own-models.md", "exec"), {})
