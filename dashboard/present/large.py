"""Large type: headings, which are as large as Streamlit's themes go, in place of small print."""

from __future__ import annotations

import streamlit as st


def say(sentence: str, level: int = 2) -> None:
    """A sentence as a heading of that level; 1 is the largest."""
    st.markdown(f"{'#' * level} {sentence}", anchors=False)


def number(label: str, value: str, note: str) -> None:
    """A number with its label and a note, the number largest."""
    with st.container(gap=None, width="content"):
        say(label, 3)
        say(value, 1)
        say(note, 4)
