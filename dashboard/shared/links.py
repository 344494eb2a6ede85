"""From one page to another, with the same models, image and question."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from dashboard.addresses import attack, compare, explorer, inspect
from dashboard.addresses.kinds import kinds
from dashboard.shared import destinations


def link(page: str, label: str, url: Mapping[str, str] | None = None, icon: str = "arrow_forward") -> None:
    """To a page, with what its address is to say."""
    st.page_link(page, label=label, icon=f":material/{icon}:", query_params=dict(url or {}) or None)


def onward(state: explorer.State, names: Mapping[str, str]) -> None:
    """From the explorer to all other pages, with its models, image and question where they have them.

    names  the models there are, and what people call them.
    """
    models = list(names)
    with st.container(horizontal=True, gap="small"):
        for model in dict.fromkeys(state.sides):
            url = inspect.address(state, model, models)
            link(destinations.INSPECT, f"Inside {names[model]}", url)
        link(destinations.ATTACK, destinations.TO_ATTACK, attack.address(state, models), icon="brush")
        link(destinations.COMPARE, destinations.TO_COMPARE, compare.address(state, kinds(models)))
        link(destinations.RESULTS, destinations.TO_RESULTS)
        link(destinations.LESSONS, destinations.TO_LESSONS, icon="school")
        url = explorer.to_params(state, models)
        link(destinations.PRESENT, destinations.TO_PRESENT, url, icon="co_present")
