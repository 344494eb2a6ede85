"""The numbers of the page of results as tables."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.evaluation.results import Mean, Results
from dashboard.addresses.results import Choice
from dashboard.results import overview, picking
from dashboard.shared import pareto, table_copy, text
from dashboard.shared.curves import Lines
from dashboard.shared.table_text import Table


def models(results: Results, choice: Choice, lines: Sequence[Lines], shipped: Sequence[str]) -> None:
    """The models that pass the filters at one eps, and the limits."""
    shown = overview.ordered(lines, choice)
    links = _links(results, choice, [(line, choice.eps) for line in shown], shipped)
    with st.container(key="results-models-table"):
        table_copy.show(overview.table(shown, results, choice), links)


def curve_rows(results: Results, choice: Choice, lines: Sequence[Lines], shipped: Sequence[str]) -> None:
    """What the curves show, each row with its way to the explorer."""
    places = [(line, eps) for line in lines for eps in line.radii if eps <= choice.upto]
    rows = [{"Model": line.name, "eps": f"{eps:g}"} | _cells(line, eps) for line, eps in places]
    links = _links(results, choice, places, shipped)
    _fold(rows, overview.said(results, choice, f"eps up to {choice.upto:g}"), links)


def point_rows(results: Results, choice: Choice, lines: Sequence[Lines], shipped: Sequence[str]) -> None:
    """What the points show, the best proved first."""
    eps, known = choice.eps, pareto.points(lines, choice.eps)
    ahead = pareto.best(known)
    shown = sorted(known, key=lambda point: -point.proved.mean)
    rows = [
        {"Model": point.line.name} | _cells(point.line, eps) | {"Frontier": "yes" if point in ahead else ""}
        for point in shown
    ]
    links = _links(results, choice, [(point.line, eps) for point in shown], shipped)
    _fold(rows, overview.said(results, choice, f"eps {eps:g}"), links)


def _fold(rows: list[dict[str, str]], said: str, links: dict[int, str]) -> None:
    with st.expander(text.AS_TABLE):
        if rows:
            table_copy.show(Table(rows, f"{said} {text.IN_BRACKETS}"), links)
        else:
            st.caption(text.NO_ROWS)


def _links(
    results: Results, choice: Choice, places: Sequence[tuple[Lines, float]], shipped: Sequence[str]
) -> dict[int, str]:
    """Where rows lead, by their place; limits and what is not shipped lead nowhere."""
    found = (
        None if line.limit else picking.link(results, choice.target, line.model, eps, shipped)
        for line, eps in places
    )
    return {place: url for place, url in enumerate(found) if url is not None}


def _cells(line: Lines, eps: float) -> dict[str, str]:
    attained, proved = line.at(eps)
    by = "–"
    if proved is not None and not line.limit and proved.vacuous == 0 and eps > 0:
        by = text.METHOD_NAMES[proved.method]
    return {
        "Clean": _cell(line.clean.get(eps)),
        **overview.measured(line, _cell(attained), _cell(proved)),
        "By": by,
    }


def _cell(mean: Mean | None) -> str:
    """A mean with its interval."""
    if mean is None or mean.vacuous != 0:
        return overview.cell(mean)
    return text.interval(mean.rounded(), mean.low, mean.high).replace(" nats", "")
