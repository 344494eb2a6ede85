"""The tables of docs/own-models.md, from what `benchmarks.strangers` measured.

python -m benchmarks.strangers_table
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping

from benchmarks.strangers import METHODS
from core.evaluation.results_files import RESULTS

FOLDER = RESULTS.parent


def bounds() -> list[str]:
    """A line for each model and eps: means in nats, and CPU seconds of one image for the last method."""
    head = ("model", "eps", "clean", "attacked", *(f"`{method}`" for method in METHODS), "open", "s")
    found = _by_method("strangers.csv", "eps")
    return _table(head, (_line(model, eps, rows) for (model, eps), rows in found.items()))


def _line(model: str, eps: str, rows: Mapping[str, Mapping[str, str]]) -> list[str]:
    whole = rows[METHODS[0]]
    done = [rows[method] for method in METHODS if method in rows and rows[method]["images"] != "0"]
    proved = [_proved(rows.get(method), whole["images"]) for method in METHODS]
    clean, attacked = (f"{float(whole[name]):.1f}" for name in ("clean", "attacked"))
    last = done[-1]
    gap = "" if last["gap"] == "nan" else f"{float(last['gap']):.2g}"
    return [f"`{model}`", eps, clean, attacked, *proved, gap, f"{float(last['seconds']):.2g}"]


def _proved(row: Mapping[str, str] | None, images: str) -> str:
    """A mean of bounds, and of how many images where it is not of all; how many are vacuous. Nothing where
    none was done."""
    if row is None or row["images"] == "0":
        return ""
    if row["vacuous"] != "0":
        return f"vacuous ({row['vacuous']} of {row['images']})"
    value = f"{float(row['certified']):.1f}"
    return value if row["images"] == images else f"{value} ({row['images']} of {images})"


def radii() -> list[str]:
    """A line for each model: the largest eps with a bound that says something, by method."""
    found = _by_method("strangers-largest.csv")
    shown = ([f"`{model}`", *(_radius(rows.get(m)) for m in METHODS)] for (model,), rows in found.items())
    return _table(("model", *(f"`{method}`" for method in METHODS)), shown)


def _radius(row: Mapping[str, str] | None) -> str:
    if row is None:
        return ""
    value = "none" if float(row["eps"]) == 0 else row["eps"]
    return f"{value} or more" if row["late"] == "True" else value


def _by_method(name: str, *more: str) -> dict[tuple[str, ...], dict[str, Mapping[str, str]]]:
    with (FOLDER / name).open(newline="", encoding="utf-8") as file:
        found = dict[tuple[str, ...], dict[str, Mapping[str, str]]]()
        for row in csv.DictReader(file):
            found.setdefault((row["model"], *(row[key] for key in more)), {})[row["method"]] = row
    return found


def _table(head: tuple[str, ...], lines: Iterable[list[str]]) -> list[str]:
    rule = f"|---|{'---:|' * (len(head) - 1)}"
    return [_cells(head), rule, *map(_cells, lines)]


def _cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join([*bounds(), "", *radii()]))
