"""Large type: headings, which are as large as Streamlit's themes go, in place of small print."""

from __future__ import annotations

import streamlit as st


def say(sentence: str, level: int = 2) -> None:
    """A sentence as a heading of level 1, the largest, to 3; those below are no larger than text."""
    st.markdown(f"{'#' * level} {sentence}", anchors=False)


def note(words: str) -> None:
    """Words that go with something larger."""
    st.markdown(f"**{words}**")


def number(label: str, value: str, more: str) -> None:
    """A number with its label and a note, the number largest."""
    with st.container(gap=None, width="content"):
        say(label)
        say(value, 1)
        note(more)
