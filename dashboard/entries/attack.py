"""The page of attacks by hand, at "/attack". The browser gets its first words while torch still loads."""

from __future__ import annotations

import streamlit as st

from dashboard.attack_by_hand import text

# The place of the sidebar first: what comes later would push the page aside.
st.sidebar.container(height=1, border=False)
st.title(text.TITLE, anchor=False)
st.markdown(text.SUBTITLE)

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: E402, F401
from dashboard.attack_by_hand import view  # noqa: E402

view.show()
