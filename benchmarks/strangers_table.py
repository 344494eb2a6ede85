"""The tables of docs/own-models.md, from what `benchmarks.strangers` measured.

python -m benchmarks.strangers_table
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping

from benchmarks.strangers import METHODS
from benchmarks.strangers_models import strangers
from core.evaluation.results_files import RESULTS

FOLDER = RESULTS.parent


def bounds() -> list[str]:
    """A line for each model and eps: means in nats over the images that the last method had time for, and
    its CPU seconds for one."""
    head = ("model", "eps", "images", "clean", "attacked", *(f"`{name}`" for name in METHODS), "open", "s")
    found = _by_method("strangers.csv", "eps")
    return _table(head, (_line(model, eps, rows) for (model, eps), rows in found.items()))


def _line(model: str, eps: str, rows: Mapping[str, Mapping[str, str]]) -> list[str]:
    last = [rows[name] for name in METHODS if name in rows and rows[name]["images"] != "0"][-1]
    proved = [_proved(rows.get(method), last["images"]) for method in METHODS]
    scores = (f"{float(last[name]):.1f}" for name in ("clean", "attacked"))
    return [
        f"`{model}`",
        eps,
        last["images"],
        *scores,
        *proved,
        _short(last["gap"]),
        _short(last["seconds"]),
    ]


def _short(text: str) -> str:
    value = float(text)
    return "" if math.isnan(value) else f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _proved(row: Mapping[str, str] | None, images: str) -> str:
    """A mean of bounds, or how many are vacuous, and of how many where these are others. Nothing where none
    was done in time."""
    if row is None or row["images"] == "0":
        return ""
    if row["vacuous"] == row["images"]:
        return "vacuous"
    value = f"{row['vacuous']} vacuous" if row["vacuous"] != "0" else f"{float(row['certified']):.1f}"
    return value if row["images"] == images else f"{value} (of {row['images']})"


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
    order = [stranger.name for stranger in strangers()]
    return dict(sorted(found.items(), key=lambda item: (order.index(item[0][0]), *item[0][1:])))


def _table(head: tuple[str, ...], lines: Iterable[list[str]]) -> list[str]:
    rule = f"|---|{'---:|' * (len(head) - 1)}"
    return [_cells(head), rule, *map(_cells, lines)]


def _cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join([*bounds(), "", *radii()]))
