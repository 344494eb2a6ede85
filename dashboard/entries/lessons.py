"""The lessons' page, at "/lessons". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.lessons import text
from dashboard.shared.text import head

if st.query_params.get("present") != "1":
    st.html(head(text.TITLE, text.SUBTITLE))

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: F401
from dashboard.lessons import page

page.show()
