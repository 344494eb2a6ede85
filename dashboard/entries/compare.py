"""The page of comparisons, at "/compare". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.compare import text
from dashboard.shared.text import head

# The sidebar has its place from the start: it would push the page when it comes.
st.sidebar.container()
st.html(head(text.TITLE, text.SUBTITLE))

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: E402, F401
from dashboard.compare import view  # noqa: E402

view.show()
