"""The presenter's page, at "/present". The browser gets its first words while torch is still loading."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import text

st.title(text.TITLE, anchor=False)

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: E402, F401
from dashboard.explorer import presenter  # noqa: E402

presenter.show()
