"""From the explorer on: to the lessons, and to the same state in large type."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.addresses.explorer import State, to_params
from dashboard.lessons import text as lessons
from dashboard.present import text


def onward(state: State, models: Sequence[str]) -> None:
    st.page_link(lessons.PAGE, label=lessons.TO_LESSONS, icon=":material/school:")
    st.page_link(
        text.PAGE, label=text.PRESENT, icon=":material/co_present:", query_params=to_params(state, models)
    )
