"""From one page to another, with the same models, image and question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.addresses import compare, explorer, inspect
from dashboard.shared import destinations
from dashboard.shared.compute import kinds


def link(page: str, label: str, url: Mapping[str, str] | None = None, icon: str = "arrow_forward") -> None:
    """To a page, with what its address is to say."""
    st.page_link(page, label=label, icon=f":material/{icon}:", query_params=dict(url or {}) or None)


def to_compare(state: explorer.State, models: Sequence[str]) -> None:
    """The explorer's digit and question, for its two models and others."""
    link(destinations.COMPARE, destinations.TO_COMPARE, compare.address(state, kinds(models)))


def to_inspect(state: explorer.State, names: Mapping[str, str]) -> None:
    """A link for each of the explorer's models."""
    for model in dict.fromkeys((state.left, state.right)):
        label, url = destinations.to_inspect(names[model]), inspect.address(state, model, list(names))
        link(destinations.INSPECT, label, url)


def to_explorer(look: inspect.Look, models: Sequence[str]) -> None:
    """What is inspected, its model on the right."""
    link(destinations.EXPLORER, destinations.TO_EXPLORER, inspect.explorer_address(look, models))


def to_results() -> None:
    link(destinations.RESULTS, destinations.TO_RESULTS)


def onward(state: explorer.State, models: Sequence[str]) -> None:
    """To the lessons, and to the same state in large type."""
    link(destinations.LESSONS, destinations.TO_LESSONS, icon="school")
    url = explorer.to_params(state, models)
    link(destinations.PRESENT, destinations.TO_PRESENT, url, icon="co_present")
