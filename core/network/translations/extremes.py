"""Translations of maxima, minima and sorted pairs."""

from __future__ import annotations

from typing import Any

from core.network import expand
from core.network.builder import Builder
from core.network.operations import Maximum, Minimum
from core.network.translations.arithmetic import binary
from core.network.translations.places import concatenated, part_of
from core.network.translations.table import TRANSLATIONS, Translation, refusal, traced, translates


def _largest(kind: type[Maximum | Minimum]) -> Translation:
    def translate(build: Builder, asked: Any) -> Any:
        if "other" in asked:
            return binary(kind, None)(build, asked)
        value, dims = traced(asked["self"]), asked.get("dim")
        dims = [dims] if isinstance(dims, int) else list(dims or [])
        if len(dims) != 1:
            raise refusal("It may go over one dimension.")
        dim = dims[0] % len(value.layout)
        place = value.place(dim)
        parts = [part_of(build, value, dim, index, index + 1) for index in range(value.row[place - 1])]
        found = expand.largest(build, parts, kind)
        if not asked["keepdim"]:
            found = build.reshape(found, (*found.layout[:dim], *found.layout[dim + 1 :]))
        return (found, None) if isinstance(asked.result, tuple | list) else found

    return translate


TRANSLATIONS |= dict.fromkeys(("max", "amax"), _largest(Maximum))
TRANSLATIONS |= dict.fromkeys(("min", "amin"), _largest(Minimum))


@translates("sort")
def _sort(build: Builder, asked: Any) -> Any:
    value = traced(asked["self"])
    dim = asked.get("dim", -1) % len(value.layout)
    if value.row[value.place(dim) - 1] != 2:
        raise refusal("Sorting has a rule for pairs (GroupSort of 2).")
    a, b = (part_of(build, value, dim, index, index + 1) for index in range(2))
    parts = [build.add(kind(), a.layout, a, b) for kind in (Minimum, Maximum)]
    parts = parts[::-1] if asked["descending"] else parts
    return concatenated(build, {"tensors": parts, "dim": dim}), None
