"""The page for images and models of one's own, at "/own". The browser gets its first words while torch is
still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import own_text as text
from dashboard.shared.text import head

st.html(head(text.TITLE, text.SUBTITLE))

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: E402, F401
from dashboard.own import view  # noqa: E402

view.show()
