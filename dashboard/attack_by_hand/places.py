"""Room for what comes later: without it the page jumps when that arrives."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_STYLE = Path(__file__).with_name("frontend") / "places.css"


def introduce(head: str) -> None:
    """The title, and with it the places of the board and the chart before anything is in them: st.html
    would come later, since browsers fetch it when it is first used."""
    style = " ".join(_STYLE.read_text(encoding="utf-8").split())
    st.markdown(f"{head}<style>{style}</style>", unsafe_allow_html=True)
