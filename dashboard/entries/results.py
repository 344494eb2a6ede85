"""The results' page, at "/results". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import text

st.title(text.RESULTS_TITLE, anchor=False)
st.markdown(text.RESULTS_SUBTITLE)

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: E402, F401
from dashboard.results import view  # noqa: E402

view.show()
