"""The controls of the gallery: which digits, whose verdicts, in which order, which page."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from dashboard.addresses.compare import CLASSES, COUNTS, EVERY, SORTS, VERDICTS, Comparison
from dashboard.compare import text
from dashboard.compare.session import key, set_, turn_back


def choose(comparison: Comparison, names: Mapping[str, str]) -> None:
    """Which digits, whose verdicts, in which order."""
    labels = {EVERY: text.EVERY, **names}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for field, label, options, shown in (
            ("of", "Verdicts of", (*comparison.models, EVERY), labels),
            ("count", "Digits", COUNTS, {count: f"the first {count}" for count in COUNTS}),
            ("sort", "Order", SORTS, text.SORTS),
        ):
            st.selectbox(
                label,
                options,
                key=key(field),
                format_func=shown.__getitem__,
                on_change=turn_back,
                width=250,
            )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Verdict",
            VERDICTS,
            key=key("verdict"),
            required=True,
            format_func=text.VERDICTS.__getitem__,
            help=text.VERDICT_HELP,
            on_change=turn_back,
        )
        st.pills(
            "Classes (none chosen: all)",
            CLASSES,
            key=key("classes"),
            selection_mode="multi",
            wrap=True,
            on_change=turn_back,
        )


def pages(page: int, count: int) -> None:
    """Which page of the gallery, if there is more than one."""
    if count < 2:
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="center"):
        st.button(
            "Previous page", on_click=set_, args=("page", page - 1), disabled=page == 1, key=key("previous")
        )
        st.markdown(f"Page {page} of {count}", width="content")
        st.button(
            "Next page", on_click=set_, args=("page", page + 1), disabled=page == count, key=key("next")
        )
