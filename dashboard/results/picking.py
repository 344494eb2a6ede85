"""From a point of a chart to the explorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from core.evaluation.results import Results
from dashboard.addresses.results import Choice, explorer_address
from dashboard.shared import destinations, links, text
from dashboard.shared.curves import Lines, in_words


def picked(event: Mapping[str, Any], lines: Sequence[Lines]) -> tuple[Lines, float] | None:
    """The model and eps of the point that was clicked; None if it is none of these."""
    try:
        model, eps = event["selection"]["points"][0]["customdata"]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return next(((line, eps) for line in lines if line.model == model and eps in line.radii), None)


def offer(
    event: Mapping[str, Any],
    lines: Sequence[Lines],
    results: Results,
    choice: Choice,
    shipped: Sequence[str],
) -> None:
    """The numbers of the point that was clicked, and the way to the explorer."""
    found = picked(event, lines)
    if found is None:
        st.caption(text.CLICK)
        return
    line, eps = found
    with st.container(border=True):
        st.markdown(in_words(line, eps))
        url = None if line.limit else explorer_address(results, shipped, line.model, eps, choice.target)
        if url is not None:
            label = f"Open {line.name} at eps {eps:g} in the explorer"
            links.link(destinations.EXPLORER, label, url)
        else:
            st.caption(text.NOT_SHIPPED)


def link(results: Results, target: str, model: str, eps: float, shipped: Sequence[str]) -> str | None:
    """The explorer's whole address, for a table."""
    url = explorer_address(results, shipped, model, eps, target)
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return None if url is None else f"{f'/{base}' if base else ''}/?{urlencode(url)}"
