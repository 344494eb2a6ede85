"""The settings of each page from and to an address, with what there is in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.evaluation.results import Results
from dashboard.addresses import compare, explorer, inspect, lessons, results
from dashboard.addresses.reader import Message

NOTHING: Mapping[str, bytes] = {}


def parse_explorer(
    params: Mapping[str, str], models: Sequence[str], own: Mapping[str, bytes] = NOTHING
) -> tuple[explorer.State, list[Message]]:
    return explorer.PAGE.parse(params, models=models, images=own)


def parse_compare(
    params: Mapping[str, str], kinds: Mapping[str, object], own: Mapping[str, bytes] = NOTHING
) -> tuple[compare.Comparison, list[Message]]:
    return compare.PAGE.parse(params, kinds=kinds, models=tuple(kinds), images=own)


def compare_url(comparison: compare.Comparison, kinds: Mapping[str, object]) -> dict[str, str]:
    return compare.PAGE.address(comparison, kinds=kinds, models=tuple(kinds))


def parse_inspect(
    params: Mapping[str, str], models: Sequence[str], layout: Callable[[str], inspect.Layout]
) -> tuple[inspect.Look, list[Message]]:
    return inspect.PAGE.parse(params, models=models, layout=layout, images=NOTHING)


def inspect_url(
    look: inspect.Look, models: Sequence[str], layout: Callable[[str], inspect.Layout]
) -> dict[str, str]:
    return inspect.PAGE.address(look, models=models, layout=layout)


def parse_results(params: Mapping[str, str], there: Results) -> tuple[results.Choice, list[Message]]:
    return results.PAGE.parse(params, every={"mnist": there})


def results_url(choice: results.Choice, there: Results) -> dict[str, str]:
    return results.PAGE.address(choice, every={"mnist": there})


def parse_lessons(params: Mapping[str, str]) -> tuple[lessons.Place, list[Message]]:
    return lessons.PAGE.parse(params)


def lessons_url(place: lessons.Place) -> dict[str, str]:
    return lessons.PAGE.address(place)
