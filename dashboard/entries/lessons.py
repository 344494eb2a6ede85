"""The lessons' page, at "/lessons". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.lessons import text

if st.query_params.get("present") != "1":
    st.title(text.TITLE, anchor=False)
    st.markdown(text.SUBTITLE)

# Late on purpose: these lines take seconds in a fresh process. First core as a whole, for which a second
# thread waits: two that import its parts in two orders wait for each other, and both fail.
import core  # noqa: F401
from dashboard.lessons import page

page.show()
