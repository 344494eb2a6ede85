"""From the explorer to the page of comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.addresses.compare import address
from dashboard.addresses.explorer import State
from dashboard.compare import text
from dashboard.compare.compute import kinds
from dashboard.shared.text import COMPARE_PAGE


def to_compare(state: State, models: Sequence[str]) -> None:
    """The explorer's digit and question, for its two models and others."""
    url = address(state, kinds(models))
    st.page_link(
        COMPARE_PAGE, label=text.TO_COMPARE, icon=":material/arrow_forward:", query_params=url or None
    )
