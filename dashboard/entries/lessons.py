"""The lessons' page, at "/lessons". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.lessons import text

if st.query_params.get("present") != "1":
    st.title(text.TITLE, anchor=False)
    st.markdown(text.SUBTITLE)

# Late on purpose: these lines take seconds in a fresh process.
from dashboard.lessons import page

page.show()
