"""Cases that cover every pair of choices, or every triple, in place of the full product."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product
from typing import Any


def covering(strength: int, *axes: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Few rows with one value of each axis, among them all combinations of any `strength` axes' values."""
    values = [list(axis) for axis in axes]
    rows = list(product(*(range(len(axis)) for axis in values)))
    places = list(combinations(range(len(values)), strength))
    left = {(place, tuple(row[i] for i in place)) for row in rows for place in places}
    chosen = []
    while left:
        row = max(rows, key=lambda row: sum((at, tuple(row[i] for i in at)) in left for at in places))
        left -= {(place, tuple(row[i] for i in place)) for place in places}
        chosen.append(row)
    return [tuple(axis[i] for axis, i in zip(values, row, strict=True)) for row in sorted(chosen)]
