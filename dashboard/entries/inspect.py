"""The page that looks inside, at "/inspect". Its first words come while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.inspector import text
from dashboard.shared.text import head

# The sidebar has its place from the start: it would push the page when it comes.
st.sidebar.container()
st.html(head(text.TITLE, text.SUBTITLE))

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: E402, F401
from dashboard.inspector import view  # noqa: E402

view.show()
