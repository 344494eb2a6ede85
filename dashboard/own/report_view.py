"""What was checked of a model that was dropped, how its operations are bounded, and where proofs stop."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.certificates.methods import METHODS
from core.errors import CoreError
from core.inspection.handed_in import HandedIn
from dashboard.own import model_text as text
from dashboard.own.report import GRID, MEASURED, Report, reach, report
from dashboard.shared import skeleton
from dashboard.shared.text import METHOD_NAMES, nats, plain


def show(name: str, seen: HandedIn) -> None:
    try:
        found = report(name)
    except CoreError as error:
        st.error(plain(str(error)))
        return
    st.markdown(_facts(found))
    checked, stops = st.columns(2, gap="medium")
    with checked:
        st.markdown(f"**{text.CHECKED}**")
        elbo = nats(seen.clean, 1)
        said = text.checks(seen.left_out, seen.traced, seen.images, found.weights, elbo, seen.scored)
        st.markdown("\n".join(f"- {plain(line)}" for line in said))
        st.caption(text.NOT_CHECKED)
    with stops:
        st.markdown(f"**{text.STOPS}**", help=text.STOPS_HELP)
        _stops(name, found)
    st.markdown(f"**{text.OPERATIONS}**")
    st.markdown(text.table(text.OPERATION_COLUMNS, _operations(found)))


def _facts(found: Report) -> str:
    count = sum(kind.count for kinds in found.operations.values() for kind in kinds)
    return text.facts(found.shape, found.latent, found.likelihood, count)


def _operations(found: Report) -> list[tuple[str, str, str]]:
    """A row for each kind of operation."""
    return [
        (part if place == 0 else "", f"{kind.count} {kind.name}", kind.how)
        for part, kinds in found.operations.items()
        for place, kind in enumerate(kinds)
    ]


def _stops(name: str, found: Report) -> None:
    """How far each method goes, and which are refused."""
    table = st.empty()  # as high before the numbers are there as after
    _draw(table, found, {})
    if found.refused:
        st.caption(plain(next(iter(found.refused.values()))))
    st.caption(plain(found.expectation) if found.expectation else text.EXPECTATION_YES)
    status = st.empty()
    try:
        _draw(table, found, reach(name, skeleton.progress(status)))
    except CoreError as error:
        status.info(plain(str(error)))
        return
    status.empty()


def _draw(place: DeltaGenerator, found: Report, known: dict[str, float | None]) -> None:
    rows = [(METHOD_NAMES[method], _end(method, found, known)) for method in MEASURED]
    others = dict[str, list[str]]()  # those with the same to say share a row
    for method in METHODS[len(MEASURED) :]:
        said = text.REFUSED if method in found.refused else text.TIGHTER
        others.setdefault(said, []).append(METHOD_NAMES[method])
    rows += [(", ".join(names), said) for said, names in others.items()]
    place.markdown(text.table(text.STOP_COLUMNS, rows))


def _end(method: str, found: Report, known: dict[str, float | None]) -> str:
    if method in found.refused:
        return text.REFUSED
    if method not in known:
        return text.MEASURING
    largest = known[method]
    if largest is None:
        return text.DEAR
    if largest == GRID[-1]:
        return text.EVERYWHERE
    return f"{largest:g}" if largest else text.NOWHERE
