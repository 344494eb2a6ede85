"""The page to train on, at "/train". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.text import head
from dashboard.train import text

st.sidebar.container()  # so that little moves when the controls come
st.html(head(text.TITLE, text.SUBTITLE))
st.caption(text.FEW)

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: E402, F401
from dashboard.train import view  # noqa: E402

view.show()
