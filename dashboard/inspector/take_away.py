"""The numbers of the page as a table to copy, and as Python."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.inspection import METHODS
from dashboard.addresses.inspect import Look
from dashboard.inspector import scripts, widths
from dashboard.inspector.compute import SAMPLES, Seen, View
from dashboard.inspector.text import TAKE, share
from dashboard.shared import as_python, claim, table_copy
from dashboard.shared.table_text import Table
from dashboard.shared.text import METHOD_NAMES, TARGET_NAMES


def show(view: View, look: Look, names: Mapping[str, str], name: str) -> None:
    """Width of each layer and its open ReLUs; and how to compute all of it. name: of the model."""
    with st.expander(TAKE):
        table_copy.show(table(view, look, names, name))
    if not look.own:
        as_python.offer(scripts.of_page(look, name))


def table(view: View, look: Look, names: Mapping[str, str], name: str) -> Table:
    """A row each layer, its numbers as the charts say them."""
    high = (widths.frame(view.layers) or (0.0, 1.0))[1]
    return Table([_row(layer, names[layer.name], high) for layer in view.layers], _said(look, name))


def _row(layer: Seen, label: str, high: float) -> dict[str, str]:
    found = {line: widths.said(value, high) for line, value in widths.widths(layer).items()}
    row = {"Layer": label} | {f"Width, {widths.NAMES[line]}": found[line] for line in widths.LINES}
    for method in METHODS:
        units = layer.units.get(method)
        row[f"Unstable, {METHOD_NAMES[method]}"] = share(units.open, units.total) if units else "–"
    return row


def _said(look: Look, name: str) -> str:
    q = look.question
    by = " and ".join(METHOD_NAMES[method] for method in METHODS)
    return (
        f"{name}, {claim.image(look.digit)}, eps {q.eps:.6g}: {claim.NORMS[q.norm]}. Mean width of each "
        f"layer's intervals by {by}, which hold for every image within eps, and spread of the values that "
        f"images reach: clean, attacked by PGD ({TARGET_NAMES[q.target]}) and {SAMPLES} others; "
        f"{claim.mean(q.draws, q.seed)}. Unstable: share of the ReLUs that could be either."
    )
