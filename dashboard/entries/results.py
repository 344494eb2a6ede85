"""The results' page, at "/results". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import text

# The sidebar has its place from the start: it would push the page when it comes.
st.sidebar.container()
st.html(text.head(text.RESULTS_TITLE, text.RESULTS_SUBTITLE))

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: E402, F401
from dashboard.results import view  # noqa: E402

view.show()
